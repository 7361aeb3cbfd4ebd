//! Reads by id.

use crate::drive::{Connection, Load, Script, drive};
use crate::options::Options;
use crate::random::Random;
use crate::report::{Report, Target};
use crate::server::Server;
use crate::stores::Stores;
use anyhow::Result;
use std::rc::Rc;

const CONNECTIONS: usize = 32;
/// Types of different sizes, those of which clinics have most.
const TYPES: [&str; 4] = ["Patient", "Encounter", "Observation", "Immunization"];

struct Read {
    targets: Rc<[String]>,
    random: Random,
}

impl Script for Read {
    async fn iterate(&mut self, connection: &mut Connection) -> Result<()> {
        let target = self.random.pick(&self.targets);
        connection.send(0, ("GET", target, ""), &[200]).await.map(drop)
    }
}

pub(crate) fn run(options: &Options, stores: &mut Stores, report: &mut Report) -> Result<()> {
    let store = stores.small()?;
    let mut targets = Vec::new();
    for name in TYPES {
        targets.extend(stores.synthea()?.ids(name, 0).into_iter().map(|id| format!("/fhir/{name}/{id}")));
    }
    let targets: Rc<[String]> = targets.into();
    let server = Server::start(&options.weir, &store.dir)?;
    let load = Load {
        address: server.address,
        process: server.process(),
        connections: CONNECTIONS,
        time: options.time,
        classes: 1,
        headers: "",
    };
    let measured = drive(&load, |at| Read { targets: targets.clone(), random: Random::new(at as u64) })?;
    report.rate("read", CONNECTIONS, &measured, server.rss_mib()?, None);
    report.figure("read: requests", measured.per_second(), "/s", Target::AtLeast(30_000.0));
    server.stop()
}
