//! `weir load`

use crate::client::Client;
use crate::config::Config;
use crate::door::{Door, Outcome};
use crate::input::{self, Item};
use crate::progress::Progress;
use crate::{tracking, wiring};
use anyhow::{Context, Result};
use clap::Args;
use fhir::json::{Document, Limits};
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use store::{Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Documents in work at the same time; they share the store's fsyncs.
const IN_FLIGHT: usize = 64;
/// Bytes of them together, those read ahead included; a larger document is alone. A document takes several times its size while it is
/// in work.
const BYTES_IN_FLIGHT: u32 = 32 << 20;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Bundles (.json), NDJSON, directories, .tar, .tar.gz, .gz.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Load into this FHIR server, such as http://127.0.0.1:8080/fhir. Without it: into the data directory, by way of the
    /// server that has it open if there is one.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A file with the bearer token for --server.
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
    /// A PEM file with certificates that may sign the one of --server, besides those the system trusts.
    #[arg(long, value_name = "FILE", requires = "server")]
    ca_file: Option<PathBuf>,
    /// Write refused documents to this file as NDJSON.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Remember what is done in this file, so that the same command goes on where it was stopped.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

pub(crate) fn run(config: &Config, arguments: &Arguments, json: bool) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let (door, store) = door(config, arguments, &runtime)?;
    let done = arguments.checkpoint.as_deref().map(read_checkpoint).transpose()?.unwrap_or_default();
    let notes = Notes::new(arguments.rejects.as_deref(), arguments.checkpoint.as_deref())?;
    let outcome = runtime.block_on(load(&door, &arguments.files, done, notes));
    if let Some(store) = store {
        store.close();
    }
    let summary = outcome?;
    if json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        let rate = summary.resources as f64 / summary.seconds.max(0.001);
        println!(
            "{} resources from {} documents in {:.1} s ({rate:.0}/s), {} refused",
            summary.resources, summary.documents, summary.seconds, summary.refused
        );
    }
    Ok(if summary.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The store to close at the end comes with it when this process has opened it.
fn door(config: &Config, arguments: &Arguments, runtime: &tokio::runtime::Runtime) -> Result<(Door, Option<Store>)> {
    if let Some(url) = &arguments.server {
        return Ok((
            Door::Server(Client::remote(url, arguments.token_file.as_deref(), arguments.ca_file.as_deref())?),
            None,
        ));
    }
    match wiring::store(config) {
        Ok(store) => {
            let (engine, registry) = wiring::engine(config, store.clone())?;
            runtime.block_on(async {
                let sessions = tracking::open(config, &registry, &engine).await?;
                tracking::settle(&registry, &engine, &sessions).await
            })?;
            Ok((Door::Engine(engine), Some(store)))
        }
        Err(error) if matches!(error.downcast_ref(), Some(StoreError::InUse(_))) => {
            Ok((Door::Server(Client::local(&config.store.dir)?.below("/fhir")), None))
        }
        Err(error) => Err(error),
    }
}

#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct Summary {
    pub(crate) documents: u64,
    pub(crate) resources: u64,
    pub(crate) refused: u64,
    pub(crate) seconds: f64,
}

