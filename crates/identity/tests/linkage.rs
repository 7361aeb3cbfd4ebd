//! The public data sets: how well records are matched whose truth is known. Figures and limits are those of issue 4.

use identity::labelled::{Labelled, Quality};
use identity::{Bands, Clusters, Decision, Index, Keys, Score, Weights, diff, estimate};
use std::path::PathBuf;
use std::sync::LazyLock;

const SEED: u64 = 1;

fn data(name: &str) -> String {
    let shared = std::env::var_os("WEIR_SHARED_DATA").map(PathBuf::from);
    let beside = || {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|folder| folder.join("shared/data"))
            .find(|it| it.is_dir())
    };
    let folder = shared.or_else(beside).expect("shared/data next to the project, or WEIR_SHARED_DATA");
    std::fs::read_to_string(folder.join("linkage").join(name)).expect("the file is there")
}

fn keys() -> Keys {
    Keys::new(seal::DataKey::generate(&|out| out.fill(7)))
}

/// A data set with its index, and its pairs scored by weights learnt without labels.
struct Learnt {
    set: Labelled,
    index: Index,
    start: Weights,
    weights: Weights,
    scored: Vec<(u32, u32, Score)>,
}

impl Learnt {
    fn of(files: &[&str], household_cap: f32) -> Learnt {
        let (keys, mut set, mut index) = (keys(), Labelled::default(), Index::default());
        for file in files {
            set.read(&keys, &data(file)).expect("readable");
        }
        for record in &set.records {
            index.insert(record.clone());
        }
        let start = Weights { household_cap, ..Weights::default() };
        let weights = estimate(&index, &start, SEED).expect("thousands of records").weights;
        let scored = |(one, other)| Some((one, other, index.score_pair(&weights, one, other)?));
        let mut scored: Vec<_> = index.pairs().filter_map(scored).collect();
        scored.sort_by(|one, other| other.2.bits.total_cmp(&one.2.bits));
        Learnt { set, index, start, weights, scored }
    }

    /// The best F1 of all thresholds, as the published figures are given.
    fn best_f1(&self) -> f64 {
        self.set.best(self.scored.iter().map(|(one, other, _)| (*one, *other))).f1()
    }

    /// The pairs that are decided at least so by the default bands.
    fn decided(&self, least: Decision) -> Quality {
        let bands = Bands::default();
        let kept = self.scored.iter().filter(|(_, _, score)| bands.decide(score, self.index.len()) >= least);
        self.set.quality(kept.map(|(one, other, _)| (*one, *other)))
    }
}

static CLINIC: LazyLock<Learnt> = LazyLock::new(|| Learnt::of(&["vaxid_5k.csv"], Weights::default().household_cap));
static FEBRL: LazyLock<Learnt> = LazyLock::new(|| Learnt::of(&["dataset4a.csv", "dataset4b.csv"], f32::INFINITY));

#[test]
fn the_best_threshold_reaches_the_published_figures() {
    let (clinic, febrl) = (CLINIC.best_f1(), FEBRL.best_f1());
    assert!(clinic >= 0.975, "vaxid_5k F1 {clinic:.4}");
    assert!(febrl >= 0.995, "FEBRL 4 F1 {febrl:.4}");
}

#[test]
fn what_is_linked_without_asking_is_right() {
    for (name, learnt, recall) in [("vaxid_5k", &*CLINIC, 0.92), ("FEBRL 4", &*FEBRL, 0.81)] {
        let auto = learnt.decided(Decision::Auto);
        assert!(auto.precision() >= 0.995, "{name}: precision {:.4}", auto.precision());
        assert!(auto.recall() >= recall, "{name}: recall {:.4}", auto.recall());
    }
}

#[test]
fn what_is_missed_is_in_the_review_queue() {
    for (name, learnt) in [("vaxid_5k", &*CLINIC), ("FEBRL 4", &*FEBRL)] {
        let shown = learnt.decided(Decision::Review);
        assert!(shown.recall() >= 0.99, "{name}: recall {:.4}", shown.recall());
    }
}

