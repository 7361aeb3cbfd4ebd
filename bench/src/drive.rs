//! Runs scripts over many connections for a while and collects what they took.

use crate::http::{Client, Reply};
use crate::latency::Latencies;
use crate::server::cpu_seconds;
use anyhow::Result;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What one connection does, again and again.
pub(crate) trait Script: 'static {
    /// One iteration; an error ends the measurement of this connection and counts as a failure.
    fn iterate(&mut self, connection: &mut Connection) -> impl Future<Output = Result<()>>;
}

/// How to drive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    /// The server's.
    pub(crate) process: u32,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// Classes of requests that the scripts tell apart.
    pub(crate) classes: usize,
    /// Sent with every request.
    pub(crate) headers: &'static str,
}

#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    /// Processor time that the server took, user and system.
    pub(crate) server_seconds: f64,
    /// Per class, sorted.
    pub(crate) classes: Vec<Latencies>,
    /// All classes, sorted.
    pub(crate) all: Latencies,
    pub(crate) failures: u64,
    pub(crate) first_failure: Option<String>,
}

impl Measured {
    pub(crate) fn per_second(&self) -> f64 {
        self.all.count() as f64 / self.seconds
    }

    /// Processor time of the server for one request: unlike the others, a number that other work on the machine changes little.
    pub(crate) fn server_micros(&self) -> f64 {
        self.server_seconds * 1e6 / self.all.count().max(1) as f64
    }
}

pub(crate) struct Connection {
    client: Client,
    classes: Vec<Latencies>,
    failures: u64,
    first_failure: Option<String>,
}

impl Connection {
    /// Sends one request, measures it under `class`, and counts a failure unless the status is one of `expected`.
    pub(crate) async fn send(
        &mut self,
        class: usize,
        (method, target, body): (&str, &str, &str),
        expected: &[u16],
    ) -> Result<Reply<'_>> {
        let started = Instant::now();
        let reply = self.client.send(method, target, body).await?;
        self.classes[class].push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
        if !expected.contains(&reply.status) {
            self.failures += 1;
            self.first_failure.get_or_insert_with(|| {
                let text: String = String::from_utf8_lossy(reply.body).chars().take(500).collect();
                format!("{method} {target} answered {}: {text}", reply.status)
            });
        }
        Ok(reply)
    }
}

/// Runs `make(0)`, `make(1)`, … at the same time, one on each connection, from one thread.
pub(crate) fn drive<S: Script>(load: &Load, make: impl Fn(usize) -> S) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut connections = Vec::new();
        for _ in 0..load.connections {
            let client = Client::connect(load.address, load.headers).await?;
            let classes = vec![Latencies::default(); load.classes];
            connections.push(Connection { client, classes, failures: 0, first_failure: None });
        }
        let (started, before) = (Instant::now(), cpu_seconds(load.process)?);
        let deadline = started + load.time;
        let tasks: Vec<_> = connections
            .into_iter()
            .enumerate()
            .map(|(at, connection)| tokio::task::spawn_local(repeat(make(at), connection, deadline)))
            .collect();
        let mut measured = Measured {
            seconds: 0.0,
            server_seconds: 0.0,
            classes: vec![Latencies::default(); load.classes],
            all: Latencies::default(),
            failures: 0,
            first_failure: None,
        };
        for task in tasks {
            measured.add(task.await?);
        }
        measured.seconds = started.elapsed().as_secs_f64();
        measured.server_seconds = cpu_seconds(load.process)? - before;
        measured.classes.iter_mut().for_each(Latencies::sort);
        measured.all.sort();
        Ok(measured)
    })
}

async fn repeat<S: Script>(mut script: S, mut connection: Connection, deadline: Instant) -> Connection {
    while Instant::now() < deadline {
        if let Err(error) = script.iterate(&mut connection).await {
            connection.failures += 1;
            connection.first_failure.get_or_insert_with(|| format!("{error:#}"));
            break;
        }
    }
    connection
}

impl Measured {
    fn add(&mut self, connection: Connection) {
        for (all, own) in self.classes.iter_mut().zip(&connection.classes) {
            all.append(own);
            self.all.append(own);
        }
        self.failures += connection.failures;
        if self.first_failure.is_none() {
            self.first_failure = connection.first_failure;
        }
    }
}
