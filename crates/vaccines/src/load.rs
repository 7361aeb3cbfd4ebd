//! From the XML of the supporting data to a `Schedule`. What cannot be read is an error, never a silent gap.

mod series;

use crate::date::{Date, Period};
use crate::schedule::{
    AgeRange, Antigen, Association, BornBefore, Circumstance, Conflict, Cvx, InForce, ObservationCode, Schedule,
    Vaccine, VaccineContraindication, VaccineGroup,
};
use crate::xml::{BadXml, Node};
use std::collections::HashMap;

/// Why supporting data was not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A document is no XML.
    #[error(transparent)]
    Xml(#[from] BadXml),
    /// A document is not what it should be.
    #[error("expected <{expected}>, found <{found}>")]
    Root {
        /// The element there should be.
        expected: &'static str,
        /// The element there is.
        found: String,
    },
    /// An element is missing, or holds what the engine does not know.
    #[error("<{element}> has no usable value: {value:?}")]
    Value {
        /// The element.
        element: String,
        /// Its text, if it has one.
        value: Option<String>,
    },
    /// The schedule that is shipped does not decompress.
    #[error("the shipped schedule is damaged: {0}")]
    Packed(String),
    /// The schedule names an antigen that no antigen document describes.
    #[error("no supporting data for the antigen {0:?}")]
    Antigen(String),
}

impl Schedule {
    /// Loads one version under the label `version`: the bytes of `ScheduleSupportingData.xml` and of each
    /// `AntigenSupportingData-*.xml`.
    pub fn load<'a>(
        version: &str,
        schedule: &[u8],
        antigens: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, LoadError> {
        let root = read(schedule, "scheduleSupportingData")?;
        let mut loaded = Self { version: version.to_owned(), ..Self::default() };
        for document in antigens {
            loaded.antigens.push(antigen(&read(document, "antigenSupportingData")?)?);
        }
        loaded.antigens.sort_by(|a, b| a.name.cmp(&b.name));
        let position = loaded.antigens.iter().enumerate().map(|(at, antigen)| (antigen.name.clone(), at)).collect();
        for conflict in within(&root, "liveVirusConflicts", "liveVirusConflict") {
            let (vaccines, conflict) = live_conflict(conflict)?;
            loaded.conflicting.insert(vaccines.0);
            loaded.conflicts.insert(vaccines, conflict);
        }
        loaded.groups = groups(&root, &position)?;
        for map in within(&root, "cvxToAntigenMap", "cvxMap") {
            let associations =
                map.all("association").map(|node| association(node, &position)).collect::<Result<_, _>>()?;
            let cvx = number(map, "cvx")?;
            loaded.antigens_of.insert(cvx, associations);
            loaded.names.extend(map.get("shortDescription").map(|name| (cvx, name.to_owned())));
        }
        for observation in within(&root, "observations", "observation") {
            let code = number(observation, "observationCode")?;
            for value in observation.all("codedValues").flat_map(|values| values.all("codedValue")) {
                let key = (text(value, "codeSystem")?.to_owned(), text(value, "code")?.to_owned());
                loaded.coded.entry(key).or_default().push(code);
            }
        }
        Ok(loaded)
    }
}

fn read(bytes: &[u8], expected: &'static str) -> Result<Node, LoadError> {
    let root = Node::read(bytes)?;
    if root.name == expected { Ok(root) } else { Err(LoadError::Root { expected, found: root.name }) }
}

fn within<'a>(root: &'a Node, list: &'a str, item: &'a str) -> impl Iterator<Item = &'a Node> {
    root.all(list).flat_map(move |list| list.all(item))
}

fn unusable(node: &Node, element: &str) -> LoadError {
    LoadError::Value { element: element.to_owned(), value: node.get(element).map(str::to_owned) }
}

fn text<'a>(node: &'a Node, element: &str) -> Result<&'a str, LoadError> {
    node.get(element).ok_or_else(|| unusable(node, element))
}

fn number(node: &Node, element: &str) -> Result<u16, LoadError> {
    text(node, element)?.parse().map_err(|_| unusable(node, element))
}

fn period(node: &Node, element: &str) -> Result<Option<Period>, LoadError> {
    node.get(element).map(|text| Period::parse(text).ok_or_else(|| unusable(node, element))).transpose()
}

fn date(node: &Node, element: &str) -> Result<Option<Date>, LoadError> {
    node.get(element).map(|text| Date::of_schedule(text).ok_or_else(|| unusable(node, element))).transpose()
}

fn ages(node: &Node, begin: &str, end: &str) -> Result<AgeRange, LoadError> {
    Ok(AgeRange { begin: period(node, begin)?, end: period(node, end)? })
}

