//! A tenant's own weights: learnt from its records, kept by number, put in force and taken back.
//!
//! What is learnt comes from tokens alone, of a snapshot that nobody waits for. Putting weights in force parts nobody and
//! links nobody: what they would have decided otherwise goes to the review queue.

use crate::derive::{Review, Work, drift};
use crate::event::{self, reasons, round};
use crate::live::pair;
use crate::pages::each;
use crate::ring::REGISTRY;
use crate::row::{Link, PersonId};
use crate::tenancy::{Tenancy, parse_record};
use crate::{Registry, broken};
use engine::{Derived, Engine, Error, Feed, Keep, Session};
use identity::{Bands, Decision, Index, Weights};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use store::StateChange;

/// What the shipped weights are called.
pub const SHIPPED: &str = "shipped";
/// Fewer expected pairs of one person than this say nothing about persons.
const MATCHES_MIN: f32 = 50.0;
/// The same records teach the same weights.
const SEED: u64 = 1;
/// Which weights are in force.
const IN_FORCE: &str = "weights";
const KEPT: &str = "weights-";
/// Pairs that go to the review queue in one commit.
const STEP: usize = 64;
/// The most examples of each kind of change.
const EXAMPLES_MAX: usize = 100;

/// Weights as they are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptWeights {
    pub number: u32,
    /// When they were learnt, in microseconds since 1970.
    pub at_us: i64,
    pub by: String,
    /// Records they were learnt from.
    pub records: usize,
    /// Pairs of one person that were expected among them.
    pub matches: f32,
    pub rounds: usize,
    pub normaliser: u16,
    pub weights: Weights,
}

/// What was learnt, and what it would change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimated {
    pub in_force: Weights,
    pub weights: Weights,
    pub records: usize,
    pub matches: f32,
    pub rounds: usize,
    pub changes: Vec<Shift>,
    /// The number under which they are kept.
    pub saved: Option<u32>,
}

/// Pairs that would be decided otherwise in the same way.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Shift {
    /// `new`, `review` or `auto`.
    pub before: &'static str,
    pub after: &'static str,
    pub pairs: usize,
    /// How many of them are records of one person.
    pub linked: usize,
    pub examples: Vec<Example>,
}

/// A pair, without a word of either.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Example {
    /// Ids of the two Patients.
    pub records: [String; 2],
    pub bits_before: f64,
    pub bits_after: f64,
    pub reasons: Vec<String>,
}

/// What came of putting weights in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// What decisions are noted under now.
    pub version: String,
    /// Pairs that went to the review queue.
    pub reviews: usize,
}

/// The row of what is in force. Without one: the shipped weights.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InForce {
    /// `None`: the shipped ones.
    number: Option<u32>,
    /// Pairs that these decide otherwise than those did are still to be asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asking_since: Option<Weights>,
}

impl InForce {
    async fn load(feed: &Feed) -> Result<InForce, Error> {
        let bytes = feed.state(REGISTRY, IN_FORCE).await?;
        let parse = |bytes: Vec<u8>| serde_json::from_slice(&bytes).map_err(|error| broken("the weights", &error));
        bytes.map_or_else(|| Ok(InForce::default()), parse)
    }

    fn row(&self) -> StateChange {
        let value = serde_json::to_vec(self).expect("weights are plain data");
        StateChange { space: REGISTRY.into(), key: IN_FORCE.into(), value: Some(value) }
    }
}

/// The weights that a tenant has in force.
pub(crate) async fn in_force(feed: &Feed) -> Result<Weights, Error> {
    weights(feed, InForce::load(feed).await?.number).await
}

async fn weights(feed: &Feed, number: Option<u32>) -> Result<Weights, Error> {
    let Some(number) = number else { return Ok(Weights::default()) };
    let bytes = feed.state(REGISTRY, &format!("{KEPT}{number}")).await?;
    let bytes = bytes.ok_or_else(|| {
        Error::new(404, "not-found", format!("there are no weights {number}: see which are kept, or take {SHIPPED:?}"))
    })?;
    let kept: KeptWeights = serde_json::from_slice(&bytes).map_err(|error| broken("the weights", &error))?;
    Ok(kept.weights)
}

