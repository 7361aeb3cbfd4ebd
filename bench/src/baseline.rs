//! What this machine can do without weir: a server of the same HTTP stack that answers 1 KB, and an fsync loop on the same disk.

use crate::drive::{Connection, Load, Script, drive};
use crate::latency::Latencies;
use crate::options::Options;
use crate::report::{Report, Target};
use crate::server::{address, memory_mib};
use crate::stores::Stores;
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io::{BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The argument with which this program becomes the bare server.
pub(crate) const ECHO: &str = "--echo";
const CONNECTIONS: usize = 32;
const BODY_BYTES: usize = 1024;
const RECORD_BYTES: usize = 4096;

#[derive(Debug)]
struct Get;

impl Script for Get {
    async fn iterate(&mut self, connection: &mut Connection) -> Result<()> {
        connection.send(0, ("GET", "/", ""), &[200]).await.map(drop)
    }
}

/// The bare server in a process of its own, which ends with it.
pub(crate) struct Echo {
    child: std::process::Child,
    pub(crate) address: std::net::SocketAddr,
}

impl Echo {
    pub(crate) fn start() -> Result<Echo> {
        let mut child = Command::new(std::env::current_exe()?).arg(ECHO).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().context("no stderr")?;
        let mut echo = Echo { child, address: std::net::SocketAddr::from(([127, 0, 0, 1], 0)) };
        echo.address = address(BufReader::new(stderr))?;
        Ok(echo)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // Gone already, at worst.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn run(options: &Options, stores: &Stores, report: &mut Report) -> Result<()> {
    echo(options, &Echo::start()?, report)?;
    fsync(options, stores, report)
}

fn echo(options: &Options, echo: &Echo, report: &mut Report) -> Result<()> {
    let load = Load {
        address: echo.address,
        process: echo.child.id(),
        connections: CONNECTIONS,
        time: options.time / 2,
        classes: 1,
        headers: "",
    };
    let measured = drive(&load, |_| Get)?;
    let rss_mib = memory_mib(echo.child.id(), "VmRSS:").unwrap_or_default();
    report.rate("baseline: bare hyper, 1 KB", CONNECTIONS, &measured, rss_mib, None);
    Ok(())
}

fn fsync(options: &Options, stores: &Stores, report: &mut Report) -> Result<()> {
    let path = stores.root().join("fsync");
    let mut file = std::fs::File::create(&path)?;
    let mut latencies = Latencies::default();
    let started = Instant::now();
    while started.elapsed() < options.time / 4 {
        let before = Instant::now();
        file.write_all(&[7; RECORD_BYTES])?;
        file.sync_data()?;
        latencies.push(u32::try_from(before.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    let per_second = latencies.count() as f64 / started.elapsed().as_secs_f64();
    latencies.sort();
    report.figure("baseline: 4 KiB write + fdatasync, one after the other", per_second, "/s", Target::None);
    report.figure("baseline: fdatasync p99", latencies.percentile_ms(99.0), "ms", Target::None);
    Ok(std::fs::remove_file(&path)?)
}

/// Answers every request with the same bytes, for ever.
pub(crate) fn serve_echo() -> Result<()> {
    let body = Bytes::from(vec![b'x'; BODY_BYTES]);
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        eprintln!("http://{}/", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let body = body.clone();
            let service = service_fn(move |_| {
                let answer = hyper::Response::new(Full::new(body.clone()));
                async move { Ok::<_, std::convert::Infallible>(answer) }
            });
            // A client that goes away is no error of the measurement.
            tokio::spawn(async move {
                drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    })
}
