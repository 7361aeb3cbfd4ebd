//! Random histories: edits and deletions here and there, pulls, pushes, writes whose outcome stays unknown, in any order. In the
//! end both sides agree wherever no conflict is open; no edit is lost without a trace; nobody writes more often than people do.
//!
//! `WEIR_SYNC_HISTORIES` sets how many (200; the proof runs 10,000).

use delivery::Remote;
use emr::sync::{Base, Kind, Pair, canonical, project};
use fhir::defs::{TypeId, r4};
use fhir::json::Value;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug)]
enum Side {
    Here,
    There,
}

#[derive(Clone, Debug)]
enum Step {
    /// Sets an element to its n-th value; 0 removes it.
    Edit(Side, usize, u8),
    Pull,
    /// Reads first, then writes, as the connector does.
    Push,
    /// The write arrives and nobody is told.
    PushUnknown,
    /// The write does not arrive and nobody is told.
    PushLost,
}

/// Elements of a Patient that may change: by a rule of each kind.
const ELEMENTS: [&str; 9] =
    ["family", "given", "gender", "birthDate", "phone", "email", "identifier", "contact", "language"];

fn step() -> impl Strategy<Value = Step> {
    let side = prop_oneof![Just(Side::Here), Just(Side::There)];
    prop_oneof![
        6 => (side, 0..ELEMENTS.len(), 0..4_u8).prop_map(|(side, element, value)| Step::Edit(side, element, value)),
        3 => Just(Step::Pull),
        3 => Just(Step::Push),
        1 => Just(Step::PushUnknown),
        1 => Just(Step::PushLost),
    ]
}

type Content = BTreeMap<usize, u8>;

