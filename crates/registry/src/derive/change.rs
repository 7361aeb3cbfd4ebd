//! What a write means to the registry.

use crate::Registry;
use crate::clinical::{self, Dose, Finding};
use crate::facts::Facts;
use crate::patient::Demographics;
use crate::read;
use crate::ring::Encodings;
use crate::tenancy::Tenancy;
use engine::{Error, Feed};
use fhir::defs::{self, TypeId};
use fhir::index::is_golden;
use fhir::json::{Document, Limits};
use std::sync::Arc;
use store::{Op, Write};

/// Types that say something about vaccination besides Patient.
const CLINICAL: [&str; 4] = ["Immunization", "Condition", "Observation", "AllergyIntolerance"];

/// Whether the registry looks at writes of a type.
pub(super) fn follows(ty: TypeId) -> bool {
    let name = defs::r4().ty(ty).name;
    name == "Patient" || CLINICAL.contains(&name)
}

pub(super) enum Change<'a> {
    Patient {
        id: &'a str,
        /// `None`: it is deleted.
        new: Option<Box<Patient<'a>>>,
    },
    Clinical(Clinical),
}

pub(super) struct Patient<'a> {
    pub(super) facts: Facts,
    /// `meta.source`
    pub(super) source: Option<String>,
    pub(super) encoded: Encodings,
    pub(super) body: &'a [u8],
}

impl Change<'_> {
    /// The ids of the Patients that it says something about without writing them.
    pub(super) fn is_about(&self) -> impl Iterator<Item = &str> {
        let clinical = match self {
            Change::Clinical(clinical) => Some(clinical),
            Change::Patient { .. } => None,
        };
        clinical
            .into_iter()
            .flat_map(|clinical| clinical.was.iter().map(String::as_str).chain(clinical.new.iter().map(Item::record)))
    }

    /// Encodes a Patient again if the keys were changed since.
    pub(super) fn encode(&mut self, tenancy: &Tenancy) -> Result<(), Error> {
        let Change::Patient { new: Some(patient), .. } = self else { return Ok(()) };
        let ring = tenancy.live.read().ring.clone();
        if !Arc::ptr_eq(&ring, &patient.encoded.ring) {
            patient.encoded = ring.encode(&Demographics::of(parsed(patient.body)?.root()));
        }
        Ok(())
    }
}

/// A dose or a finding that came, changed or went.
pub(super) struct Clinical {
    /// `Immunization/1`.
    pub(super) of: String,
    /// The patient it was about before.
    pub(super) was: Option<String>,
    pub(super) new: Vec<Item>,
}

/// What a clinical resource says.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) enum Item {
    Dose(Dose),
    Finding(Finding),
}

impl Item {
    pub(super) fn record(&self) -> &str {
        match self {
            Item::Dose(dose) => &dose.record,
            Item::Finding(finding) => &finding.record,
        }
    }

    pub(super) fn of(&self) -> String {
        match self {
            Item::Dose(dose) => dose.of(),
            Item::Finding(finding) => finding.of.clone(),
        }
    }
}

fn parsed(body: &[u8]) -> Result<Document, Error> {
    let limits = Limits { bytes_max: usize::MAX, ..Limits::default() };
    Document::parse(body, &limits).map_err(|error| crate::broken("a resource", &error))
}

/// The changes of a commit, in its order. Writes that say nothing are left out.
pub(super) async fn of<'a>(
    registry: &Registry,
    tenancy: &Tenancy,
    feed: &Feed,
    writes: &'a [Write],
) -> Result<Vec<Change<'a>>, Error> {
    let mut changes = Vec::new();
    for write in writes.iter().filter(|write| follows(write.ty)) {
        if defs::r4().ty(write.ty).name == "Patient" {
            changes.extend(patient(tenancy, write)?);
        } else {
            changes.extend(clinical(registry, feed, write).await?.map(Change::Clinical));
        }
    }
    Ok(changes)
}

fn patient<'a>(tenancy: &Tenancy, write: &'a Write) -> Result<Option<Change<'a>>, Error> {
    let (ring, comparable) = {
        let live = tenancy.live.read();
        let person = crate::row::PersonId::parse(&write.id);
        let is_own = person.is_some_and(|person| live.persons.contains_key(&person));
        ((!is_own).then(|| live.ring.clone()), live.comparable())
    };
    let Some(ring) = ring else {
        let text = "this is the golden record of a person, which weir writes: change the records that its links name";
        return Err(Error::new(405, "not-supported", text));
    };
    if write.op == Op::Delete {
        return Ok(Some(Change::Patient { id: &write.id, new: None }));
    }
    comparable?;
    let document = parsed(&write.body)?;
    if is_golden(document.root()) {
        let text = "the tag golden-record is weir's own: leave it out";
        return Err(Error::new(422, "business-rule", text));
    }
    let encoded = ring.encode(&Demographics::of(document.root()));
    let source = document.root().get("meta").and_then(|meta| Some(meta.str("source")?.into_owned()));
    let new = Patient { facts: Facts::of(document.root()), source, encoded, body: &write.body };
    Ok(Some(Change::Patient { id: &write.id, new: Some(Box::new(new)) }))
}

async fn clinical(registry: &Registry, feed: &Feed, write: &Write) -> Result<Option<Clinical>, Error> {
    let of = format!("{}/{}", defs::r4().ty(write.ty).name, write.id);
    let new = match write.op {
        Op::Delete => Vec::new(),
        _ => items(registry, &write.id, &of, &write.body)?,
    };
    let mut was = None;
    if write.expected > 0
        && let Some(old) = feed.current(write.ty, &write.id).await?.filter(|old| old.resource.op != Op::Delete)
    {
        let old = items(registry, &write.id, &of, &old.resource.json)?;
        was = old.first().map(|old| old.record().to_owned());
    }
    Ok((was.is_some() || !new.is_empty()).then_some(Clinical { of, was, new }))
}

/// A dose, findings, or both: an Immunization may contain the reactions to it.
///
/// Of findings only those count that a schedule knows: a chronic patient has hundreds of conditions, none of which matters here.
fn items(registry: &Registry, id: &str, of: &str, body: &[u8]) -> Result<Vec<Item>, Error> {
    let is_dose = of.starts_with("Immunization/");
    if !is_dose && !read::may_find(body) {
        return Ok(Vec::new());
    }
    let document = parsed(body)?;
    let dose = is_dose.then(|| clinical::dose(id, document.root(), registry.today())).flatten();
    let definitions = registry.definitions();
    let known = |mut finding: Finding| {
        finding.codes.retain(|(system, code)| definitions.knows(system, code));
        (!finding.codes.is_empty()).then_some(Item::Finding(finding))
    };
    let findings = clinical::findings(of, document.root()).into_iter().filter_map(known);
    Ok(dose.map(Item::Dose).into_iter().chain(findings).collect())
}
