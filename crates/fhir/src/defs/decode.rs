//! From `defs/r4.bin` to [`Definitions`].
//!
//! The file is zstd-compressed UTF-8 text, one record per line, fields separated by tabs; a field that lists several
//! things separates them by commas. The first letter says what the line is:
//!
//! | line | fields |
//! |---|---|
//! | `V` value set | url |
//! | `C` code of the value set above | system, code |
//! | `I` invariant | key (`key@2` where R4 uses one key twice), 1 = error, human text, expression |
//! | `T` type | name, kind (`R`esource, `D`atatype, `P`rimitive, `B`ackbone), base, 1 = abstract, invariants |
//! | `E` element of the type above | name, min, max (`*` = unbounded), 1 = choice, types, targets, value set, 1 = summary, 1 = modifier, invariants |
//! | `P` search parameter | resource, code, type, targets, url, expression, documentation |
//! | `M` component of the composite above | code of the parameter, expression |
//! | `O` compartment | owner |
//! | `R` member of the compartment above | resource, codes of parameters |

use super::members::Members;
use super::{
    Compartment, Component, Definitions, ElementDef, Invariant, InvariantId, ParamDef, ParamId, ParamType, TypeDef,
    TypeId, TypeKind, ValueSet, ValueSetId,
};
use std::collections::HashMap;

static PACKED: &[u8] = include_bytes!("../../defs/r4.bin");
/// Far above the real size; a bound only because zstd wants one.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// Decodes the checked-in table. It is part of the build, so damage is a bug and panics.
pub(super) fn decode() -> Definitions {
    let bytes = zstd::bulk::decompress(PACKED, TEXT_BYTES_MAX).expect("r4.bin is zstd");
    let text: &'static str = String::from_utf8(bytes).expect("r4.bin is UTF-8").leak();
    let mut decoder = Decoder::default();
    for line in text.lines().filter(|line| line.starts_with("T\t")) {
        let name = line.split('\t').nth(1).expect("a type has a name");
        decoder.type_ids.insert(name, TypeId(decoder.type_ids.len() as u16));
    }
    for line in text.lines() {
        decoder.line(line);
    }
    decoder.finish()
}

#[derive(Default)]
struct Decoder {
    defs: Definitions,
    type_ids: HashMap<&'static str, TypeId>,
    value_set_ids: HashMap<&'static str, ValueSetId>,
    invariant_ids: HashMap<&'static str, InvariantId>,
    /// Composite components whose parameter may follow later: (composite, code, expression).
    components: Vec<(ParamId, &'static str, &'static str)>,
    hash: u64,
}

/// The fields of a line; a missing one is empty.
struct Fields(std::str::Split<'static, char>);

impl Fields {
    fn next(&mut self) -> &'static str {
        self.0.next().unwrap_or("")
    }

    fn flag(&mut self) -> bool {
        self.next() == "1"
    }

    fn list(&mut self) -> impl Iterator<Item = &'static str> {
        self.next().split(',').filter(|item| !item.is_empty())
    }
}

impl Decoder {
    fn line(&mut self, line: &'static str) {
        let mut fields = Fields(line.split('\t'));
        match fields.next() {
            "V" => {
                let url = fields.next();
                self.value_set_ids.insert(url, ValueSetId(self.defs.value_sets.len() as u16));
                self.defs.value_sets.push(ValueSet { url, codes: Vec::new() });
            }
            "C" => {
                let code = (fields.next(), fields.next());
                self.defs.value_sets.last_mut().expect("a code follows its value set").codes.push(code);
            }
            "I" => {
                let id = fields.next();
                self.invariant_ids.insert(id, InvariantId(self.defs.invariants.len() as u16));
                let key = id.split('@').next().unwrap_or(id);
                let (is_error, human, expression) = (fields.flag(), fields.next(), fields.next());
                self.defs.invariants.push(Invariant { key, is_error, human, expression });
            }
            "T" => self.ty(fields),
            "E" => self.element(fields),
            "P" => self.param(fields),
            "M" => {
                let composite = ParamId(self.defs.params.len() as u16 - 1);
                self.components.push((composite, fields.next(), fields.next()));
            }
            "O" => {
                let owner = self.type_ids[fields.next()];
                self.defs.compartments.push(Compartment { owner, members: Vec::new() });
            }
            "R" => self.member(fields),
            other => panic!("r4.bin has a line of unknown kind {other}"),
        }
    }