/// The resource whose elements have these values.
fn patient(content: &Content) -> Value {
    let of = |name: &str| {
        let at = ELEMENTS.iter().position(|element| *element == name)?;
        content.get(&at).copied().filter(|value| *value > 0)
    };
    let mut members = vec![r#""resourceType":"Patient""#.to_owned()];
    let mut name = vec![r#""use":"official""#.to_owned()];
    name.extend(of("family").map(|n| format!(r#""family":"F{n}""#)));
    name.extend(of("given").map(|n| format!(r#""given":["G{n}"]"#)));
    members.push(format!(r#""name":[{{{}}}]"#, name.join(",")));
    members.extend(of("gender").map(|n| format!(r#""gender":"{}""#, ["male", "female", "other"][usize::from(n) - 1])));
    members.extend(of("birthDate").map(|n| format!(r#""birthDate":"199{n}-01-01""#)));
    let phone = of("phone").map(|n| format!(r#"{{"system":"phone","value":"{n}"}}"#));
    let email = of("email").map(|n| format!(r#"{{"system":"email","value":"{n}"}}"#));
    let telecom: Vec<String> = phone.into_iter().chain(email).collect();
    if !telecom.is_empty() {
        members.push(format!(r#""telecom":[{}]"#, telecom.join(",")));
    }
    members.extend(of("identifier").map(|n| format!(r#""identifier":[{{"system":"urn:c","value":"{n}"}}]"#)));
    members.extend(
        of("contact")
            .map(|n| format!(r#""contact":[{{"gender":"{}"}}]"#, ["male", "female", "other"][usize::from(n) - 1])),
    );
    members.extend(of("language").map(|n| format!(r#""language":"l{n}""#)));
    Value::parse(&format!("{{{}}}", members.join(","))).unwrap()
}

/// One pair of resources with a person at each end.
struct World {
    ty: TypeId,
    kind: Kind,
    here: Value,
    there: Value,
    pair: Pair,
    /// Writes that synchronisation made, and changes of content that people made, on each side.
    wrote: [usize; 2],
    edited: [usize; 2],
    /// Elements with a conflict or a value that a rule has set aside.
    told: Vec<String>,
    /// Pushes that the outcome of an unknown write made necessary.
    repeated: usize,
}

impl World {
    fn new(kind: Kind) -> World {
        let content = (0..ELEMENTS.len()).map(|element| (element, 1)).collect();
        let whole = patient(&content);
        let ty = r4().resource_by_name("Patient").unwrap();
        let there = match kind {
            Kind::Fhir => whole.clone(),
            Kind::OpenEmr => keeps(ty, &whole),
        };
        let pair = Pair::twins(Remote::default(), kind, ty, &there);
        let ours = project(kind, ty, &whole, &there);
        let pair = Pair { base: Base { ours, ..pair.base }, ..pair };
        let (wrote, edited, told) = ([0; 2], [0; 2], Vec::new());
        World { ty, kind, here: whole, there, pair, wrote, edited, told, repeated: 0 }
    }

    fn edit(&mut self, side: Side, element: usize, value: u8) {
        let (resource, at) = match side {
            Side::Here => (&mut self.here, 0),
            Side::There => (&mut self.there, 1),
        };
        let one = |value: u8| patient(&BTreeMap::from([(element, value)]));
        let new = change(resource, ELEMENTS[element], &one(value));
        let new = match (self.kind, side) {
            (Kind::OpenEmr, Side::There) => keeps(self.ty, &new),
            _ => new,
        };
        if canonical(&new) != canonical(resource) {
            *resource = new;
            self.edited[at] += 1;
        }
    }

    fn pull(&mut self) {
        let incoming = self.pair.incoming(self.kind, self.ty, &self.here, &self.there);
        self.told.extend(incoming.conflicts.into_iter().map(|conflict| conflict.path));
        self.told.extend(incoming.overruled.into_iter().map(|overruled| overruled.path));
        if let Some(ours) = incoming.ours {
            self.here = ours;
            self.wrote[0] += 1;
        }
        self.pair = incoming.next;
    }

    fn push(&mut self, arrives: bool, answered: bool) {
        // The connector reads before it writes.
        self.pull();
        let Some(outgoing) = self.pair.outgoing(self.kind, self.ty, &self.here) else { return };
        self.pair = self.pair.sending(&outgoing);
        if arrives {
            let before = project(self.kind, self.ty, &self.there, &self.there);
            let whole = self.there.clone();
            self.there = emr::sync::overlay(self.kind, self.ty, &whole, &before, &outgoing.theirs);
            self.wrote[1] += 1;
        }
        if answered {
            self.pair = self.pair.arrived(Remote::default());
        } else {
            self.repeated += 1;
        }
    }

    fn settle(&mut self) {
        for _ in 0..3 {
            self.push(true, true);
        }
        self.pull();
    }
}

/// What an OpenEMR keeps of a resource.
fn keeps(ty: TypeId, whole: &Value) -> Value {
    let nothing = Value::Object(Vec::new());
    let mut kept = project(Kind::OpenEmr, ty, whole, &nothing);
    kept.set("resourceType", "Patient");
    kept
}

/// `resource` with one element as `one` has it.
fn change(resource: &Value, element: &str, one: &Value) -> Value {
    let mut new = resource.clone();
    let Value::Object(members) = &mut new else { return new };
    match element {
        "family" | "given" => {
            let value = one.list("name")[0].get(element).cloned();
            let Some((_, Value::Array(names))) = members.iter_mut().find(|(name, _)| name == "name") else {
                return new;
            };
            let Value::Object(parts) = &mut names[0] else { return new };
            parts.retain(|(name, _)| name != element);
            parts.extend(value.map(|value| (element.to_owned(), value)));
        }
        "phone" | "email" => {
            let mut list = resource.list("telecom").to_vec();
            list.retain(|telecom| telecom.str("system") != Some(element));
            list.extend(one.list("telecom").iter().cloned());
            members.retain(|(name, _)| name != "telecom");
            if !list.is_empty() {
                members.push(("telecom".into(), list.into()));
            }
        }
        _ => {
            members.retain(|(name, _)| name != element);
            members.extend(one.get(element).cloned().map(|value| (element.to_owned(), value)));
        }
    }
    new
}

/// The elements in which both sides differ.
fn differences(world: &World) -> Vec<String> {
    let ours = project(world.kind, world.ty, &world.here, &world.there);
    let theirs = project(world.kind, world.ty, &world.there, &world.there);
    differing(world.ty, &ours, &theirs)
}

/// The elements in which two resources differ.
pub(crate) fn differences_of(ty: TypeId, ours: &Value, theirs: &Value) -> Vec<String> {
    differing(ty, &project(Kind::Fhir, ty, ours, theirs), &project(Kind::Fhir, ty, theirs, theirs))
}

/// Each side keeps its own order in lists.
fn differing(ty: TypeId, ours: &Value, theirs: &Value) -> Vec<String> {
    let sorted = |resource: &Value, name: &str| {
        let mut texts: Vec<String> = resource.list(name).iter().map(Value::to_string).collect();
        texts.sort_unstable();
        (texts.is_empty().then(|| resource.get(name).cloned()), texts)
    };
    let members = |resource: &Value| match resource {
        Value::Object(members) => members.iter().map(|(name, _)| name.clone()).collect(),
        _ => Vec::new(),
    };
    let names: BTreeSet<String> = [members(ours), members(theirs)].concat().into_iter().collect();
    let differ = names.into_iter().filter(|name| sorted(ours, name) != sorted(theirs, name));
    differ.map(|name| format!("{}.{name}", r4().ty(ty).name)).collect()
}

fn histories() -> u32 {
    let set = std::env::var_os("WEIR_SYNC_HISTORIES");
    set.and_then(|text| text.to_str()?.parse().ok()).unwrap_or(200)
}

fn run(kind: Kind, steps: &[Step]) -> World {
    let mut world = World::new(kind);
    for step in steps {
        match step {
            Step::Edit(side, element, value) => world.edit(*side, *element, *value),
            Step::Pull => world.pull(),
            Step::Push => world.push(true, true),
            Step::PushUnknown => world.push(true, false),
            Step::PushLost => world.push(false, false),
        }
    }
    world.settle();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(), failure_persistence: None, max_global_rejects: 50 * histories(), ..ProptestConfig::default() })]

    #[test]
    fn both_sides_converge_and_nobody_writes_more_than_people(
        steps in proptest::collection::vec(step(), 1..40),
        openemr in any::<bool>(),
    ) {
        let kind = if openemr { Kind::OpenEmr } else { Kind::Fhir };
        let mut world = run(kind, &steps);
        for path in differences(&world) {
            let is_told = world.told.iter().any(|told| told.starts_with(&path) || path.starts_with(told));
            prop_assert!(is_told, "{path} differs and nobody was told: {:?}", world.told);
        }
        // A write here follows edits there, and the other way round; decisions of rules are ours to write back.
        prop_assert!(world.wrote[0] <= world.edited[1], "{:?} {:?}", world.wrote, world.edited);
        let allowed = world.edited[0] + world.repeated;
        prop_assert!(world.wrote[1] <= allowed, "{:?} {:?}", world.wrote, world.edited);
        // It is quiet now.
        let wrote = world.wrote;
        world.settle();
        prop_assert_eq!(wrote, world.wrote);
    }

    #[test]
    fn no_edit_is_lost_without_a_trace(
        steps in proptest::collection::vec(step(), 1..40),
        last in (prop_oneof![Just(Side::Here), Just(Side::There)], 0..ELEMENTS.len(), 0..4_u8),
    ) {
        let mut world = run(Kind::Fhir, &steps);
        // The last word on an element, said while the other side is quiet, is the one that holds on both.
        let (side, element, value) = last;
        let before = world.edited;
        world.edit(side, element, value);
        prop_assume!(before != world.edited);
        let said = match side { Side::Here => world.here.clone(), Side::There => world.there.clone() };
        world.told.clear();
        world.settle();
        prop_assert_eq!(&world.told, &Vec::<String>::new());
        let one = |resource: &Value| part(resource, ELEMENTS[element]);
        prop_assert_eq!(one(&world.here), one(&said));
        prop_assert_eq!(one(&world.there), one(&said));
    }

    #[test]
    fn each_edit_is_there_in_the_end_or_was_overruled_or_replaced(
        before in proptest::collection::vec(step(), 0..20),
        here in (0..ELEMENTS.len(), 1..4_u8),
        there in (0..ELEMENTS.len(), 1..4_u8),
        unknown in any::<bool>(),
    ) {
        let mut world = run(Kind::Fhir, &before);
        world.told.clear();
        // Two people at the same time.
        let quiet = world.edited;
        world.edit(Side::Here, here.0, here.1);
        if unknown {
            world.push(true, false);
        }
        world.edit(Side::There, there.0, there.1);
        let said = [world.edited[0] > quiet[0], world.edited[1] > quiet[1]];
        prop_assume!(said == [true, true]);
        let (ours, theirs) = (world.here.clone(), world.there.clone());
        world.settle();
        for (said, element) in [(&ours, here.0), (&theirs, there.0)] {
            let wanted = part(said, ELEMENTS[element]);
            let kept = part(&world.here, ELEMENTS[element]) == wanted && part(&world.there, ELEMENTS[element]) == wanted;
            let both = here.0 == there.0;
            // A list that is a union keeps what both have said.
            let union = matches!(ELEMENTS[element], "phone" | "email" | "identifier");
            prop_assert!(kept || both && (union || unknown || !world.told.is_empty()), "{} {:?}", ELEMENTS[element], world.told);
        }
    }
}

/// One element of a resource.
fn part(resource: &Value, element: &str) -> Option<Value> {
    match element {
        "family" | "given" => resource.list("name").first()?.get(element).cloned(),
        "phone" | "email" => {
            let list: Vec<Value> =
                resource.list("telecom").iter().filter(|one| one.str("system") == Some(element)).cloned().collect();
            (!list.is_empty()).then(|| canonical(&list.into()))
        }
        _ => resource.get(element).map(canonical),
    }
}
