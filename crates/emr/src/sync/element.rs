//! What an element is made of: what may be merged part by part, and what only makes sense whole.

use fhir::defs::{TypeId, r4};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Merged member by member.
    Object,
    /// A CodeableConcept.
    Concept,
    /// Taken whole: half of it would mean something else.
    Whole,
}

/// The element behind a member.
#[derive(Clone, Debug)]
pub(super) struct Element {
    pub(super) ty: TypeId,
    pub(super) kind: Kind,
}

/// Datatypes whose parts depend on each other: a value without its unit, a code without its system.
const WHOLE: [&str; 19] = [
    "Age",
    "Annotation",
    "Attachment",
    "Coding",
    "Count",
    "Distance",
    "Dosage",
    "Duration",
    "Extension",
    "Money",
    "Narrative",
    "Period",
    "Quantity",
    "Range",
    "Ratio",
    "Reference",
    "SampledData",
    "Signature",
    "Timing",
];

/// Elements that are one: (type, name of the element that stands for all, the others).
const TOGETHER: [(&str, &str, &[&str]); 7] = [
    ("Appointment", "start", &["end", "minutesDuration"]),
    ("Slot", "start", &["end"]),
    ("Observation", "value", &["dataAbsentReason", "interpretation"]),
    ("Condition", "clinicalStatus", &["verificationStatus", "abatement"]),
    ("AllergyIntolerance", "clinicalStatus", &["verificationStatus"]),
    ("MedicationRequest", "medication", &["dosageInstruction", "dispenseRequest"]),
    ("Immunization", "vaccineCode", &["doseQuantity"]),
];

impl Element {
    /// Of a member name; `_birthDate` and members that are not in the definitions are taken whole.
    pub(super) fn of(ty: TypeId, member: &str) -> Element {
        let defs = r4();
        let Some(property) = defs.ty(ty).property(member) else { return Element { ty, kind: Kind::Whole } };
        let type_name = defs.ty(property.ty).name;
        let kind = match type_name {
            "CodeableConcept" => Kind::Concept,
            name if WHOLE.contains(&name) => Kind::Whole,
            _ => Kind::Object,
        };
        Element { ty: property.ty, kind }
    }

    pub(super) fn type_name(&self) -> &'static str {
        r4().ty(self.ty).name
    }
}

/// The group of a member: its element without the type of a choice, or the element that stands for it.
pub(super) fn group_of(ty: TypeId, member: &str) -> String {
    let def = r4().ty(ty);
    let plain = member.strip_prefix('_').unwrap_or(member);
    let name = def.property(plain).map_or(plain, |property| property.element.name);
    let together =
        TOGETHER.iter().find(|(of, first, others)| *of == def.name && (*first == name || others.contains(&name)));
    together.map_or(name, |(_, first, _)| first).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ty(name: &str) -> TypeId {
        r4().resource_by_name(name).unwrap()
    }

    #[test]
    fn choices_extensions_and_dependent_elements_are_one_group() {
        let observation = ty("Observation");
        for member in ["valueQuantity", "valueString", "_valueString", "dataAbsentReason"] {
            assert_eq!(group_of(observation, member), "value");
        }
        assert_eq!(group_of(ty("Patient"), "_birthDate"), "birthDate");
        assert_eq!(group_of(ty("Appointment"), "minutesDuration"), "start");
        assert_eq!(group_of(ty("Patient"), "unknown"), "unknown");
    }

    #[test]
    fn names_of_the_tables_exist() {
        for name in WHOLE {
            assert!(r4().type_by_name(name).is_some(), "{name}");
        }
        for (name, first, others) in TOGETHER {
            let def = r4().ty(ty(name));
            assert!(def.element(first).is_some(), "{name}.{first}");
            assert!(others.iter().all(|other| def.element(other).is_some()), "{name}: {others:?}");
        }
    }

    #[test]
    fn a_quantity_is_whole_and_a_name_is_not() {
        assert_eq!(Element::of(ty("Observation"), "valueQuantity").kind, Kind::Whole);
        assert_eq!(Element::of(ty("Patient"), "name").kind, Kind::Object);
        assert_eq!(Element::of(ty("Patient"), "maritalStatus").kind, Kind::Concept);
    }
}