    /// Ids depend on the order of types and parameters: both go into the fingerprint (FNV-1a).
    fn stamp(&mut self, parts: &[&str]) {
        for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn ty(&mut self, mut fields: Fields) {
        let name = fields.next();
        self.stamp(&[name]);
        let kind = match fields.next() {
            "R" => TypeKind::Resource,
            "D" => TypeKind::Datatype,
            "P" => TypeKind::Primitive,
            _ => TypeKind::Backbone,
        };
        let base = self.type_ids.get(fields.next()).copied();
        let is_abstract = fields.flag();
        let invariants = fields.list().map(|key| self.invariant_ids[key]).collect();
        self.defs.types.push(TypeDef {
            name,
            kind,
            base,
            is_abstract,
            elements: Vec::new(),
            invariants,
            members: Members::default(),
        });
    }

    fn element(&mut self, mut fields: Fields) {
        let element = ElementDef {
            name: fields.next(),
            min: fields.next().parse().unwrap_or(0),
            max: match fields.next() {
                "*" => u16::MAX,
                max => max.parse().unwrap_or(1),
            },
            is_choice: fields.flag(),
            types: fields.list().map(|name| self.type_ids[name]).collect(),
            targets: fields.list().filter_map(|name| self.type_ids.get(name).copied()).collect(),
            binding: self.value_set_ids.get(fields.next()).copied(),
            is_summary: fields.flag(),
            is_modifier: fields.flag(),
            invariants: fields.list().map(|key| self.invariant_ids[key]).collect(),
        };
        self.defs.types.last_mut().expect("an element follows its type").elements.push(element);
    }

    fn param(&mut self, mut fields: Fields) {
        let (resource, code, ty) = (fields.next(), fields.next(), fields.next());
        let targets: Vec<TypeId> = fields.list().filter_map(|name| self.type_ids.get(name).copied()).collect();
        let (url, expression, documentation) = (fields.next(), fields.next(), fields.next());
        self.stamp(&[resource, code, ty, expression]);
        let ty = match ty {
            "number" => ParamType::Number,
            "date" => ParamType::Date,
            "string" => ParamType::String,
            "token" => ParamType::Token,
            "reference" => ParamType::Reference,
            "composite" => ParamType::Composite,
            "quantity" => ParamType::Quantity,
            "uri" => ParamType::Uri,
            _ => ParamType::Special,
        };
        let resource = self.type_ids[resource];
        let components = Vec::new();
        self.defs.params.push(ParamDef { code, resource, ty, expression, targets, components, url, documentation });
    }

    fn member(&mut self, mut fields: Fields) {
        let resource = self.type_ids[fields.next()];
        // `{def}` stands for the resource itself and is no parameter.
        let params = fields.list().filter_map(|code| self.defs.param_by_code(resource, code)).collect();
        let compartment = self.defs.compartments.last_mut().expect("a member follows its compartment");
        compartment.members.push((resource, params));
    }

    fn finish(mut self) -> Definitions {
        for (composite, code, expression) in self.components {
            let resource = self.defs.params[usize::from(composite.0)].resource;
            let param = self.defs.param_by_code(resource, code).expect("a component is a parameter of its resource");
            self.defs.params[usize::from(composite.0)].components.push(Component { param, expression });
        }
        let names: Vec<&'static str> = self.defs.types.iter().map(|ty| ty.name).collect();
        for ty in &mut self.defs.types {
            ty.members = Members::new(&ty.elements, |id| names[usize::from(id.0)]);
        }
        self.defs.types_by_name = self.type_ids;
        self.defs.fingerprint = self.hash;
        self.defs
    }
}
