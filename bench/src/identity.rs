//! How well and how fast persons are matched, in memory: labelled records are encoded, admitted one by one with the shipped
//! weights, then all pairs are scored with weights learnt without the labels. And an index of a million records made of copies.

use crate::latency::Latencies;
use crate::linkage;
use crate::options::Options;
use crate::persons::Persons;
use crate::report::{Report, Target};
use crate::server::memory_mib;
use crate::stores::Stores;
use anyhow::{Context, Result};
use identity::labelled::{Labelled, Quality};
use identity::{Bands, Clusters, Decision, Encoded, Index, Keys, Score, Weights, estimate};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SEED: u64 = 1;
const RECORDS: usize = 1_000_000;
const QUICK_RECORDS: usize = 20_000;
const NO_CAP: f32 = f32::INFINITY;

/// A set of files and what is expected of it: the least F1 in percent.
struct Set {
    name: String,
    files: Vec<PathBuf>,
    household_cap: f32,
    f1: Target,
}

pub(crate) fn run(options: &Options, stores: &mut Stores, report: &mut Report) -> Result<()> {
    sets(options).iter().try_for_each(|set| measure(set, report).with_context(|| set.name.clone()))?;
    if options.csv.is_empty() {
        scale(options, stores, report)?;
    }
    Ok(())
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
        latencies.push(micros(since));
    }
    latencies.sort();
    figure("records matched and inserted", count / started.elapsed().as_secs_f64(), "/s", Target::AtLeast(20_000.0));
    figure("match and insert p99", latencies.percentile_ms(99.0), "ms", Target::AtMost(1.0));
    figure("pairs compared per record", clusters.index().compared() as f64 / count, "", Target::None);
    quality("shipped weights, clusters as records arrive", labelled.quality(clusters.linked()), figure);
    clusters
}

/// An index of a million records: one in twenty is held back, and the others come in as at a start. Then those held back are
/// matched and inserted, as they come from a clinic.
fn scale(options: &Options, stores: &mut Stores, report: &mut Report) -> Result<()> {
    let keys = Keys::new(seal::DataKey::generate(&|out| out.fill(7)));
    let file = options.data.join("linkage/vaxid_5k.csv");
    let clinic = Persons::read(&std::fs::read_to_string(&file).with_context(|| file.display().to_string())?)?;
    let target = |target| if options.quick { Target::None } else { target };
    let mut figure =
        |name: &str, value: f64, unit, target| report.figure(&format!("a million: {name}"), value, unit, target);
    let wanted = if options.quick { QUICK_RECORDS } else { RECORDS };
    let (mut stored, mut arriving): (Vec<Vec<u8>>, Vec<Encoded>) = (Vec::with_capacity(wanted), Vec::new());
    let mut encoding = Duration::ZERO;
    for copy in 0.. {
        let rows = clinic.copy(copy, SEED);
        let started = cpu()?;
        let encoded: Vec<Encoded> = rows.iter().map(|row| row.encode(&keys)).collect();
        encoding += cpu()? - started;
        for (number, encoded) in encoded.into_iter().enumerate() {
            match number % 20 {
                0 => arriving.push(encoded),
                _ => stored.push(encoded.to_bytes()),
            }
        }
        if stored.len() >= wanted {
            break;
        }
    }
    figure("records encoded", rate(stored.len() + arriving.len(), encoding), "/s of CPU", Target::None);
    let bytes: usize = stored.iter().map(Vec::len).sum();
    figure("stored bytes per record", bytes as f64 / stored.len() as f64, "", Target::None);
    let (index, inserts) = load(&stored, &mut figure, target(Target::AtLeast(150_000.0)))?;
    figure("insert p99", inserts.percentile_ms(99.0), "ms", Target::None);
    figure("insert, longest", inserts.max_ms(), "ms", Target::None);
    online(index, arriving.clone(), &mut figure, &target)?;
    let target = target(Target::AtLeast(20_000.0));
    tokio::runtime::Runtime::new()?.block_on(linkage::run(&stores.fresh(), stored, arriving, target, report))
}

/// What a start does: bytes to records to index.
fn load(
    stored: &[Vec<u8>],
    figure: &mut impl FnMut(&str, f64, &'static str, Target),
    target: Target,
) -> Result<(Index, Latencies)> {
    let (before, mut inserts, mut index) = (resident()?, Latencies::default(), Index::default());
    let started = cpu()?;
    for bytes in stored {
        index.insert(Encoded::from_bytes(bytes)?);
    }
    figure("records loaded from bytes", rate(stored.len(), cpu()? - started), "/s of CPU", target);
    figure("memory per record", (resident()? - before) / stored.len() as f64, "B", Target::None);
    // Once more, each timed: the clock costs a tenth of an insert.
    drop(index);
    let mut index = Index::default();
    for bytes in stored {
        let record = Encoded::from_bytes(bytes)?;
        let since = Instant::now();
        index.insert(record);
        inserts.push(micros(since));
    }
    inserts.sort();
    Ok((index, inserts))
}

fn online(
    mut index: Index,
    arriving: Vec<Encoded>,
    figure: &mut impl FnMut(&str, f64, &'static str, Target),
    target: &impl Fn(Target) -> Target,
) -> Result<()> {
    let (weights, bands, count) = (Weights::default(), Bands::default(), arriving.len());
    let (mut matches, mut matched) = (Latencies::default(), 0);
    let started = cpu()?;
    for record in arriving {
        let since = Instant::now();
        let found = index.matches(&weights, &bands, &record);
        matches.push(micros(since));
        matched += usize::from(!found.is_empty());
        index.insert(record);
    }
    let took = cpu()? - started;
    matches.sort();
    figure("records matched and inserted", rate(count, took), "/s of CPU", target(Target::AtLeast(20_000.0)));
    figure("match p50", matches.percentile_ms(50.0), "ms", Target::None);
    figure("match p99", matches.percentile_ms(99.0), "ms", target(Target::AtMost(1.0)));
    figure("match, longest", matches.max_ms(), "ms", Target::None);
    figure("pairs compared per record", index.compared() as f64 / count as f64, "", Target::None);
    figure("keys passed over as too common", index.skipped() as f64 / count as f64, "per record", Target::None);
    figure("records with a candidate", 100.0 * matched as f64 / count as f64, "%", Target::None);
    Ok(())
}

/// Processor time of this thread: rates of one core, whatever else the machine does.
fn cpu() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").context("no scheduler figures in /proc")?;
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok()).context("no time in schedstat")?;
    Ok(Duration::from_nanos(nanos))
}

fn micros(since: Instant) -> u32 {
    since.elapsed().as_micros().try_into().unwrap_or(u32::MAX)
}

fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// Bytes of this process in memory.
fn resident() -> Result<f64> {
    Ok(memory_mib(std::process::id(), "VmRSS:").context("no memory figures in /proc")? * 1_048_576.0)
}

fn quality(name: &str, quality: Quality, figure: &mut impl FnMut(&str, f64, &'static str, Target)) {
    figure(&format!("{name}: precision"), percent(quality.precision()), "%", Target::None);
    figure(&format!("{name}: recall"), percent(quality.recall()), "%", Target::None);
}

fn percent(share: f64) -> f64 {
    100.0 * share
}
