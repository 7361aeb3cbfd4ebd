//! Fifty destinations of which one hangs: what it does to the delays of the others.

use crate::http::Client;
use crate::latency::Latencies;
use crate::options::Options;
use crate::report::{Report, Target};
use crate::server::Server;
use crate::sink::Sink;
use crate::stores::Stores;
use anyhow::{Result, ensure};
use std::collections::HashMap;
use std::fmt::Write;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

const DESTINATIONS: usize = 50;
/// Patients written a second; each goes to every destination.
const PER_SECOND: u32 = 2;
/// How often both are measured in turn, because the machine is not the same at each moment.
const TURNS: usize = 4;

pub(crate) fn run(options: &Options, stores: &mut Stores, report: &mut Report) -> Result<()> {
    let hung = hung()?;
    let (mut healthy, mut with_hung) = (Latencies::default(), Latencies::default());
    let turns = if options.quick { 1 } else { TURNS };
    for turn in 0..turns {
        healthy.append(&measure(options, stores, None)?);
        with_hung.append(&measure(options, stores, Some(hung))?);
        eprintln!("  turn {} of {turns}", turn + 1);
    }
    healthy.sort();
    with_hung.sort();
    report.figure("destinations: deliveries, all healthy", healthy.count() as f64, "", Target::None);
    report.figure("destinations: deliveries, one hung", with_hung.count() as f64, "", Target::None);
    for percent in [50.0, 99.0] {
        let (without, with) = (healthy.percentile_ms(percent), with_hung.percentile_ms(percent));
        report.figure(&format!("destinations: delay p{percent}, all healthy"), without, "ms", Target::None);
        report.figure(&format!("destinations: delay p{percent} of the others, one hung"), with, "ms", Target::None);
        let target = if percent == 99.0 { Target::AtMost(1.05) } else { Target::None };
        report.figure(&format!("destinations: growth of p{percent}"), with / without.max(0.001), "x", target);
    }
    Ok(())
}

/// Takes connections and never answers.
fn hung() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        let open: Vec<_> = listener.incoming().map_while(Result::ok).collect();
        drop(open);
    });
    Ok(address)
}

/// From a write to its arrival at each destination but the last.
fn measure(options: &Options, stores: &mut Stores, last: Option<SocketAddr>) -> Result<Latencies> {
    let sink = Sink::start(|_| false)?;
    let mut config = String::new();
    for at in 0..DESTINATIONS {
        let address = last.filter(|_| at == DESTINATIONS - 1).unwrap_or(sink.address);
        writeln!(
            config,
            "[[destination]]\nname = \"d{at}\"\nurl = \"http://{address}/d{at}\"\nmode = \"put\"\n\
             types = [\"Patient\"]\nper_second = 50\n"
        )?;
    }
    let server = Server::start_with(&options.weir, &stores.fresh(), &config)?;
    let count = u32::try_from(options.time.as_secs())? * PER_SECOND;
    let written = tokio::runtime::Runtime::new()?.block_on(write(server.address, count))?;
    let expected = (DESTINATIONS - 1) * written.len();
    let is_counted = |path: &str| !path.starts_with(&format!("/d{}/", DESTINATIONS - 1));
    let started = Instant::now();
    while sink.arrivals().iter().filter(|arrival| is_counted(&arrival.path)).count() < expected {
        ensure!(started.elapsed() < Duration::from_secs(60), "not all of {expected} deliveries arrived");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut delays = Latencies::default();
    for arrival in sink.arrivals().iter().filter(|arrival| is_counted(&arrival.path)) {
        let id = arrival.path.rsplit('/').next().unwrap_or_default();
        let Some(at) = written.get(id) else { continue };
        delays.push(u32::try_from(arrival.at.saturating_duration_since(*at).as_micros()).unwrap_or(u32::MAX));
    }
    drop(server);
    Ok(delays)
}

/// Writes patients evenly; answers when each was sent.
async fn write(address: SocketAddr, count: u32) -> Result<HashMap<String, Instant>> {
    let mut client = Client::connect(address, "").await?;
    let mut written = HashMap::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    for n in 0..count {
        tick.tick().await;
        let id = format!("b{n}");
        let body = format!(r#"{{"resourceType":"Patient","id":"{id}","active":true}}"#);
        let sent = Instant::now();
        let reply = client.send("PUT", &format!("/fhir/Patient/{id}"), &body).await?;
        ensure!(reply.status == 201, "a write was answered with {}", reply.status);
        written.insert(id, sent);
    }
    Ok(written)
}
