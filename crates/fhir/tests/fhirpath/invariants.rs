//! Every invariant of R4 can be read, checked and evaluated; the official examples keep those that are errors.

use fhir::defs::{self, Definitions, InvariantId, TypeId, TypeKind};
use fhir::fhirpath::{Element, Environment, Expression, Item};
use fhir::json::{Document, Limits, Node};
use std::collections::BTreeSet;

/// 2024-06-01T12:00:00Z
const NOW_US: i64 = 1_717_243_200_000_000;

/// Examples that really violate an invariant: the code system has a code twice.
const VIOLATIONS: [(&str, &str); 1] = [("csd-1", "codesystem-example.json")];

/// Invariants that do not fit their type: R4's ChargeItemDefinition has no name.
const MISFITS: [&str; 1] = ["cid-0 on ChargeItemDefinition"];

struct Run<'d> {
    defs: &'d Definitions,
    expressions: Vec<Expression>,
    evaluated: usize,
    complaints: BTreeSet<String>,
}

impl<'d> Run<'d> {
    fn new(defs: &'d Definitions) -> Self {
        let parse = |source: &str| Expression::parse(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        let expressions = defs.invariants.iter().map(|invariant| parse(invariant.expression)).collect();
        Run { defs, expressions, evaluated: 0, complaints: BTreeSet::new() }
    }

    fn evaluate<'a>(&mut self, env: &Environment<'a>, element: Element<'a>, invariants: &[InvariantId], place: &str)
    where
        'd: 'a,
    {
        for id in invariants {
            let invariant = &self.defs.invariants[usize::from(id.0)];
            let expression = &self.expressions[usize::from(id.0)];
            self.evaluated += 1;
            match expression.evaluate_bool(env, Item::Element(element)) {
                Ok(Some(true) | None) => {}
                Ok(Some(false)) if !invariant.is_error => {}
                Ok(Some(false)) => drop(self.complaints.insert(format!("{} does not hold: {place}", invariant.key))),
                Err(error) => drop(self.complaints.insert(format!("{}: {error}: {place}", invariant.key))),
            }
        }
    }

    fn resource<'a>(&mut self, node: Node<'a>, root: Node<'a>, place: &str)
    where
        'd: 'a,
    {
        let Some(ty) = node.str("resourceType").and_then(|name| self.defs.resource_by_name(&name)) else {
            return;
        };
        let mut env = Environment::new(self.defs, node, NOW_US);
        env.root_resource = Some(root);
        self.evaluate(&env, Element::resource(self.defs, node), &self.defs.ty(ty).invariants, place);
        self.members(&env, node, ty, root, place);
    }

    fn members<'a>(&mut self, env: &Environment<'a>, node: Node<'a>, ty: TypeId, root: Node<'a>, place: &str)
    where
        'd: 'a,
    {
        for (member, value) in node.members() {
            let name = member.strip_prefix('_').unwrap_or(&member);
            let Some(property) = self.defs.ty(ty).property(name) else {
                continue;
            };
            if self.defs.ty(property.ty).kind == TypeKind::Resource {
                let is_bundled = self.defs.ty(ty).name == "Bundle.entry";
                value.each().for_each(|value| self.resource(value, if is_bundled { value } else { root }, place));
                continue;
            }
            if member.starts_with('_') {
                continue;
            }
            for value in value.each() {
                let element = Element { node: Some(value), sibling: None, ty: Some(property.ty) };
                let mut invariants = property.element.invariants.clone();
                invariants.extend(&self.defs.ty(property.ty).invariants);
                invariants.sort_by_key(|id| id.0);
                invariants.dedup();
                self.evaluate(env, element, &invariants, place);
                self.members(env, value, property.ty, root, place);
            }
        }
    }
}

#[test]
fn invariants_fit_their_types() {
    let defs = defs::r4();
    let run = Run::new(defs);
    assert!(run.expressions.len() >= 237, "{} invariants", run.expressions.len());
    let mut wrong = BTreeSet::new();
    for (index, ty) in defs.types.iter().enumerate() {
        let id = TypeId(u16::try_from(index).unwrap());
        let own = ty.invariants.iter().map(|invariant| (invariant, id));
        let of_elements = ty.elements.iter().filter(|element| !element.is_choice).filter_map(|element| {
            element.types.first().map(|ty| element.invariants.iter().map(move |invariant| (invariant, *ty)))
        });
        for (invariant, context) in own.chain(of_elements.flatten()) {
            if let Err(error) = run.expressions[usize::from(invariant.0)].check(defs, context) {
                let key = defs.invariants[usize::from(invariant.0)].key;
                wrong.insert(format!("{key} on {}: {error}", defs.ty(context).name));
            }
        }
    }
    wrong.retain(|line| !MISFITS.iter().any(|misfit| line.starts_with(misfit)));
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn examples_keep_the_invariants() {
    let mut run = Run::new(defs::r4());
    let folder = crate::support::shared_data().join("fhirpath/input/examples");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let bytes = std::fs::read(&path).unwrap();
            let document = Document::parse(&bytes, &Limits::default()).unwrap();
            run.resource(document.root(), document.root(), &path.file_name().unwrap().to_string_lossy());
            files += 1;
        }
    }
    assert!(files >= 70 && run.evaluated >= 1500, "{files} files, {} evaluations", run.evaluated);
    for (key, file) in VIOLATIONS {
        assert!(run.complaints.remove(&format!("{key} does not hold: {file}")), "{key} holds: {file}");
    }
    assert!(run.complaints.is_empty(), "{}", run.complaints.into_iter().collect::<Vec<_>>().join("\n"));
}
