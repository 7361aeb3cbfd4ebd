//! `weir demo`

use crate::client::Client;
use crate::cmd::load;
use crate::cmd::serve::{self, Service};
use crate::config::Config;
use crate::delivering::Delivering;
use crate::demo::campaign::Campaign;
use crate::demo::flood::{self, Flood};
use crate::demo::{page, population};
use crate::door::Door;
use crate::progress::Progress;
use crate::{tracking, wiring};
use anyhow::Result;
use clap::Args;
use engine::Engine;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

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
    /// Registrations and bookings that flood in while a simulated EMR takes 20 a second; 0: no flood and no EMR.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    flood: u32,
    /// Vaccinations that clinics record while you look at /tracker, 25 a second; 0: none.
    #[arg(long, value_name = "N", default_value_t = 3_000)]
    campaign: u32,
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Stop when everything is loaded, the campaign is over and the flood, if there is one, has reached the EMR: for scripts.
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
    let (engine, registry) = wiring::engine(&config, store.clone())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(async {
        let sessions = tracking::open(&config, &registry, &engine).await?;
        tokio::spawn(tracking::run(config.clone(), registry.clone(), engine.clone(), sessions));
        let listener = serve::bind(([127, 0, 0, 1], arguments.port).into()).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let delivering = Delivering::default();
        let metrics = Arc::new(api::Metrics::default().with(web::ops::Metrics(delivering.desk.clone(), delivering.roster.clone())));
        let flood = match arguments.flood {
            0 => None,
            count => Some(Flood::start(count).await?),
        };
        let campaign = Campaign::new(arguments.campaign);
        let shown = page::Shown { flood: flood.clone(), campaign: campaign.clone(), desk: delivering.desk.clone() };
        let pages = page::router(engine.clone(), metrics.clone(), url.clone(), shown);
        let service = Service {
            listener,
            router: api::router(engine.clone(), registry.clone(), api_config.clone(), metrics.clone()).merge(pages),
            tls: None,
            data_dir: config.store.dir.clone(),
            store: store.clone(),
            engine: engine.clone(),
            registry: registry.clone(),
            metrics,
            delivering: delivering.clone(),
            config: api_config,
        };
        let (loaded, stop) = tokio::sync::oneshot::channel();
        let serving = service.serve(|| (), async {
            // The sender is dropped when loading has failed or was all that was asked for.
            if stop.await.is_ok() {
                serve::stop_signal().await;
            }
        });
        let filling = async {
            fill(&engine, &url, arguments).await?;
            if !arguments.exit_after_load {
                eprintln!("\nweir demo is ready:\n  {url}/            start page\n  {url}/ops         what is on its way to the EMR\n  {url}/tracker     who is vaccinated\n  {url}/fhir/metadata\n  {url}/fhir/Patient?_count=3&_pretty=true\nCtrl-C stops it.");
                loaded.send(()).ok();
            }
            let flooding = async {
                let Some(flood) = flood else { return Ok(()) };
                delivering.start(&[flood.destination(ephemeral.path())?], &engine, &registry).await?;
                run_flood(&flood, &delivering, &url, arguments.seed).await
            };
            tokio::try_join!(flooding, run_campaign(&campaign, &url, arguments.seed, registry.today())).map(|_| ())
        };
        let (served, filled) = tokio::join!(serving, filling);
        filled.and(served)
    });
    store.close();
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Lets the flood come, waits until all of it is at the EMR, and says whether both sides agree.
async fn run_flood(flood: &Flood, delivering: &Delivering, url: &str, seed: u64) -> Result<()> {
    let client = Client::remote(&format!("{url}/fhir"), None, None)?;
    let status = || delivering.desk.get("default", flood::NAME).map(|handle| handle.status());
    // What comes before the dispatcher has found its place would count as old.
    while status().is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eprintln!("{} registrations and bookings come in; the EMR takes {} a second", flood.planned, flood::EMR_RATE_PER_S);
    flood.pour(&client, seed).await;
    eprintln!("the flood is in; weir holds back what the EMR cannot take yet");
    let reconciled = flood.reconcile(&client, status).await?;
    eprintln!("the flood is at the EMR: {reconciled}");
    anyhow::ensure!(reconciled.is_perfect(), "the two sides differ");
    Ok(())
}

/// Clinics vaccinate; what weir made of it is on the tracker's pages.
async fn run_campaign(campaign: &Campaign, url: &str, seed: u64, today: registry::Date) -> Result<()> {
    if campaign.planned == 0 {
        return Ok(());
    }
    eprintln!(
        "clinics record {} vaccinations: {url}/tracker?programme=covid-19-primary shows them as they come",
        campaign.planned
    );
    campaign.run(&Client::remote(url, None, None)?, seed, today).await?;
    eprintln!(
        "the campaign is over: {} recorded, {} for people who were recognised",
        campaign.recorded(),
        campaign.recognised()
    );
    Ok(())
}

/// Sends the population to the server as any client would, in transactions.
async fn fill(engine: &Engine, url: &str, arguments: &Arguments) -> Result<()> {
    let door = Door::Server(Client::remote(&format!("{url}/fhir"), None, None)?);
    let stats = engine.stats(&wiring::local_session("demo")).await.map_err(|error| anyhow::anyhow!("{error}"))?;
    if stats.last_seq > 0 {
        eprintln!("the data directory holds data already: nothing is generated");
    } else {
        let progress = Progress::new(arguments.patients.into());
        for (at, bundle) in population::bundles(arguments.patients, arguments.seed).enumerate() {
            let entries = bundle.get("entry").map_or(0, population::len) as u64;
            let answer = door.bundle(bundle.to_string().as_bytes()).await;
            answer.map_err(|error| anyhow::anyhow!("generated data was refused: {error}"))?;
            // The first Bundle holds the clinics.
            progress.reached((at as u64 * u64::from(population::PER_BUNDLE)).min(arguments.patients.into()), entries);
        }
        progress.finish();
        say(progress.resources(), progress.seconds());
    }
    if !arguments.load.is_empty() {
        let summary = load::load_files(&door, &arguments.load).await?;
        say(summary.resources, summary.seconds);
    }
    Ok(())
}

fn say(resources: u64, seconds: f64) {
    eprintln!("loaded {resources} resources in {seconds:.1} s ({:.0}/s)", resources as f64 / seconds.max(0.001));
}
