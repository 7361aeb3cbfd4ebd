//! `weir load`

use crate::config::Config;
use crate::input::{self, Item};
use crate::wiring;
use anyhow::{Context, Result};
use clap::Args;
use engine::{Engine, Precondition, Session};
use fhir::json::{Document, Limits};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// Documents in work at the same time; they share the store's fsyncs.
const IN_FLIGHT: usize = 64;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Bundles (.json), NDJSON, directories, .tar, .tar.gz, .gz.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Write refused documents to this file as NDJSON.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Remember what is done in this file, so that the same command goes on where it was stopped.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

pub(crate) fn run(config: &Config, arguments: &Arguments, json: bool) -> Result<ExitCode> {
    let store = wiring::store(config)?;
    let engine = wiring::engine(config, store.clone())?;
    let outcome = load(&engine, arguments);
    store.close();
    let summary = outcome?;
    if json {
        println!(
            "{}",
            serde_json::json!({ "documents": summary.documents, "resources": summary.resources, "refused": summary.refused, "seconds": summary.seconds })
        );
    } else {
        let rate = summary.resources as f64 / summary.seconds.max(0.001);
        println!(
            "{} resources from {} documents in {:.1} s ({rate:.0}/s), {} refused",
            summary.resources, summary.documents, summary.seconds, summary.refused
        );
    }
    Ok(if summary.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) documents: u64,
    pub(crate) resources: u64,
    pub(crate) refused: u64,
    pub(crate) seconds: f64,
}

/// Counters and files that the tasks share.
struct Progress {
    bar: ProgressBar,
    documents: AtomicU64,
    resources: AtomicU64,
    refused: AtomicU64,
    rejects: Option<Mutex<std::fs::File>>,
    checkpoint: Option<Mutex<std::fs::File>>,
}

fn load(engine: &Engine, arguments: &Arguments) -> Result<Summary> {
    let done = arguments.checkpoint.as_deref().map(read_checkpoint).transpose()?.unwrap_or_default();
    let progress = Progress::new(arguments.rejects.as_deref(), arguments.checkpoint.as_deref())?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(load_with(engine, &arguments.files, &done, progress))
}

/// Loads files without checkpoint or rejects: for `weir demo --load`.
pub(crate) async fn load_files(engine: &Engine, files: &[PathBuf]) -> Result<Summary> {
    load_with(engine, files, &HashSet::new(), Progress::new(None, None)?).await
}

async fn load_with(engine: &Engine, files: &[PathBuf], done: &HashSet<String>, progress: Progress) -> Result<Summary> {
    let progress = Arc::new(progress);
    let started = std::time::Instant::now();
    all(engine, files, done, &progress).await?;
    progress.bar.finish_and_clear();
    Ok(Summary {
        documents: progress.documents.load(Ordering::Relaxed),
        resources: progress.resources.load(Ordering::Relaxed),
        refused: progress.refused.load(Ordering::Relaxed),
        seconds: started.elapsed().as_secs_f64(),
    })
}

pub(crate) fn bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {pos} resources, {per_sec}, {elapsed}").expect("a fixed template");
    ProgressBar::new_spinner().with_style(style)
}

