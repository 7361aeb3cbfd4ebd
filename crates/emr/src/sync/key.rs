//! Which items of two lists are the same thing: by their business key.

use super::element::Element;
use super::merge::Four;
use fhir::json::Value;

/// The items of four lists by key. Items with equal keys are numbered.
#[derive(Debug)]
pub(super) struct Keyed<'a> {
    lists: [Vec<&'a Value>; 4],
    base_ours: Vec<String>,
    base_theirs: Vec<String>,
    pub(super) ours: Vec<String>,
    pub(super) theirs: Vec<String>,
}

impl<'a> Keyed<'a> {
    /// Ours in our order, then what only they have, then what is gone on both sides.
    pub(super) fn keys(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = Vec::new();
        for key in self.ours.iter().chain(&self.theirs).chain(&self.base_ours).chain(&self.base_theirs) {
            if !keys.contains(&key.as_str()) {
                keys.push(key);
            }
        }
        keys
    }

    /// Where it is in our list.
    pub(super) fn place(&self, key: &str) -> Option<usize> {
        self.ours.iter().position(|other| other == key)
    }

    pub(super) fn item(&self, key: &str) -> Four<'a> {
        let find = |keys: &[String], list: &[&'a Value]| {
            let at = keys.iter().position(|other| other == key)?;
            list.get(at).copied()
        };
        Four {
            base_ours: find(&self.base_ours, &self.lists[0]),
            base_theirs: find(&self.base_theirs, &self.lists[1]),
            ours: find(&self.ours, &self.lists[2]),
            theirs: find(&self.theirs, &self.lists[3]),
        }
    }
}

/// `None` when an item has no key: places decide then.
pub(super) fn keyed<'a>(element: &Element, four: Four<'a>) -> Option<Keyed<'a>> {
    let list = |list: Option<&'a Value>| list.map_or(Vec::new(), |list| list.items().iter().collect::<Vec<_>>());
    let lists = [list(four.base_ours), list(four.base_theirs), list(four.ours), list(four.theirs)];
    let keys = |list: &[&Value]| -> Option<Vec<String>> {
        let mut keys: Vec<String> = Vec::new();
        for item in list {
            let key = key(element, item)?;
            let same = keys.iter().filter(|other| other.split('\u{0}').next() == Some(key.as_str())).count();
            keys.push(if same == 0 { key } else { format!("{key}\u{0}{same}") });
        }
        Some(keys)
    };
    let (base_ours, base_theirs) = (keys(&lists[0])?, keys(&lists[1])?);
    let (ours, theirs) = (keys(&lists[2])?, keys(&lists[3])?);
    Some(Keyed { lists, base_ours, base_theirs, ours, theirs })
}

fn key(element: &Element, item: &Value) -> Option<String> {
    match element.type_name() {
        "Identifier" | "ContactPoint" => pair(item, "system", "value"),
        "Coding" => pair(item, "system", "code"),
        // A second official name is told apart by its number.
        "HumanName" | "Address" => Some(text(item, "use").unwrap_or_default().to_owned()),
        "Extension" => text(item, "url").map(str::to_owned),
        "Reference" => reference(item),
        "CodeableConcept" => concept(item),
        "Resource" => text(item, "id").map(str::to_owned),
        _ => backbone(item),
    }
}

fn text<'a>(item: &'a Value, name: &str) -> Option<&'a str> {
    item.get(name).and_then(Value::as_str)
}

fn pair(item: &Value, first: &str, second: &str) -> Option<String> {
    let (first, second) = (text(item, first), text(item, second));
    (first.is_some() || second.is_some())
        .then(|| format!("{}|{}", first.unwrap_or_default(), second.unwrap_or_default()))
}

fn reference(item: &Value) -> Option<String> {
    let identifier = || item.get("identifier").and_then(|identifier| pair(identifier, "system", "value"));
    text(item, "reference").map(str::to_owned).or_else(identifier)
}

fn concept(item: &Value) -> Option<String> {
    let coding =
        item.get("coding").and_then(|list| list.items().first()).and_then(|coding| pair(coding, "system", "code"));
    coding.or_else(|| text(item, "text").map(str::to_owned))
}

/// Elements that name what an item of a backbone list is about.
fn backbone(item: &Value) -> Option<String> {
    let by_text = ["linkId", "id"].iter().find_map(|name| text(item, name)).map(str::to_owned);
    let by_reference = || ["actor", "individual", "item", "other"].iter().find_map(|name| reference(item.get(name)?));
    let by_code = || ["code", "language"].iter().find_map(|name| concept(item.get(name)?));
    by_text.or_else(by_reference).or_else(by_code)
}
