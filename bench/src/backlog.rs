//! Ten million changes that wait for a destination: memory, how long it takes to choose and mark the next one, and how long a
//! restart takes to the first request.

use crate::flood::{Flood, REFUSED, fill};
use crate::latency::Latencies;
use crate::options::Options;
use crate::report::{Report, Target};
use crate::server::{Server, memory_mib};
use crate::sink::Sink;
use crate::stores::{Stores, disk_bytes};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};

/// Of the destination's limit: a second.
const WINDOW_S: f64 = 1.0;
const FIRST_MAX: Duration = Duration::from_secs(120);

pub(crate) fn run(options: &Options, stores: &mut Stores, report: &mut Report) -> Result<()> {
    let (flood, dir) = (Flood::new(options.intents), stores.fresh());
    let started = Instant::now();
    fill(&options.weir, &dir, flood)?;
    let rate = flood.intents as f64 / started.elapsed().as_secs_f64();
    report.figure(&format!("backlog: {} changes written", flood.intents), rate, "/s", Target::None);
    let disk = disk_bytes(&dir)? as f64 / flood.intents as f64;
    report.figure("backlog: disk", disk, "B/change", Target::None);
    let sink = Sink::start(|path| is_refused(path, "Patient"))?;
    let bench = Bench { options, dir: &dir, sink: &sink };
    let server = bench.phase("all patients ready", 1, report)?;
    drop(server);
    eprintln!("  {} patients are refused", flood.refused());
    // As many at a time as make the refusals soon known.
    let server = bench.start(8)?;
    bench.until_refused(flood.refused())?;
    report.figure("backlog: patients behind a refused change", flood.refused() as f64, "", Target::None);
    let peak = memory_mib(server.process(), "VmHWM:").context("the server is gone")?;
    report.figure("backlog: peak memory while they were refused", peak, "MiB", Target::AtMost(512.0));
    drop(server);
    let server = bench.phase("1 % refused", 1, report)?;
    drop(server);
    let overtaken = sink.arrivals().iter().filter(|arrival| is_refused(&arrival.path, "Observation")).count();
    ensure!(overtaken == 0, "{overtaken} changes arrived that are behind a refused one");
    Ok(std::fs::remove_dir_all(&dir)?)
}

fn is_refused(path: &str, name: &str) -> bool {
    path.rsplit('/').next().is_some_and(|id| id.starts_with(REFUSED)) && path.contains(name)
}

struct Bench<'a> {
    options: &'a Options,
    dir: &'a Path,
    sink: &'a Sink,
}

impl Bench<'_> {
    fn start(&self, concurrency: usize) -> Result<Server> {
        let config = format!(
            "[[destination]]\nname = \"sink\"\nurl = \"http://{}/fhir\"\nmode = \"put\"\nquiesce_s = 1\n\
             types = [\"Patient\", \"Observation\"]\nper_second = 5000\nconcurrency = {concurrency}\n",
            self.sink.address
        );
        Server::start_with(&self.options.weir, self.dir, &config)
    }

    /// Kills nothing: starts the server on what an earlier one, killed, has left, and measures for a while.
    fn phase(&self, name: &str, concurrency: usize, report: &mut Report) -> Result<Server> {
        eprintln!("  {name}");
        self.sink.arrivals().clear();
        let started = Instant::now();
        let server = self.start(concurrency)?;
        while self.sink.arrivals().is_empty() {
            ensure!(started.elapsed() < FIRST_MAX, "nothing was sent within {FIRST_MAX:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        let first = self.sink.arrivals()[0].at.duration_since(started).as_secs_f64();
        let target = Target::AtMost(5.0 + WINDOW_S);
        report.figure(&format!("backlog, {name}: start of the process to the first request"), first, "s", target);
        std::thread::sleep(self.options.time);
        let mut claims = self.claims();
        claims.sort();
        report.figure(&format!("backlog, {name}: claims"), claims.count() as f64, "", Target::None);
        for (percent, target) in [(50.0, Target::None), (99.0, Target::AtMost(50.0)), (100.0, Target::None)] {
            let figure = format!("backlog, {name}: claim, p{percent}");
            report.figure(&figure, claims.percentile_ms(percent), "ms", target);
        }
        let peak = memory_mib(server.process(), "VmHWM:").context("the server is gone")?;
        report.figure(&format!("backlog, {name}: peak memory"), peak, "MiB", Target::AtMost(512.0));
        Ok(server)
    }

    /// One request at a time: from an answer to the next request the outcome is written down, the next change is chosen,
    /// prepared and marked, and the request is made.
    fn claims(&self) -> Latencies {
        let mut claims = Latencies::default();
        for pair in self.sink.arrivals().windows(2) {
            let claim = pair[1].at.saturating_duration_since(pair[0].answered);
            claims.push(u32::try_from(claim.as_micros()).unwrap_or(u32::MAX));
        }
        claims
    }

    fn until_refused(&self, count: u64) -> Result<()> {
        let started = Instant::now();
        let mut seen = 0;
        let mut progress = Instant::now();
        loop {
            let refused = self.sink.arrivals().iter().filter(|arrival| arrival.refused).count() as u64;
            if refused >= count {
                return Ok(());
            }
            if refused > seen {
                (seen, progress) = (refused, Instant::now());
            }
            ensure!(progress.elapsed() < FIRST_MAX, "only {seen} of {count} were refused in {:?}", started.elapsed());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
