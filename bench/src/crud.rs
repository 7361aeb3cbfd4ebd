//! Create, read, update and delete of nine types, as the public benchmark of FHIR servers does it: 36 requests an iteration.

use crate::drive::{Connection, Load, Script, drive};
use crate::options::Options;
use crate::payload::{TYPES, Template, changed, templates};
use crate::report::{Report, Target};
use crate::server::Server;
use crate::stores::{Stores, disk_bytes};
use anyhow::{Context, Result};

const CONNECTIONS: usize = 64;
const CREATE: usize = 0;
const READ: usize = 1;
const UPDATE: usize = 2;
const DELETE: usize = 3;
const OPERATIONS: [&str; 4] = ["create", "read", "update", "delete"];

struct Crud {
    templates: Vec<Template>,
    number: u64,
}

impl Script for Crud {
    async fn iterate(&mut self, connection: &mut Connection) -> Result<()> {
        self.number += 1;
        let (mut ids, mut bodies) = (Vec::new(), Vec::new());
        for (template, (name, _)) in self.templates.iter().zip(TYPES) {
            let body = template.fill(&ids, self.number);
            let reply = connection.send(CREATE, ("POST", &format!("/fhir/{name}"), &body), &[201]).await?;
            ids.push(reply.location.and_then(|url| created_id(url, name)).context("no Location")?.to_owned());
            bodies.push(body);
        }
        let targets: Vec<String> = TYPES.iter().zip(&ids).map(|((name, _), id)| format!("/fhir/{name}/{id}")).collect();
        for target in &targets {
            connection.send(READ, ("GET", target, ""), &[200]).await?;
        }
        for (target, (body, id)) in targets.iter().zip(bodies.iter().zip(&ids)) {
            connection.send(UPDATE, ("PUT", target, &changed(body, id)), &[200]).await?;
        }
        for target in targets.iter().rev() {
            connection.send(DELETE, ("DELETE", target, ""), &[200, 204]).await?;
        }
        Ok(())
    }
}

/// The id in a `Location` of a resource of type `name`.
fn created_id<'a>(location: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = location.split_once(&format!("/{name}/"))?;
    after.split('/').next()
}

pub(crate) fn run(options: &Options, stores: &mut Stores, report: &mut Report) -> Result<()> {
    let dir = stores.fresh();
    let server = Server::start(&options.weir, &dir)?;
    let load = Load {
        address: server.address,
        process: server.process(),
        connections: CONNECTIONS,
        time: options.time,
        classes: OPERATIONS.len(),
        headers: "accept-encoding: gzip\r\ncache-control: no-cache\r\n",
    };
    let templates = templates()?;
    let measured = drive(&load, |at| Crud { templates: templates.clone(), number: at as u64 * 1_000_000 })?;
    let rss_mib = server.rss_mib()?;
    server.stop()?;
    let writes: usize = [CREATE, UPDATE, DELETE].iter().map(|class| measured.classes[*class].count()).sum();
    let disk = disk_bytes(&dir)? as f64 / writes.max(1) as f64;
    report.rate("crud", CONNECTIONS, &measured, rss_mib, Some(disk));
    report.figure("crud: requests", measured.per_second(), "/s", Target::AtLeast(8_000.0));
    for (name, latencies) in OPERATIONS.iter().zip(&measured.classes) {
        report.figure(&format!("crud: {name} p99"), latencies.percentile_ms(99.0), "ms", Target::None);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_from_the_location() {
        assert_eq!(created_id("http://h/fhir/Patient/a1/_history/1", "Patient"), Some("a1"));
        assert_eq!(created_id("http://h/fhir/Patient/a1", "Claim"), None);
    }
}