/// Records that arrive one after the other, with the shipped weights: clusters are made as they come.
#[test]
fn arriving_records_find_their_person() {
    let set = &CLINIC.set;
    let mut index = Clusters::default();
    for record in &set.records {
        index.admit(&Weights::default(), &Bands::default(), record.clone());
    }
    let quality = set.quality(index.linked());
    assert!(quality.precision() >= 0.995, "precision {:.4}", quality.precision());
    assert!(quality.recall() >= 0.93, "recall {:.4}", quality.recall());
    assert_eq!(index.index().skipped(), 0, "no key of so small a set is too common");
}

/// All pairs known at once, with learnt weights: a person's records are found through each other.
#[test]
fn clusters_made_anew_keep_their_precision() {
    let mut index = Clusters::default();
    for record in &CLINIC.set.records {
        index.insert(record.clone());
    }
    let bands = Bands::default();
    let auto = |(_, _, score): &&(u32, u32, Score)| bands.decide(score, CLINIC.index.len()) == Decision::Auto;
    index.recluster(&CLINIC.weights, CLINIC.scored.iter().filter(auto).copied().collect());
    let quality = CLINIC.set.quality(index.linked());
    assert!(quality.precision() >= 0.995, "precision {:.4}", quality.precision());
    assert!(quality.recall() > CLINIC.decided(Decision::Auto).recall(), "recall {:.4}", quality.recall());
    index.recluster(&CLINIC.weights, Vec::new());
    assert_eq!(index.linked().count(), 0, "nothing is left of former clusters");
}

#[test]
fn a_dry_run_names_the_pairs_that_would_be_decided_otherwise() {
    let bands = Bands::default();
    let same = diff(&CLINIC.index, (&CLINIC.weights, &bands), (&CLINIC.weights, &bands));
    assert_eq!(same, []);
    let changes = diff(&CLINIC.index, (&CLINIC.start, &bands), (&CLINIC.weights, &bands));
    let size = CLINIC.index.len();
    assert!(!changes.is_empty() && changes.len() < CLINIC.scored.len() / 10, "{} changes", changes.len());
    for change in changes {
        let (one, other) = change.records;
        let decide = |weights| CLINIC.index.score_pair(weights, one, other).map(|score| bands.decide(&score, size));
        assert_eq!(decide(&CLINIC.start), Some(change.before));
        assert_eq!(decide(&CLINIC.weights), Some(change.after));
        assert_ne!(change.before, change.after);
    }
}

/// [`Index::matches`] leaves out pairs before it has looked at all of them: exactly those that are not worth it.
#[test]
fn matches_are_the_pairs_that_are_worth_it() {
    let (index, weights, bands) = (&CLINIC.index, Weights::default(), Bands::default());
    let mut expected = 0;
    for (one, other) in index.pairs() {
        let score = index.score_pair(&weights, one, other).expect("both are there");
        expected += 2 * usize::from(bands.decide(&score, index.len()) > Decision::New);
    }
    let mut found = 0;
    for (number, record) in (0..).zip(&CLINIC.set.records) {
        let matches = index.matches(&weights, &bands, record);
        found += matches.iter().filter(|it| it.record != number).count();
        assert!(matches.iter().all(|it| index.score(&weights, record, it.record) == Some(it.score)));
    }
    assert_eq!(found, expected);
    assert!(found > 10_000, "{found}");
}

#[test]
fn under_another_key_nothing_matches() {
    let other = Keys::new(seal::DataKey::generate(&|out| out.fill(8)));
    let mut set = Labelled::default();
    set.read(&other, &data("vaxid_5k.csv")).expect("readable");
    let mut index = Index::default();
    for record in &CLINIC.set.records {
        index.insert(record.clone());
    }
    let bands = Bands { auto: f32::MIN, review: f32::MIN, ..Bands::default() };
    let found: usize = set.records.iter().map(|record| index.matches(&Weights::default(), &bands, record).len()).sum();
    assert_eq!((found, index.compared()), (0, 0), "not even a candidate");
}