/// All records of a tenant at one moment.
#[derive(Default)]
struct Snapshot {
    index: Index,
    of: HashMap<u32, (Box<str>, PersonId, Link)>,
}

impl Snapshot {
    /// `tenancy.numbers` is held: the key is not changed meanwhile.
    async fn read(feed: &Feed, tenancy: &Tenancy) -> Result<Snapshot, Error> {
        let space = {
            let live = tenancy.live.read();
            live.comparable()?;
            live.ring.current.space.clone()
        };
        let mut snapshot = Snapshot::default();
        each(feed, &space, |id, bytes| {
            if let (person, link, Some(encoded)) = parse_record(bytes)? {
                let number = snapshot.index.insert(encoded);
                snapshot.of.insert(number, (id.into(), person, link));
            }
            Ok(())
        })
        .await?;
        Ok(snapshot)
    }

    fn is_linked(&self, (one, other): (u32, u32)) -> bool {
        self.of[&one].1 == self.of[&other].1
    }

    fn names(&self, (one, other): (u32, u32)) -> (&str, &str) {
        pair(&self.of[&one].0, &self.of[&other].0)
    }
}

fn code(decision: Decision) -> &'static str {
    match decision {
        Decision::New => "new",
        Decision::Review => "review",
        Decision::Auto => "auto",
    }
}

/// Pairs that are decided otherwise, without those that somebody has said are two people.
fn changes(snapshot: &Snapshot, tenancy: &Tenancy, before: &Weights, after: &Weights) -> Vec<identity::Change> {
    let (bands, apart) = {
        let live = tenancy.live.read();
        (live.bands.clone(), live.apart.clone())
    };
    let mut changes = identity::diff(&snapshot.index, (before, &bands), (after, &bands));
    changes.retain(|change| {
        let (one, other) = snapshot.names(change.records);
        apart.is_empty() || !apart.contains(&(one.into(), other.into()))
    });
    changes
}

fn shifts(
    snapshot: &Snapshot,
    changes: &[identity::Change],
    before: &Weights,
    after: &Weights,
    examples: usize,
) -> Vec<Shift> {
    let mut shifts: BTreeMap<(Decision, Decision), Shift> = BTreeMap::new();
    for change in changes {
        let shift = shifts.entry((change.before, change.after)).or_default();
        (shift.before, shift.after) = (code(change.before), code(change.after));
        shift.pairs += 1;
        shift.linked += usize::from(snapshot.is_linked(change.records));
        let (one, other) = change.records;
        let score = |weights| snapshot.index.score_pair(weights, one, other);
        if shift.examples.len() < examples.min(EXAMPLES_MAX)
            && let (Some(was), Some(is)) = (score(before), score(after))
        {
            let (one, other) = snapshot.names(change.records);
            shift.examples.push(Example {
                records: [one.to_owned(), other.to_owned()],
                bits_before: round(was.bits),
                bits_after: round(is.bits),
                reasons: reasons(&is),
            });
        }
    }
    shifts.into_values().collect()
}

impl Registry {
    /// Learns weights from the tenant's own records and compares them with those in force, with up to `examples` pairs of
    /// each change. With `save` they are kept. Takes a core and as much memory as the index for its time; others read and write.
    pub async fn estimate_weights(
        &self,
        engine: &Engine,
        session: &Session,
        save: bool,
        examples: usize,
    ) -> Result<Estimated, Error> {
        let tenancy = self.tenancy(&session.tenant)?;
        let feed = engine.feed(session).await?;
        let _numbers = tenancy.numbers.lock().await;
        let snapshot = Snapshot::read(&feed, &tenancy).await?;
        let in_force = tenancy.live.read().weights.clone();
        let learnt = identity::estimate(&snapshot.index, &Weights::default(), SEED);
        let learnt = learnt.filter(|learnt| learnt.matches >= MATCHES_MIN).ok_or_else(|| {
            let records = snapshot.index.len();
            let text = format!(
                "{records} records with fewer than {MATCHES_MIN} pairs of one person are too few to learn from: the shipped \
                 weights serve better"
            );
            Error::new(422, "business-rule", text)
        })?;
        let mut estimated = Estimated {
            in_force,
            weights: Weights { version: "estimated".to_owned(), ..learnt.weights },
            records: snapshot.index.len(),
            matches: learnt.matches,
            rounds: learnt.rounds,
            changes: Vec::new(),
            saved: None,
        };
        let changed = changes(&snapshot, &tenancy, &estimated.in_force, &estimated.weights);
        estimated.changes = shifts(&snapshot, &changed, &estimated.in_force, &estimated.weights, examples);
        if save {
            self.keep_weights(engine, session, &feed, &mut estimated).await?;
        }
        Ok(estimated)
    }

