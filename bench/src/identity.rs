//! How well and how fast persons are matched, in memory: labelled records are encoded, admitted one by one with the shipped
//! weights, then all pairs are scored with weights learnt without the labels.

use crate::latency::Latencies;
use crate::options::Options;
use crate::report::{Report, Target};
use anyhow::{Context, Result};
use identity::labelled::{Labelled, Quality};
use identity::{Bands, Clusters, Decision, Keys, Score, Weights, estimate};
use std::path::PathBuf;
use std::time::Instant;

const SEED: u64 = 1;
const NO_CAP: f32 = f32::INFINITY;

/// A set of files and what is expected of it: the least F1 in percent.
struct Set {
    name: String,
    files: Vec<PathBuf>,
    household_cap: f32,
    f1: Target,
}

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<()> {
    sets(options).iter().try_for_each(|set| measure(set, report).with_context(|| set.name.clone()))
}

fn sets(options: &Options) -> Vec<Set> {
    let cap = Weights::default().household_cap;
    if let Some(first) = options.csv.first() {
        let name = first.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let household_cap = if options.households { cap } else { NO_CAP };
        return vec![Set { name, files: options.csv.clone(), household_cap, f1: Target::None }];
    }
    let set = |name: &str, files: &[&str], household_cap, f1| Set {
        name: name.to_owned(),
        files: files.iter().map(|file| options.data.join("linkage").join(file)).collect(),
        household_cap,
        f1: Target::AtLeast(f1),
    };
    vec![
        set("vaxid_5k", &["vaxid_5k.csv"], cap, 97.5),
        set("FEBRL 4", &["dataset4a.csv", "dataset4b.csv"], NO_CAP, 99.5),
    ]
}

fn measure(set: &Set, report: &mut Report) -> Result<()> {
    let keys = Keys::new(seal::DataKey::generate(&|out| out.fill(7)));
    let texts = set.files.iter().map(|file| std::fs::read_to_string(file).with_context(|| file.display().to_string()));
    let texts: Vec<String> = texts.collect::<Result<_>>()?;
    let started = Instant::now();
    let mut labelled = Labelled::default();
    for text in &texts {
        labelled.read(&keys, text)?;
    }
    let records = labelled.records.len() as f64;
    let mut figure =
        |name: &str, value: f64, unit, target| report.figure(&format!("{}: {name}", set.name), value, unit, target);
    figure("records encoded", records / started.elapsed().as_secs_f64(), "/s", Target::None);
    let start = Weights { household_cap: set.household_cap, ..Weights::default() };
    let clusters = arrive(&labelled, &start, &mut figure);
    let index = clusters.index();
    let Some(estimate) = estimate(index, &start, SEED) else { return Ok(()) };
    let scored = |(one, other)| Some((one, other, index.score_pair(&estimate.weights, one, other)?));
    let mut scored: Vec<(u32, u32, Score)> = index.pairs().filter_map(scored).collect();
    scored.sort_by(|one, other| other.2.bits.total_cmp(&one.2.bits));
    let pairs = || scored.iter().map(|(one, other, _)| (*one, *other));
    figure("recall of blocking", percent(labelled.quality(pairs()).recall()), "%", Target::None);
    let best = labelled.best(pairs());
    quality("learnt weights, best threshold", best, &mut figure);
    figure("learnt weights, best threshold: F1", percent(best.f1()), "%", set.f1);
    let decided = |least: Decision| {
        let kept = scored.iter().filter(|(_, _, score)| Bands::default().decide(score, index.len()) >= least);
        labelled.quality(kept.map(|(one, other, _)| (*one, *other)))
    };
    let (auto, review) = (decided(Decision::Auto), decided(Decision::Review));
    figure("learnt weights, auto band: precision", percent(auto.precision()), "%", Target::AtLeast(99.5));
    figure("learnt weights, auto band: recall", percent(auto.recall()), "%", Target::None);
    figure("learnt weights, auto and review: recall", percent(review.recall()), "%", Target::AtLeast(99.0));
    figure("pairs to review per 100 records", 100.0 * (review.found - auto.found) as f64 / records, "", Target::None);
    Ok(())
}

/// Matches and inserts every record, each timed.
fn arrive(
    labelled: &Labelled,
    weights: &Weights,
    figure: &mut impl FnMut(&str, f64, &'static str, Target),
) -> Clusters {
    let mut clusters = Clusters::default();
    let mut latencies = Latencies::default();
    let records = labelled.records.clone();
    let count = records.len() as f64;
    let started = Instant::now();
    for record in records {
        let since = Instant::now();
        clusters.admit(weights, &Bands::default(), record);
        latencies.push(since.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
    }
    latencies.sort();
    figure("records matched and inserted", count / started.elapsed().as_secs_f64(), "/s", Target::AtLeast(20_000.0));
    figure("match and insert p99", latencies.percentile_ms(99.0), "ms", Target::AtMost(1.0));
    figure("pairs compared per record", clusters.index().compared() as f64 / count, "", Target::None);
    quality("shipped weights, clusters as records arrive", labelled.quality(clusters.linked()), figure);
    clusters
}

fn quality(name: &str, quality: Quality, figure: &mut impl FnMut(&str, f64, &'static str, Target)) {
    figure(&format!("{name}: precision"), percent(quality.precision()), "%", Target::None);
    figure(&format!("{name}: recall"), percent(quality.recall()), "%", Target::None);
}

fn percent(share: f64) -> f64 {
    100.0 * share
}
