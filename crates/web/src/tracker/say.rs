//! The tracker's codes in words.

use crate::words::grouped;
use jiff::civil::Date;
use registry::{People, Share};
use vaccines::DoseReason;

const REASONS: [DoseReason; 14] = [
    DoseReason::TooYoung,
    DoseReason::AgeGracePeriod,
    DoseReason::TooOld,
    DoseReason::TooSoon,
    DoseReason::IntervalGracePeriod,
    DoseReason::VaccineConflict,
    DoseReason::NotPreferableOrAllowable,
    DoseReason::VaccineOutOfAgeRange,
    DoseReason::Inadvertent,
    DoseReason::SeriesAlreadyComplete,
    DoseReason::SubStandard,
    DoseReason::SameDay,
    DoseReason::OtherProduct,
    DoseReason::OutsideProgramme,
];

/// Why a dose counts as it does.
pub(super) fn reason(code: &str) -> &str {
    REASONS.iter().find(|reason| reason.code() == code).map_or(code, |reason| reason.text())
}

pub(super) fn status(code: &str) -> &'static str {
    match code {
        "full" => "Fully vaccinated",
        "partial" => "Partly vaccinated",
        _ => "Not vaccinated",
    }
}

/// What stands beside a status.
pub(super) fn mark(code: &str) -> &str {
    match code {
        "immune" => "immune: needs no vaccine",
        "contraindicated" => "must not get it: a condition speaks against it",
        "aged-out" => "past the age for it",
        "overdue" => "overdue",
        "due" => "due, now or later",
        "boosted" => "had a booster",
        other => other,
    }
}

/// What a calculator is.
pub(super) fn calculator(code: &str) -> &'static str {
    match code {
        "clinical" => "clinical (CDC's immunization schedule, dose by dose)",
        _ => "surveillance (a table that says which doses count)",
    }
}

/// What a dose as recorded is.
pub(super) fn standing(code: &str) -> &str {
    match code {
        "counted" => "counted",
        "duplicate" => "reported twice: counted once",
        "not-done" => "was not given",
        "future" => "dated after today: not counted yet",
        "incomplete" => "lacks a date or a vaccine code: cannot be counted",
        other => other,
    }
}

/// What a dose counts for in a series.
pub(super) fn dose(code: &str) -> &str {
    match code {
        "valid" => "valid",
        "not-valid" => "not valid: must be given again",
        "extraneous" => "was not needed",
        "sub-standard" => "expired, recalled or too weak",
        other => other,
    }
}

/// What is recommended.
pub(super) fn forecast(code: &str) -> &str {
    match code {
        "not-complete" => "next dose",
        "contraindicated" => "must not be given",
        "immune" => "immune",
        "complete" => "complete",
        "not-recommended" => "not recommended",
        "aged-out" => "past the age for it",
        other => other,
    }
}

/// What is wrong with data.
pub(super) fn problem(code: &str) -> &str {
    match code {
        "no-birth-date" => "person without a birth date",
        "no-region" => "person without a postal code or state",
        "no-vaccine-code" => "dose without a vaccine code (CVX)",
        "no-date" => "dose without a day",
        "no-lot" => "dose without a lot number",
        "no-clinic" => "dose without a clinic",
        "late" => "dose reported more than 30 days after it was given",
        "duplicate" => "dose reported more than once",
        other => other,
    }
}

/// Fields and questions of a score.
pub(super) fn likeness(text: &str) -> String {
    let Some((field, words)) = text.split_once(": ") else { return text.to_owned() };
    let field = match field {
        "first" => "First name",
        "last" => "Last name",
        "birth" => "Birth date",
        "sex" => "Sex",
        "address" => "Street",
        "phone" => "Phone",
        "zip" => "Postal code",
        "city" => "City",
        "question" => "Why a person must decide",
        other => other,
    };
    format!("{field}: {words}")
}

pub(super) fn sex(code: &str) -> &'static str {
    match code {
        "female" => "Female",
        "male" => "Male",
        "other" => "Other",
        _ => "Not known",
    }
}

pub(super) fn known(text: &str) -> &str {
    if text.is_empty() { "Not known" } else { text }
}

/// `2021-04-01` as `1 Apr 2021`; what is no day stays as it is.
pub(super) fn day(text: &str) -> String {
    text.parse::<Date>().map_or_else(|_| text.to_owned(), written)
}

pub(super) fn written(day: Date) -> String {
    day.strftime("%-d %b %Y").to_string()
}

/// `42.3%`; nothing of nothing is nothing.
pub(super) fn share(n: u64, of: u64) -> String {
    if of == 0 { "-".to_owned() } else { format!("{:.1}%", n as f64 * 100.0 / of as f64) }
}

/// How many people shares of a group are of; `None` where the census table does not say.
pub(super) fn size(people: &People) -> Option<u64> {
    people.census.as_ref().map_or(people.persons, |of| of.people)
}

/// A share of a group: of the persons known, or of the census table.
pub(super) fn share_of(n: u64, people: &People) -> String {
    let Some(of) = &people.census else { return share(n, people.persons.unwrap_or(0)) };
    match of.people {
        None => "not in the table".to_owned(),
        Some(all) if n > all => format!("\u{2265} 95%: more than the {} of the table", grouped(all)),
        Some(all) => match Share::of(n, all) {
            None => "-".to_owned(),
            Some(Share::AtLeast95) => "\u{2265} 95%".to_owned(),
            Some(share) => format!("{:.1}%", share.percent()),
        },
    }
}

/// The same for a drawing: 0 to 1.
pub(super) fn part_of(n: u64, people: &People) -> f64 {
    let all = size(people).unwrap_or(0);
    let part = n as f64 / all.max(1) as f64;
    if people.census.is_some() { part.min(0.95) } else { part }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_said_in_words() {
        assert_eq!(reason("too-soon"), "given too soon after an earlier dose");
        assert_eq!(likeness("birth: one part differs"), "Birth date: one part differs");
        assert_eq!([day("2021-04-01"), day("2021")], ["1 Apr 2021", "2021"]);
        assert_eq!([share(1, 3), share(0, 0)], ["33.3%", "-"]);
    }

    #[test]
    fn a_share_of_a_census_is_capped_and_never_invented() {
        let of = |people: Option<u64>| {
            let census = registry::OfCensus { people, ..registry::OfCensus::default() };
            People { persons: Some(10), census: Some(census), ..People::default() }
        };
        assert_eq!(share_of(1, &of(Some(3))), "33.3%");
        assert_eq!(share_of(96, &of(Some(100))), "\u{2265} 95%");
        assert_eq!(share_of(5_000, &of(Some(4_000))), "\u{2265} 95%: more than the 4,000 of the table");
        assert_eq!(share_of(1, &of(None)), "not in the table");
        assert_eq!(share_of(1, &People { persons: Some(10), ..People::default() }), "10.0%");
        assert!(part_of(5, &of(Some(4))) < 0.951);
    }
}
