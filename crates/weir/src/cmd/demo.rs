//! `weir demo`

use crate::cmd::{load, serve};
use crate::config::Config;
use crate::demo::{page, population};
use crate::wiring;
use anyhow::Result;
use clap::Args;
use engine::Engine;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Generated patients, each with encounters, observations and immunizations.
    #[arg(long, default_value_t = 500)]
    patients: u32,
    /// The same seed gives the same population.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Keep the data here instead of throwing it away.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Also load this file (see `weir load`).
    #[arg(long, value_name = "FILE")]
    load: Vec<PathBuf>,
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Stop after loading: for scripts.
    #[arg(long)]
    exit_after_load: bool,
}

pub(crate) fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode> {
    let ephemeral = tempfile::Builder::new().prefix("weir-demo-").tempdir()?;
    let mut config = config.clone();
    config.store.dir = arguments.data.clone().unwrap_or_else(|| ephemeral.path().join("data"));
    config.store.master_key_file = match &arguments.data {
        Some(dir) => dir.with_extension("key"),
        None => ephemeral.path().join("master.key"),
    };
    // Sample files of other makers break a few invariants; a demo shows them all the same.
    config.fhir.validation = "structure".into();
    let api_config = wiring::api_config(&config)?;
    let store = wiring::store(&config)?;
    let engine = wiring::engine(&config, store.clone())?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        fill(&engine, arguments).await?;
        if arguments.exit_after_load {
            return Ok(());
        }
        let listener = serve::bind(([127, 0, 0, 1], arguments.port).into()).await?;
        let url = format!("http://{}", listener.local_addr()?);
        eprintln!("\nweir demo is ready:\n  {url}/            start page\n  {url}/fhir/metadata\n  {url}/fhir/Patient?_count=3&_pretty=true\nCtrl-C stops it.");
        let metrics = Arc::new(api::Metrics::default());
        let pages = page::router(engine.clone(), metrics.clone(), url);
        let router = api::router(engine.clone(), api_config.clone(), metrics).merge(pages);
        serve::serve_router(listener, router, &api_config).await
    })?;
    store.close();
    Ok(ExitCode::SUCCESS)
}

/// Writes the population through the engine, as any client's transactions would be.
async fn fill(engine: &Engine, arguments: &Arguments) -> Result<()> {
    let session = wiring::local_session("demo");
    let started = std::time::Instant::now();
    let mut resources = 0_u64;
    let has_data = engine.stats(&session).await.map_err(|error| anyhow::anyhow!("{error}"))?.last_seq > 0;
    if has_data {
        eprintln!("the data directory holds data already: nothing is generated");
    } else {
        let bar = load::bar();
        for bundle in population::bundles(arguments.patients, arguments.seed) {
            let entries = bundle.get("entry").map_or(0, population::len) as u64;
            let answer = engine.bundle(&session, bundle.to_string().as_bytes()).await;
            answer.map_err(|error| anyhow::anyhow!("generated data was refused: {error}"))?;
            resources += entries;
            bar.inc(entries);
        }
        bar.finish_and_clear();
    }
    if !arguments.load.is_empty() {
        resources += load::load_files(engine, &arguments.load).await?.resources;
    }
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("loaded {resources} resources in {seconds:.1} s ({:.0}/s)", resources as f64 / seconds.max(0.001));
    Ok(())
}
