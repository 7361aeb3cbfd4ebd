//! Durable creates of one small resource each.

use crate::drive::{Connection, Load, Measured, Script, drive};
use crate::options::Options;
use crate::payload::{TYPES, Template, templates};
use crate::random::Random;
use crate::report::{Report, Target};
use crate::server::Server;
use crate::stores::{Stores, disk_bytes};
use anyhow::{Context, Result};

pub(crate) const CONNECTIONS: usize = 64;
/// Patients that the created observations are about.
const PATIENTS: u64 = 1000;

struct Create {
    template: Template,
    random: Random,
}

impl Script for Create {
    async fn iterate(&mut self, connection: &mut Connection) -> Result<()> {
        let about = format!("p{}", self.random.next() % PATIENTS);
        let ids = vec![about; TYPES.len()];
        let body = self.template.fill(&ids, self.random.next());
        connection.send(0, ("POST", "/fhir/Observation", &body), &[201]).await.map(drop)
    }
}

pub(crate) fn run(options: &Options, stores: &mut Stores, report: &mut Report) -> Result<()> {
    let (measured, rss_mib, disk) = measure(options, stores, "")?;
    report.rate("create", CONNECTIONS, &measured, rss_mib, Some(disk));
    report.figure("create: requests", measured.per_second(), "/s", Target::AtLeast(12_000.0));
    report.figure("create: longest", measured.all.max_ms(), "ms", Target::AtMost(500.0));
    Ok(())
}

/// Creates into a new store whose server has this configuration; answers with it memory in MiB and bytes on disk for each.
pub(crate) fn measure(options: &Options, stores: &mut Stores, config: &str) -> Result<(Measured, f64, f64)> {
    let dir = stores.fresh();
    let server = Server::start_with(&options.weir, &dir, config)?;
    let at = TYPES.iter().position(|(name, _)| *name == "Observation").context("no Observation")?;
    let template = templates()?.swap_remove(at);
    let load = Load {
        address: server.address,
        process: server.process(),
        connections: CONNECTIONS,
        time: options.time,
        classes: 1,
        headers: "",
    };
    let measured = drive(&load, |at| Create { template: template.clone(), random: Random::new(at as u64) })?;
    let rss_mib = server.rss_mib()?;
    server.stop()?;
    let disk = disk_bytes(&dir)? as f64 / measured.all.count().max(1) as f64;
    Ok((measured, rss_mib, disk))
}