    async fn keep_weights(
        &self,
        engine: &Engine,
        session: &Session,
        feed: &Feed,
        estimated: &mut Estimated,
    ) -> Result<(), Error> {
        let last = kept(feed).await?.last().map_or(0, |kept| kept.number);
        let number = last + 1;
        estimated.weights.version = format!("estimated-{number}");
        let kept = KeptWeights {
            number,
            at_us: self.now_us(),
            by: session.who.id.clone(),
            records: estimated.records,
            matches: estimated.matches,
            rounds: estimated.rounds,
            normaliser: identity::VERSION,
            weights: estimated.weights.clone(),
        };
        let value = serde_json::to_vec(&kept).expect("weights are plain data");
        let change = StateChange { space: REGISTRY.into(), key: format!("{KEPT}{number}"), value: Some(value) };
        let audit = engine.audit_record(session, "create", "registry-weights".to_owned(), None, 200);
        feed.keep(Keep { state: vec![change], audit: vec![audit], ..Keep::default() }).await?;
        estimated.saved = Some(number);
        Ok(())
    }

    /// The weights that are kept, by number, and the number of those in force; `None`: the shipped ones.
    pub async fn kept_weights(
        &self,
        engine: &Engine,
        session: &Session,
    ) -> Result<(Vec<KeptWeights>, Option<u32>), Error> {
        let feed = engine.feed(session).await?;
        Ok((kept(&feed).await?, InForce::load(&feed).await?.number))
    }

    /// Puts weights in force; `None`: the shipped ones. Links and what people decided stand. Pairs that would be linked or asked
    /// about now, and links of matching that would not even be asked about, go to the review queue.
    pub async fn apply_weights(
        &self,
        engine: &Engine,
        session: &Session,
        number: Option<u32>,
    ) -> Result<Applied, Error> {
        let tenancy = self.tenancy(&session.tenant)?;
        let feed = engine.feed(session).await?;
        let _numbers = tenancy.numbers.lock().await;
        tenancy.live.read().comparable()?;
        // What an earlier change has left to ask about is asked by its own weights.
        self.ask(engine, session, &feed, &tenancy).await?;
        let weights = weights(&feed, number).await?;
        let version = weights.version.clone();
        let held = tenancy.locks.hold_all().await;
        let before = tenancy.live.read().weights.clone();
        let row = InForce { number, asking_since: Some(before.clone()) }.row();
        let payload = json!({
            "type": "weights-applied", "weights": version, "before": before.version, "by": session.who.id,
            "normaliser": identity::VERSION,
        });
        let derived = Derived {
            state: vec![row],
            events: vec![event::event(event::IDENTITY, &payload)],
            audit: vec![engine.audit_record(session, "update", "registry-weights".to_owned(), None, 200)],
            ..Derived::default()
        };
        engine.commit_derived(session, derived).await?;
        tenancy.live.write().weights = weights;
        drop(held);
        let reviews = self.ask(engine, session, &feed, &tenancy).await?;
        Ok(Applied { version, reviews })
    }