fn read_checkpoint(path: &Path) -> Result<HashSet<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(HashSet::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Loads files without checkpoint or rejects: for `weir demo --load`.
pub(crate) async fn load_files(door: &Door, files: &[PathBuf]) -> Result<Summary> {
    load(door, files, HashSet::new(), Notes::default()).await
}

async fn load(door: &Door, files: &[PathBuf], done: HashSet<String>, notes: Notes) -> Result<Summary> {
    let work = Arc::new(Work {
        door: door.clone(),
        progress: Progress::new(input::bytes_in(files)),
        bytes_read: AtomicU64::new(0),
        documents: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        done,
        notes,
    });
    let outcome = all(&work, files.to_vec()).await;
    work.progress.finish();
    outcome?;
    Ok(Summary {
        documents: work.documents.load(Ordering::Relaxed),
        resources: work.progress.resources(),
        refused: work.refused.load(Ordering::Relaxed),
        seconds: work.progress.seconds(),
    })
}

async fn all(work: &Arc<Work>, files: Vec<PathBuf>) -> Result<()> {
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    let bytes = Arc::new(Semaphore::new(BYTES_IN_FLIGHT as usize));
    let (sender, mut items) = tokio::sync::mpsc::channel::<(Item, OwnedSemaphorePermit)>(IN_FLIGHT);
    let reading = work.clone();
    let runtime = tokio::runtime::Handle::current();
    let reader = tokio::task::spawn_blocking(move || -> Result<()> {
        for file in &files {
            // A closed channel means that loading has ended already.
            input::read(file, &reading.bytes_read, &mut |item| {
                let size = u32::try_from(item.bytes.len()).unwrap_or(u32::MAX).min(BYTES_IN_FLIGHT);
                let room = runtime.block_on(bytes.clone().acquire_many_owned(size))?;
                Ok(sender.blocking_send((item, room)).is_ok())
            })?;
        }
        Ok(())
    });
    while let Some((item, room)) = items.recv().await {
        let permit = permits.clone().acquire_owned().await?;
        let work = work.clone();
        tokio::spawn(async move {
            work.one(item).await;
            drop((permit, room));
        });
    }
    // All permits back: every document is done.
    drop(permits.acquire_many(IN_FLIGHT as u32).await?);
    reader.await?
}

/// What the tasks share.
struct Work {
    door: Door,
    progress: Progress,
    bytes_read: AtomicU64,
    documents: AtomicU64,
    refused: AtomicU64,
    /// Keys of the checkpoint.
    done: HashSet<String>,
    notes: Notes,
}

impl Work {
    async fn one(&self, item: Item) {
        let key = self.notes.checkpoint.is_some().then(|| key(&item));
        if key.as_ref().is_some_and(|key| self.done.contains(key)) {
            return;
        }
        self.documents.fetch_add(1, Ordering::Relaxed);
        let outcome = self.door.write(&item.bytes).await;
        let Outcome { written, refused } =
            outcome.unwrap_or_else(|reason| Outcome { written: 0, refused: vec![reason] });
        self.progress.reached(self.bytes_read.load(Ordering::Relaxed), written);
        self.refused.fetch_add(refused.len() as u64, Ordering::Relaxed);
        for reason in &refused {
            self.progress.say(&format!("refused {}: {reason}", item.place));
        }
        let failed = self.notes.write(&item, key.as_deref(), !refused.is_empty());
        if let Err(error) = failed {
            self.progress.say(&format!("warning: cannot write to the file of rejects or the checkpoint: {error}"));
        }
    }
}

/// A document in a checkpoint: its content and place, from which neither can be read.
fn key(item: &Item) -> String {
    seal::fingerprint(&[item.place.as_bytes(), b"\n", &item.bytes].concat())
}

/// The files beside a load.
#[derive(Default)]
struct Notes {
    rejects: Option<Mutex<File>>,
    checkpoint: Option<Mutex<File>>,
}

impl Notes {
    fn new(rejects: Option<&Path>, checkpoint: Option<&Path>) -> Result<Notes> {
        let append = |path: &Path| -> Result<Mutex<File>> {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            Ok(Mutex::new(file.with_context(|| format!("cannot write to {}", path.display()))?))
        };
        Ok(Notes { rejects: rejects.map(append).transpose()?, checkpoint: checkpoint.map(append).transpose()? })
    }

    fn write(&self, item: &Item, key: Option<&str>, refused: bool) -> std::io::Result<()> {
        if refused && let Some(file) = &self.rejects {
            let text = Document::parse(&item.bytes, &Limits::default()).map(Document::into_string);
            let text = text.unwrap_or_else(|_| String::from_utf8_lossy(&item.bytes).replace(['\n', '\r'], " "));
            line(file, &text)?;
        }
        match (&self.checkpoint, key) {
            (Some(file), Some(key)) => line(file, key),
            _ => Ok(()),
        }
    }
}

fn line(file: &Mutex<File>, text: &str) -> std::io::Result<()> {
    let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    writeln!(file, "{text}")
}
