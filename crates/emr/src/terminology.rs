//! Codes of the house and codes of an EMR: ConceptMaps of the tenant, by which codings are added to what leaves.

use delivery::{Async, Calls, Destination, Found, Item, Outcome, Problem, Remote};
use engine::{Error, Feed};
use fhir::defs::r4;
use fhir::json;
use fhir::json::Value;
use fhir::outcome::Issue;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::Op;

/// A target stands for its source only if it means the same or more.
const EQUIVALENCES: [&str; 4] = ["equivalent", "equal", "wider", "subsumes"];

/// The ConceptMaps of one destination, as they are stored now. A new version of one counts from the next resource on.
#[derive(Debug)]
pub struct Maps {
    feed: Feed,
    ids: Vec<String>,
    /// With the changes that it was made of.
    made: Mutex<Option<(Vec<u64>, Arc<Dictionary>)>>,
}

impl Maps {
    /// `ids`: of ConceptMap resources.
    pub fn new(feed: Feed, ids: Vec<String>) -> Maps {
        Maps { feed, ids, made: Mutex::default() }
    }

    /// An error when one of them is not there: nothing is sent untranslated.
    pub async fn now(&self) -> Result<Arc<Dictionary>, Error> {
        let ty = r4().resource_by_name("ConceptMap").ok_or_else(|| missing("ConceptMap"))?;
        let mut current = Vec::with_capacity(self.ids.len());
        for id in &self.ids {
            let map = self.feed.current(ty, id).await?.filter(|map| map.resource.op != Op::Delete);
            current.push(map.ok_or_else(|| missing(id))?);
        }
        let seqs: Vec<u64> = current.iter().map(|map| map.seq).collect();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, dictionary)) = &*made
            && *of == seqs
        {
            return Ok(dictionary.clone());
        }
        let maps = current.iter().filter_map(|map| Value::parse(std::str::from_utf8(&map.resource.json).ok()?).ok());
        let dictionary = Arc::new(Dictionary(maps.flat_map(|map| groups(&map)).collect()));
        *made = Some((seqs, dictionary.clone()));
        Ok(dictionary)
    }
}

fn missing(id: &str) -> Error {
    let text = format!("the ConceptMap {id} of this destination is not stored: put it, or take it out of concept_maps");
    Error { status: 503, issues: vec![Issue::error("not-found", text)], version: None }
}

/// What several ConceptMaps say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dictionary(Vec<Group>);

/// From one code system to another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    source: String,
    target: String,
    codes: BTreeMap<String, Vec<Target>>,
    otherwise: Otherwise,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    code: String,
    display: Option<String>,
}

/// What a code becomes that is not in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Otherwise {
    Nothing,
    Itself,
    Always(Target),
}

fn target(value: &Value) -> Option<Target> {
    Some(Target { code: value.str("code")?.to_owned(), display: value.str("display").map(str::to_owned) })
}

fn groups(map: &Value) -> Vec<Group> {
    let group = |group: &Value| {
        let elements = group.list("element").iter().filter_map(|element| {
            let counts = |one: &&Value| one.str("equivalence").is_some_and(|word| EQUIVALENCES.contains(&word));
            let targets = element.list("target").iter().filter(counts).filter_map(target).collect();
            Some((element.str("code")?.to_owned(), targets))
        });
        let unmapped = group.get("unmapped");
        let otherwise = match unmapped.and_then(|unmapped| unmapped.str("mode")) {
            Some("provided") => Otherwise::Itself,
            Some("fixed") => unmapped.and_then(target).map_or(Otherwise::Nothing, Otherwise::Always),
            _ => Otherwise::Nothing,
        };
        Some(Group {
            source: group.str("source")?.to_owned(),
            target: group.str("target")?.to_owned(),
            codes: elements.collect(),
            otherwise,
        })
    };
    map.list("group").iter().filter_map(group).collect()
}

impl Group {
    fn targets(&self, code: &str) -> Vec<Target> {
        match (self.codes.get(code), &self.otherwise) {
            (Some(targets), _) => targets.clone(),
            (None, Otherwise::Nothing) => Vec::new(),
            (None, Otherwise::Itself) => vec![Target { code: code.to_owned(), display: None }],
            (None, Otherwise::Always(target)) => vec![target.clone()],
        }
    }
}

impl Dictionary {
    /// Of one ConceptMap.
    #[cfg(test)]
    pub(crate) fn of(map: &Value) -> Dictionary {
        Dictionary(groups(map))
    }

    /// Whether a code has a counterpart. `None`: its system is not translated.
    pub fn is_mapped(&self, system: &str, code: &str) -> Option<bool> {
        let mut of = self.0.iter().filter(|group| group.source == system).peekable();
        of.peek()?;
        Some(of.any(|group| !group.targets(code).is_empty()))
    }