    /// Puts the pairs into the review queue that the weights in force decide otherwise than those before. `tenancy.numbers`
    /// is held. Answers how many there were.
    pub(crate) async fn ask(
        &self,
        engine: &Engine,
        session: &Session,
        feed: &Feed,
        tenancy: &std::sync::Arc<Tenancy>,
    ) -> Result<usize, Error> {
        let in_force = InForce::load(feed).await?;
        let Some(before) = &in_force.asking_since else { return Ok(0) };
        let snapshot = Snapshot::read(feed, tenancy).await?;
        let after = tenancy.live.read().weights.clone();
        let mut questions = duplicates(&snapshot, &changes(&snapshot, tenancy, before, &after), &after);
        questions.extend(drifted(&snapshot, &after, &tenancy.live.read().bands.clone()));
        let mut asked = 0;
        for step in questions.chunks(STEP) {
            asked += self.ask_some(engine, session, feed, tenancy, step).await?;
        }
        let done = InForce { number: in_force.number, asking_since: None };
        feed.keep(Keep { state: vec![done.row()], ..Keep::default() }).await?;
        Ok(asked)
    }

    async fn ask_some(
        &self,
        engine: &Engine,
        session: &Session,
        feed: &Feed,
        tenancy: &std::sync::Arc<Tenancy>,
        questions: &[(String, Review)],
    ) -> Result<usize, Error> {
        let persons: Vec<PersonId> = {
            let live = tenancy.live.read();
            let ids = questions.iter().flat_map(|(id, review)| [id, &review.other]);
            ids.filter_map(|id| Some(live.records.get(id.as_str())?.person)).collect()
        };
        let held = tenancy.locks.hold_persons(&persons).await;
        let mut work = Work::new(self, feed, tenancy.clone());
        let mut asked = 0;
        for (id, review) in questions {
            let still = {
                let live = tenancy.live.read();
                let person = |id: &str| live.records.get(id).map(|known| known.person);
                // What has been decided since the snapshot is not asked again.
                person(id).zip(person(&review.other)).filter(|(one, other)| {
                    let holds = persons.contains(one) && persons.contains(other);
                    holds && (one == other) == (review.kind == "drifted") && !live.reviews.has(id, &review.other)
                })
            };
            if let Some((person, _)) = still {
                work.review(person, id, review).await?;
                asked += 1;
            }
        }
        self.commit(engine, session, work, tenancy.clone(), held).await?;
        Ok(asked)
    }
}

async fn kept(feed: &Feed) -> Result<Vec<KeptWeights>, Error> {
    let mut all: Vec<KeptWeights> = Vec::new();
    each(feed, REGISTRY, |key, bytes| {
        if key.starts_with(KEPT) {
            all.push(serde_json::from_slice(bytes).map_err(|error| broken("the weights", &error))?);
        }
        Ok(())
    })
    .await?;
    all.sort_by_key(|kept| kept.number);
    Ok(all)
}

/// Records of two people who would be linked now, or asked about, and were not before.
fn duplicates(snapshot: &Snapshot, changes: &[identity::Change], after: &Weights) -> Vec<(String, Review)> {
    let grown = changes.iter().filter(|change| change.after > change.before && !snapshot.is_linked(change.records));
    let question = |change: &identity::Change| {
        let (one, other) = snapshot.names(change.records);
        let score = snapshot.index.score_pair(after, change.records.0, change.records.1)?;
        Some((one.to_owned(), Review { other: other.to_owned(), score, kind: "duplicate" }))
    };
    grown.filter_map(question).collect()
}

/// Records that matching has linked to a person of whom no other record would even be shown beside them now.
fn drifted(snapshot: &Snapshot, after: &Weights, bands: &Bands) -> Vec<(String, Review)> {
    let mut members: BTreeMap<PersonId, Vec<u32>> = BTreeMap::new();
    let mut numbers: Vec<u32> = snapshot.of.keys().copied().collect();
    numbers.sort_unstable();
    for number in numbers {
        members.entry(snapshot.of[&number].1).or_default().push(number);
    }
    let size = snapshot.index.len();
    let mut questions = Vec::new();
    for members in members.values().filter(|members| members.len() > 1) {
        for number in members.iter().filter(|number| snapshot.of[number].2 == Link::Auto) {
            let others = members.iter().filter(|other| *other != number);
            let scored = others.filter_map(|other| Some((*other, snapshot.index.score_pair(after, *number, *other)?)));
            if let Some((other, score)) = drift(bands, size, scored) {
                let (one, other) = (snapshot.of[number].0.to_string(), snapshot.of[&other].0.to_string());
                questions.push((one, Review { other, score, kind: "drifted" }));
            }
        }
    }
    questions
}
