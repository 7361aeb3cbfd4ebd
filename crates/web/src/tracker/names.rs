//! What the pages show of Patients, clinics and providers, read through the engine, which notes it in the audit trail.

use super::numbers::Numbers;
use super::refused::InPage;
use super::{Tracker, locked, of_tenant, say};
use engine::{Search, Session};
use fhir::defs::{TypeId, r4};
use fhir::json::{Document, Limits, Node};
use registry::Definitions;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Ids of one search.
const IDS_MAX: usize = 100;
/// References whose names are looked up for a page; the others are shown as they are.
const PLACES_MAX: usize = 500;
/// Values of a kind that are shown.
const ITEMS_MAX: usize = 10;

/// A Patient as the pages show it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheet {
    pub(super) names: Vec<String>,
    pub(super) birth: String,
    pub(super) gender: String,
    pub(super) addresses: Vec<String>,
    pub(super) contacts: Vec<String>,
    pub(super) identifiers: Vec<String>,
    pub(super) deceased: String,
    pub(super) organization: String,
    pub(super) source: String,
    pub(super) updated_us: i64,
}

impl Sheet {
    fn of(patient: Node<'_>, updated_us: i64) -> Sheet {
        let all = |name: &str, of: fn(Node<'_>) -> String| -> Vec<String> {
            let items = patient.get(name).into_iter().flat_map(Node::items).map(of);
            items.filter(|text| !text.is_empty()).take(ITEMS_MAX).collect()
        };
        let text = |path: &[&str]| patient.path(path).and_then(Node::as_str).unwrap_or_default().into_owned();
        let deceased = match patient.get("deceasedBoolean").and_then(Node::as_bool) {
            Some(true) => "Yes".to_owned(),
            _ => text(&["deceasedDateTime"]),
        };
        Sheet {
            names: all("name", human_name),
            birth: text(&["birthDate"]),
            gender: text(&["gender"]),
            addresses: all("address", address),
            contacts: all("telecom", |one| joined(one, &["system", "value"], ": ")),
            identifiers: all("identifier", |one| joined(one, &["system", "value"], " ")),
            deceased,
            organization: text(&["managingOrganization", "reference"]),
            source: text(&["meta", "source"]),
            updated_us,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.names.first().map_or("No name", String::as_str)
    }
}

/// The first of several names is the one that the sender puts first.
pub(super) fn human_name(name: Node<'_>) -> String {
    let given = name.get("given").into_iter().flat_map(Node::items).filter_map(Node::as_str);
    let parts: Vec<_> = given.chain(name.str("family")).collect();
    if parts.is_empty() { name.str("text").unwrap_or_default().into_owned() } else { parts.join(" ") }
}

fn address(address: Node<'_>) -> String {
    let lines = address.get("line").into_iter().flat_map(Node::items).filter_map(Node::as_str);
    let more = ["city", "state", "postalCode", "country"].into_iter().filter_map(|name| address.str(name));
    lines.chain(more).collect::<Vec<_>>().join(", ")
}

fn joined(node: Node<'_>, members: &[&str], by: &str) -> String {
    members.iter().filter_map(|name| node.str(name)).collect::<Vec<_>>().join(by)
}

pub(super) fn ty(name: &str) -> Option<TypeId> {
    r4().resource_by_name(name)
}

/// A stored resource is valid JSON.
pub(super) fn parsed(json: &[u8]) -> Option<Document> {
    Document::parse(json, &Limits::default()).ok()
}

/// Names of what counts are by.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    names: HashMap<String, String>,
    definitions: Option<Arc<Definitions>>,
}

impl Places {
    /// Of a clinic or provider; the reference itself where there is none.
    pub(super) fn name(&self, reference: &str) -> String {
        self.names.get(reference).cloned().unwrap_or_else(|| say::known(reference).to_owned())
    }

    /// Of a vaccine, with its code first: names of a kind begin alike.
    pub(super) fn vaccine(&self, cvx: &str) -> String {
        let number = cvx.parse().ok();
        let definitions = self.definitions.as_ref();
        let name = definitions.zip(number).and_then(|(definitions, cvx)| definitions.schedule().vaccine_name(cvx));
        name.map_or_else(|| format!("CVX {cvx}"), |name| format!("CVX {cvx}: {name}"))
    }
}