    /// Adds to each concept the counterparts of its codings.
    pub fn translate(&self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.translate(item)),
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        Value::Array(codings) if name == "coding" => self.add(codings),
                        member => self.translate(member),
                    }
                }
            }
            _ => {}
        }
    }

    fn add(&self, codings: &mut Vec<Value>) {
        let mut new = Vec::new();
        for coding in codings.iter() {
            let (Some(system), Some(code)) = (coding.str("system"), coding.str("code")) else { continue };
            for group in self.0.iter().filter(|group| group.source == system) {
                new.extend(group.targets(code).into_iter().map(|target| (group.target.clone(), target)));
            }
        }
        for (system, target) in new {
            let is_there = |one: &Value| one.str("system") == Some(&system) && one.str("code") == Some(&target.code);
            if codings.iter().any(is_there) {
                continue;
            }
            let mut coding = json!({ "system": system, "code": target.code });
            if let Some(display) = target.display {
                coding.set("display", display);
            }
            codings.push(coding);
        }
    }
}

/// A connector whose resources are translated before they leave.
#[derive(Debug)]
pub struct Translated<D> {
    inner: Arc<D>,
    maps: Arc<Maps>,
}

impl<D> Translated<D> {
    pub fn new(inner: Arc<D>, maps: Arc<Maps>) -> Translated<D> {
        Translated { inner, maps }
    }

    async fn item(&self, item: &Item) -> Result<Item, Problem> {
        let mut item = item.clone();
        if let Some(body) = &mut item.body {
            let text = |error: Error| error.issues.first().map_or_else(String::new, |issue| issue.diagnostics.clone());
            self.maps.now().await.map_err(|error| Problem::new(409, text(error)))?.translate(body);
        }
        Ok(item)
    }
}

impl<D: Destination> Destination for Translated<D> {
    fn deliver<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Outcome> {
        Box::pin(async move {
            match self.item(item).await {
                Ok(item) => self.inner.deliver(&item, calls).await,
                Err(problem) => Outcome::Retry { problem, after: None },
            }
        })
    }

    fn probe<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Found> {
        Box::pin(async move {
            match self.item(item).await {
                Ok(item) => self.inner.probe(&item, calls).await,
                Err(problem) => Found::Unknown(problem),
            }
        })
    }

    fn quiesce(&self) -> Duration {
        self.inner.quiesce()
    }

    fn probes(&self) -> u32 {
        self.inner.probes()
    }

    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
}

impl<D: crate::sync::Reader> crate::sync::Reader for Translated<D> {
    fn read<'a>(
        &'a self,
        name: &'a str,
        remote: &'a Remote,
        calls: &'a Calls,
    ) -> Async<'a, Result<Option<Value>, Outcome>> {
        self.inner.read(name, remote, calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary(unmapped: &str) -> Dictionary {
        let map = format!(
            r#"{{"resourceType":"ConceptMap","group":[{{"source":"urn:local","target":"http://hl7.org/fhir/sid/cvx",
            "element":[{{"code":"BNT","target":[{{"code":"208","display":"COVID-19","equivalence":"equivalent"}}]}},
            {{"code":"OLD","target":[{{"code":"1","equivalence":"narrower"}}]}}]{unmapped}}}]}}"#
        );
        Dictionary::of(&Value::parse(&map).unwrap())
    }

    #[test]
    fn counterparts_are_added_once_and_codes_without_one_are_known() {
        let dictionary = dictionary("");
        let mut shot = Value::parse(
            r#"{"vaccineCode":{"coding":[{"system":"urn:local","code":"BNT"}]},"contained":[{"code":{"coding":[]}}]}"#,
        )
        .unwrap();
        dictionary.translate(&mut shot);
        let once = shot.to_string();
        assert!(
            once.contains(r#"{"system":"http://hl7.org/fhir/sid/cvx","code":"208","display":"COVID-19"}"#),
            "{once}"
        );
        dictionary.translate(&mut shot);
        assert_eq!(shot.to_string(), once);
        let mapped = |code: &str| dictionary.is_mapped("urn:local", code);
        assert_eq!([mapped("BNT"), mapped("OLD"), mapped("NEW")], [Some(true), Some(false), Some(false)]);
        assert_eq!(dictionary.is_mapped("http://loinc.org", "1"), None);
    }

    #[test]
    fn a_map_may_say_what_becomes_of_the_others() {
        let itself = dictionary(r#","unmapped":{"mode":"provided"}"#);
        assert_eq!(itself.is_mapped("urn:local", "NEW"), Some(true));
        // A code whose only target does not stand for it is no other.
        assert_eq!(itself.is_mapped("urn:local", "OLD"), Some(false));
        let fixed = dictionary(r#","unmapped":{"mode":"fixed","code":"213"}"#);
        let mut shot = Value::parse(r#"{"code":{"coding":[{"system":"urn:local","code":"NEW"}]}}"#).unwrap();
        fixed.translate(&mut shot);
        assert!(shot.to_string().contains("\"213\""), "{shot}");
    }
}