fn in_force(node: &Node) -> Result<InForce, LoadError> {
    Ok(InForce { effective: date(node, "effectiveDate")?, cessation: date(node, "cessationDate")? })
}

/// The codes of a list such as `01; 20;106`.
fn codes(node: &Node, element: &str) -> Result<Vec<Cvx>, LoadError> {
    let list = node.get(element).unwrap_or_default().split(';').map(str::trim).filter(|code| !code.is_empty());
    list.map(|code| code.parse().map_err(|_| unusable(node, element))).collect()
}

fn yes(node: &Node, element: &str) -> bool {
    matches!(node.get(element), Some("Yes" | "Y"))
}

fn live_conflict(node: &Node) -> Result<((Cvx, Cvx), Conflict), LoadError> {
    let cvx = |element| node.first(element).map_or_else(|| Err(unusable(node, element)), |node| number(node, "cvx"));
    let interval = |element| period(node, element)?.ok_or_else(|| unusable(node, element));
    let conflict = Conflict {
        begin: interval("conflictBeginInterval")?,
        short_end: interval("minConflictEndInterval")?,
        end: interval("conflictEndInterval")?,
    };
    Ok(((cvx("previous")?, cvx("current")?), conflict))
}

fn groups(root: &Node, position: &HashMap<String, usize>) -> Result<Vec<VaccineGroup>, LoadError> {
    let mut groups = Vec::new();
    for map in within(root, "vaccineGroupToAntigenMap", "vaccineGroupMap") {
        let name = text(map, "name")?;
        let antigens =
            map.all("antigen").filter_map(Node::value).map(|name| find(name, position)).collect::<Result<_, _>>()?;
        let group = within(root, "vaccineGroups", "vaccineGroup").find(|group| group.get("name") == Some(name));
        let full = group.is_some_and(|group| yes(group, "administerFullVaccineGroup"));
        groups.push(VaccineGroup { name: name.to_owned(), full, antigens });
    }
    Ok(groups)
}

fn find(antigen: &str, position: &HashMap<String, usize>) -> Result<usize, LoadError> {
    position.get(antigen).copied().ok_or_else(|| LoadError::Antigen(antigen.to_owned()))
}

fn association(node: &Node, position: &HashMap<String, usize>) -> Result<Association, LoadError> {
    let age = ages(node, "associationBeginAge", "associationEndAge")?;
    Ok(Association { antigen: find(text(node, "antigen")?, position)?, age })
}

fn antigen(root: &Node) -> Result<Antigen, LoadError> {
    let first = root.first("series").ok_or_else(|| unusable(root, "series"))?;
    let exclusion = |node: &Node| -> Result<Vec<ObservationCode>, LoadError> {
        node.all("exclusion").map(|exclusion| number(exclusion, "exclusionCode")).collect()
    };
    let mut antigen = Antigen {
        name: text(first, "targetDisease")?.to_owned(),
        immune_by: Vec::new(),
        immune_born: Vec::new(),
        contraindications: Vec::new(),
        vaccine_contraindications: Vec::new(),
        series: root.all("series").map(series::series).collect::<Result<_, _>>()?,
    };
    for node in within(root, "immunity", "clinicalHistory") {
        antigen.immune_by.push(number(node, "guidelineCode")?);
    }
    for node in within(root, "immunity", "dateOfBirth") {
        let date = date(node, "immunityBirthDate")?.ok_or_else(|| unusable(node, "immunityBirthDate"))?;
        let in_us = match node.get("birthCountry") {
            None => false,
            Some("U.S.") => true,
            Some(_) => return Err(unusable(node, "birthCountry")),
        };
        antigen.immune_born.push(BornBefore { date, in_us, unless: exclusion(node)? });
    }
    for node in root.all("contraindications").flat_map(|node| within(node, "vaccineGroup", "contraindication")) {
        let observation = number(node, "observationCode")?;
        antigen.contraindications.push(Circumstance { observation, age: ages(node, "beginAge", "endAge")? });
    }
    for node in root.all("contraindications").flat_map(|node| within(node, "vaccine", "contraindication")) {
        let vaccines = node.all("contraindicatedVaccine").map(vaccine).collect::<Result<_, _>>()?;
        let observation = number(node, "observationCode")?;
        antigen.vaccine_contraindications.push(VaccineContraindication { observation, vaccines });
    }
    Ok(antigen)
}

fn vaccine(node: &Node) -> Result<Vaccine, LoadError> {
    Ok(Vaccine {
        cvx: number(node, "cvx")?,
        age: ages(node, "beginAge", "endAge")?,
        mvx: node.get("tradeName").and(node.get("mvx")).map(str::to_owned),
        forecast: yes(node, "forecastVaccineType"),
    })
}