impl Tracker {
    /// One Patient; `None` when it is not there.
    pub(super) async fn sheet(&self, session: &Session, id: &str) -> Result<Option<Sheet>, InPage> {
        let Some(patient) = ty("Patient") else { return Ok(None) };
        match self.engine.read(session, patient, id).await {
            Ok(resource) => Ok(parsed(&resource.json).map(|json| Sheet::of(json.root(), resource.last_updated_us))),
            Err(error) if matches!(error.status, 404 | 410) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Resources of a type by their ids, in one search for each hundred.
    async fn each_of(
        &self,
        session: &Session,
        name: &str,
        ids: &[&str],
        mut each: impl FnMut(&str, Node<'_>, i64),
    ) -> Result<(), InPage> {
        for ids in ids.chunks(IDS_MAX) {
            let pairs = [("_id".to_owned(), ids.join(",")), ("_count".to_owned(), ids.len().to_string())];
            let search = Search { ty: ty(name), compartment: None, pairs: &pairs, lenient: false, cursor: None };
            for resource in self.engine.search(session, &search).await?.matches {
                if let Some(json) = parsed(&resource.json) {
                    each(&resource.id, json.root(), resource.last_updated_us);
                }
            }
        }
        Ok(())
    }

    /// Patients by id.
    pub(super) async fn sheets(&self, session: &Session, ids: &[&str]) -> Result<HashMap<String, Sheet>, InPage> {
        let mut sheets = HashMap::new();
        self.each_of(session, "Patient", ids, |id, patient, updated_us| {
            sheets.insert(id.to_owned(), Sheet::of(patient, updated_us));
        })
        .await?;
        Ok(sheets)
    }

    /// The names of all clinics of the numbers. `again`: those that are known are read again, for they may have changed.
    pub(super) async fn places(&self, session: &Session, numbers: &Numbers, again: bool) -> Result<Places, InPage> {
        let clinics = numbers.clinics.iter().map(|(clinic, _)| clinic.as_str());
        let others = numbers.invalid.iter().chain(&numbers.quality).map(|(_, clinic, _)| clinic.as_str());
        self.named(session, clinics.chain(others).collect(), again).await
    }

    pub(super) async fn named(&self, session: &Session, references: Vec<&str>, again: bool) -> Result<Places, InPage> {
        let wanted: BTreeSet<&str> =
            references.into_iter().filter(|reference| !reference.is_empty()).take(PLACES_MAX).collect();
        let mut unknown: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        {
            let places = locked(&self.places);
            let is_new = |reference: &&str| again || !places.contains_key(&of_tenant(session, reference));
            for reference in wanted.iter().copied().filter(is_new) {
                if let Some((ty, id)) = reference.split_once('/')
                    && ["Location", "Organization", "Practitioner"].contains(&ty)
                    && !id.contains(['/', ',', '|', '\\', '$'])
                {
                    unknown.entry(ty).or_default().push(id);
                }
            }
        }
        let mut found = Vec::new();
        for (ty, ids) in &unknown {
            self.each_of(session, ty, ids, |id, node, _| {
                let name = match node.get("name") {
                    Some(name) if name.is_array() => name.items().next().map(human_name),
                    Some(name) => name.as_str().map(std::borrow::Cow::into_owned),
                    None => None,
                };
                found.push((format!("{ty}/{id}"), name.filter(|name| !name.is_empty())));
            })
            .await?;
        }
        let mut places = locked(&self.places);
        for (reference, name) in found {
            if let Some(name) = name {
                places.insert(of_tenant(session, &reference), name);
            }
        }
        let name =
            |reference: &&str| Some(((*reference).to_owned(), places.get(&of_tenant(session, reference))?.clone()));
        let names = wanted.iter().filter_map(name).collect();
        Ok(Places { names, definitions: Some(self.registry.definitions()) })
    }
}
