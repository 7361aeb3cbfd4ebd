//! Two records side by side, field by field, with what differs said in words.

use super::names::Sheet;
use super::table::{Head, table};
use super::{person_link, say};
use crate::words;
use maud::{Markup, html};

/// One of the two.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) id: String,
    /// `None` when the Patient is not there any more.
    pub(super) sheet: Option<Sheet>,
    /// The person it is of.
    pub(super) person: Option<String>,
    /// Doses of this record, as `1 Apr 2021 vaccine`.
    pub(super) doses: Vec<String>,
}

/// How two values of a field compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Same {
    Yes,
    No,
    /// One of the two has none.
    One,
    /// Neither has any.
    Neither,
}

fn compared(one: &[String], other: &[String]) -> Same {
    // Order and case are nobody's identity.
    let plain = |all: &[String]| {
        let mut all: Vec<String> = all.iter().map(|text| text.trim().to_lowercase()).collect();
        all.sort_unstable();
        all
    };
    match (one.is_empty(), other.is_empty()) {
        (true, true) => Same::Neither,
        (false, false) if plain(one) == plain(other) => Same::Yes,
        (false, false) => Same::No,
        _ => Same::One,
    }
}

fn fields(side: &Side) -> Vec<(&'static str, Vec<String>)> {
    let sheet = side.sheet.clone().unwrap_or_default();
    let one = |text: String| if text.is_empty() { Vec::new() } else { vec![text] };
    let sex = if sheet.gender.is_empty() { String::new() } else { say::sex(&sheet.gender).to_owned() };
    vec![
        ("Name", sheet.names),
        ("Birth date", one(say::day(&sheet.birth))),
        ("Sex", one(sex)),
        ("Address", sheet.addresses),
        ("Phone and mail", sheet.contacts),
        ("Identifiers", sheet.identifiers),
        ("Deceased", one(say::day(&sheet.deceased))),
        ("Clinic that keeps it", one(sheet.organization)),
    ]
}

pub(super) fn compare(sides: &[Side; 2], now_us: i64) -> Markup {
    let (one, other) = (fields(&sides[0]), fields(&sides[1]));
    let mut rows: Vec<Vec<Markup>> = Vec::new();
    for ((name, left), (_, right)) in one.iter().zip(&other) {
        let same = compared(left, right);
        if same != Same::Neither {
            rows.push(vec![html! { (name) }, values(left, same), values(right, same), verdict(same)]);
        }
    }
    // What says something about the record, not about the person, is not compared.
    let about = |side: &Side, what: usize| match (what, &side.sheet) {
        (0, _) => list(&side.doses),
        (1, Some(sheet)) => html! { (words::moment(sheet.updated_us, now_us)) },
        (2, Some(sheet)) => html! { (say::known(&sheet.source)) },
        _ => {
            html! { code { (side.id) } @if let Some(person) = &side.person { br; a href=(person_link(person)) { "Look at the person" span.hidden { " of " (side.id) } } } }
        }
    };
    for (what, name) in ["Doses", "Last written", "Source", "Record"].into_iter().enumerate() {
        let side = |at: usize| match (&sides[at].sheet, what) {
            (None, 1 | 2) => html! { "-" },
            _ => about(&sides[at], what),
        };
        rows.push(vec![html! { (name) }, side(0), side(1), html! {}]);
    }
    let heads = [Head::Text("Field"), Head::Text("First record"), Head::Text("Second record"), Head::Text("Compared")];
    html! { div.compare { (table("The two records, as they were written.", &heads, &rows)) } }
}

fn list(values: &[String]) -> Markup {
    html! {
        @if values.is_empty() { "None" }
        @else { @for (at, value) in values.iter().enumerate() { @if at > 0 { br; } (value) } }
    }
}

fn values(values: &[String], same: Same) -> Markup {
    html! { @match same {
        Same::No => { mark { (list(values)) } }
        _ => (list(values)),
    } }
}

fn verdict(same: Same) -> Markup {
    html! { @match same {
        Same::Yes => { strong.tag.good { span aria-hidden="true" { "= " } "Same" } }
        Same::No => { strong.tag.bad { span aria-hidden="true" { "≠ " } "Differs" } }
        Same::One | Same::Neither => { strong.tag.calm { span aria-hidden="true" { "? " } "Only one has it" } }
    } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_case_make_no_difference() {
        let list = |all: &[&str]| -> Vec<String> { all.iter().map(|text| (*text).to_owned()).collect() };
        assert_eq!(compared(&list(&["Ada B", "A B"]), &list(&["a b", "ADA B "])), Same::Yes);
        assert_eq!(compared(&list(&["Ada"]), &list(&["Eda"])), Same::No);
        assert_eq!(compared(&list(&["Ada"]), &[]), Same::One);
        assert_eq!(compared(&[], &[]), Same::Neither);
    }
}
