//! The search mix on a small and on a ten times larger store.

use crate::drive::{Connection, Load, Measured, Script, drive};
use crate::mix::{self, Class};
use crate::options::Options;
use crate::random::Random;
use crate::report::{self, Report, Target};
use crate::server::Server;
use crate::stores::{Store, Stores};
use anyhow::Result;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Ids that each reference of the mix is asked with.
const IDS_MAX: usize = 200;

struct Search {
    classes: Rc<[Class]>,
    random: Random,
    hits: Rc<RefCell<Vec<(u64, u64)>>>,
}

impl Script for Search {
    async fn iterate(&mut self, connection: &mut Connection) -> Result<()> {
        for (at, class) in self.classes.iter().enumerate() {
            let target = self.random.pick(&class.targets);
            let reply = connection.send(at, ("GET", target, ""), &[200]).await?;
            let (sum, count) = &mut self.hits.borrow_mut()[at];
            *sum += total(reply.body).unwrap_or_default();
            *count += 1;
        }
        Ok(())
    }
}

/// `Bundle.total`, found without parsing: it stands before the entries.
fn total(body: &[u8]) -> Option<u64> {
    let head = std::str::from_utf8(&body[..body.len().min(512)]).unwrap_or_default();
    let (_, after) = head.split_once("\"total\":")?;
    after.split(|byte: char| !byte.is_ascii_digit()).next()?.parse().ok()
}

/// The mix on one store.
struct Run {
    mix: Measured,
    alone: Measured,
    /// Hits per class, on average.
    hits: Vec<f64>,
    rss_start_mib: f64,
    rss_mib: f64,
}

pub(crate) fn run(options: &Options, stores: &mut Stores, report: &mut Report) -> Result<()> {
    let (small, large) = (stores.small()?, stores.large()?);
    let (classes, small_run) = one(options, stores, &small)?;
    let (_, large_run) = one(options, stores, &large)?;
    for (name, store, run) in [("small", &small, &small_run), ("large", &large, &large_run)] {
        let label = format!("search, {} resources", store.resources);
        report.rate(&format!("{label}, alone"), 1, &run.alone, run.rss_start_mib, None);
        report.rate(&label, options.connections, &run.mix, run.rss_mib, None);
        report.figure(&format!("search {name}: RSS when ready"), run.rss_start_mib, "MiB", Target::None);
        report.figure(&format!("search {name}: RSS after the mix"), run.rss_mib, "MiB", Target::None);
    }
    for (at, class) in classes.iter().enumerate() {
        let mix = &large_run.mix.classes[at];
        report.class(report::Class {
            name: class.name.clone(),
            hits: large_run.hits[at],
            alone_small_ms: small_run.alone.classes[at].percentile_ms(50.0),
            alone_large_ms: large_run.alone.classes[at].percentile_ms(50.0),
            mix_ms: [mix.percentile_ms(50.0), mix.percentile_ms(99.0), mix.max_ms()],
        });
    }
    let growth =
        |of: fn(&Run) -> &Measured| of(&large_run).all.percentile_ms(50.0) / of(&small_run).all.percentile_ms(50.0);
    report.figure("search: requests", large_run.mix.per_second(), "/s", Target::AtLeast(4_000.0));
    report.figure("search: p99", large_run.mix.all.percentile_ms(99.0), "ms", Target::AtMost(50.0));
    report.figure("search: longest", large_run.mix.all.max_ms(), "ms", Target::AtMost(250.0));
    report.figure("search: growth of p50, mix", growth(|run| &run.mix), "x", Target::AtMost(1.3));
    let cpu = large_run.mix.server_micros() / small_run.mix.server_micros();
    report.figure("search: growth of server CPU per request", cpu, "x", Target::None);
    report.figure("search: growth of p50, one connection", growth(|run| &run.alone), "x", Target::AtMost(1.3));
    Ok(())
}

/// Half the time with one connection, then the mix.
fn one(options: &Options, stores: &mut Stores, store: &Store) -> Result<(Rc<[Class]>, Run)> {
    let mut ids = HashMap::new();
    for name in mix::REFERENCED {
        ids.insert(name.to_owned(), some_ids(stores, name, store.copies)?);
    }
    let classes: Rc<[Class]> = mix::read(&options.data.join(mix::CONFIG), &ids)?.into();
    let server = Server::start(&options.weir, &store.dir)?;
    let rss_start_mib = server.rss_mib()?;
    let hits = Rc::new(RefCell::new(vec![(0, 0); classes.len()]));
    let script = |at: usize| Search { classes: classes.clone(), random: Random::new(at as u64), hits: hits.clone() };
    let mut load = Load {
        address: server.address,
        process: server.process(),
        connections: 1,
        time: options.time / 2,
        classes: classes.len(),
        headers: "",
    };
    // Once without measuring: the first reads fill the caches.
    drive(&load, script)?;
    let alone = drive(&load, script)?;
    (load.connections, load.time) = (options.connections, options.time);
    let mix = drive(&load, script)?;
    let rss_mib = server.rss_mib()?;
    server.stop()?;
    let hits = hits.borrow().iter().map(|(sum, count)| *sum as f64 / f64::max(*count as f64, 1.0)).collect();
    Ok((classes, Run { mix, alone, hits, rss_start_mib, rss_mib }))
}

/// Ids of a type from all copies, evenly.
fn some_ids(stores: &mut Stores, name: &str, copies: u32) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for copy in 0..copies {
        let own = stores.synthea()?.ids(name, copy);
        let step = (own.len() * copies as usize).div_ceil(IDS_MAX).max(1);
        ids.extend(own.into_iter().step_by(step));
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_found() {
        assert_eq!(total(br#"{"resourceType":"Bundle","type":"searchset","total":20123,"entry":[]}"#), Some(20123));
        assert_eq!(total(b"{}"), None);
    }
}