fn read_checkpoint(path: &Path) -> Result<HashSet<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(HashSet::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

async fn all(engine: &Engine, files: &[PathBuf], done: &HashSet<String>, progress: &Arc<Progress>) -> Result<()> {
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    let (sender, mut items) = tokio::sync::mpsc::channel::<Item>(IN_FLIGHT);
    let files = files.to_vec();
    let reader = tokio::task::spawn_blocking(move || -> Result<()> {
        for file in &files {
            // A closed channel means that loading has ended already.
            input::read(file, &mut |item| Ok(sender.blocking_send(item).is_ok()))?;
        }
        Ok(())
    });
    while let Some(item) = items.recv().await {
        if done.contains(&item.place) {
            continue;
        }
        let permit = permits.clone().acquire_owned().await?;
        let (engine, progress) = (engine.clone(), progress.clone());
        tokio::spawn(async move {
            one(&engine, &progress, item).await;
            drop(permit);
        });
    }
    // All permits back: every document is done.
    drop(permits.acquire_many(IN_FLIGHT as u32).await?);
    reader.await?
}

async fn one(engine: &Engine, progress: &Progress, item: Item) {
    let session = wiring::local_session("load");
    progress.documents.fetch_add(1, Ordering::Relaxed);
    match write(engine, &session, &item.bytes).await {
        Ok(Outcome { written, refused }) => {
            progress.resources.fetch_add(written, Ordering::Relaxed);
            progress.bar.inc(written);
            for reason in &refused {
                progress.refuse(&item, reason);
            }
        }
        Err(reason) => progress.refuse(&item, &reason),
    }
    if let Some(file) = &progress.checkpoint
        && let Ok(mut file) = file.lock()
        && let Err(error) = writeln!(file, "{}", item.place)
    {
        eprintln!("warning: cannot write the checkpoint: {error}");
    }
}

impl Progress {
    fn new(rejects: Option<&Path>, checkpoint: Option<&Path>) -> Result<Progress> {
        let append = |path: &Path| -> Result<Mutex<std::fs::File>> {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            Ok(Mutex::new(file.with_context(|| format!("cannot write to {}", path.display()))?))
        };
        Ok(Progress {
            bar: bar(),
            documents: AtomicU64::new(0),
            resources: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            rejects: rejects.map(append).transpose()?,
            checkpoint: checkpoint.map(append).transpose()?,
        })
    }

    fn refuse(&self, item: &Item, reason: &str) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.bar.suspend(|| eprintln!("refused {}: {reason}", item.place));
        if let Some(file) = &self.rejects
            && let Ok(mut file) = file.lock()
        {
            let text = Document::parse(&item.bytes, &Limits::default()).map(Document::into_string);
            let text = text.unwrap_or_else(|_| String::from_utf8_lossy(&item.bytes).replace(['\n', '\r'], " "));
            if let Err(error) = writeln!(file, "{text}") {
                eprintln!("warning: cannot write to the rejects file: {error}");
            }
        }
    }
}

struct Outcome {
    written: u64,
    refused: Vec<String>,
}

/// Transactions and batches run as they are; other Bundles entry by entry; single resources keep their id.
async fn write(engine: &Engine, session: &Session, bytes: &[u8]) -> Result<Outcome, String> {
    let document = Document::parse(bytes, &Limits::default()).map_err(|error| error.to_string())?;
    let root = document.root();
    let is_bundle = root.str("resourceType").is_some_and(|name| name == "Bundle");
    let kind = root.str("type").unwrap_or_default().into_owned();
    if !is_bundle {
        return single(engine, session, bytes).await.map(|()| Outcome { written: 1, refused: Vec::new() });
    }
    let entries = root.get("entry").map_or(0, |entry| entry.len()) as u64;
    if matches!(kind.as_str(), "transaction" | "batch") {
        let response = engine.bundle(session, bytes).await.map_err(|error| error.to_string())?;
        return Ok(outcomes(&response.json, entries));
    }
    let mut outcome = Outcome { written: 0, refused: Vec::new() };
    let bodies: Vec<String> = root
        .get("entry")
        .into_iter()
        .flat_map(|entry| entry.each())
        .filter_map(|entry| Some(entry.get("resource")?.raw().to_owned()))
        .collect();
    for body in bodies {
        match single(engine, session, body.as_bytes()).await {
            Ok(()) => outcome.written += 1,
            Err(reason) => outcome.refused.push(reason),
        }
    }
    Ok(outcome)
}

/// Entries of a response whose status is not a success.
fn outcomes(json: &[u8], entries: u64) -> Outcome {
    let mut refused = Vec::new();
    if let Ok(document) = Document::parse(json, &Limits { bytes_max: usize::MAX, ..Limits::default() }) {
        for (at, entry) in document.root().get("entry").into_iter().flat_map(|entry| entry.each()).enumerate() {
            let Some(response) = entry.get("response") else { continue };
            if response.str("status").is_some_and(|status| !status.starts_with('2')) {
                let text =
                    response.path(&["outcome", "issue"]).and_then(|issues| issues.each().next()?.str("diagnostics"));
                refused.push(format!("entry {at}: {}", text.unwrap_or_default()));
            }
        }
    }
    Outcome { written: entries - refused.len() as u64, refused }
}

async fn single(engine: &Engine, session: &Session, body: &[u8]) -> Result<(), String> {
    let document = Document::parse(body, &Limits::default()).map_err(|error| error.to_string())?;
    let name = document.root().str("resourceType").ok_or("no resourceType")?.into_owned();
    let defs = fhir::defs::r4();
    let ty = defs.resource_by_name(&name).ok_or_else(|| {
        format!("unknown resource type{}", fhir::nearest::hint(&name, defs.resources().map(|ty| defs.ty(ty).name)))
    })?;
    let id = document.root().str("id").map(|id| id.into_owned());
    let precondition = Precondition::default();
    let written = match &id {
        Some(id) => engine.update(session, ty, Some(id), body, &precondition).await,
        None => engine.create(session, ty, body, &precondition).await,
    };
    written.map(drop).map_err(|error| error.to_string())
}
