//! The vaccine tracker: records of persons through the store with their matching, a burst of vaccinations over REST, and
//! statuses read while nothing else runs.

use crate::callers::{Ran, at_once};
use crate::http::Client;
use crate::latency::Latencies;
use crate::options::Options;
use crate::persons::{Persons, Row};
use crate::random::Random;
use crate::report::{Report, Target};
use crate::server::Server;
use crate::stores::Stores;
use anyhow::{Context, Result, ensure};
use engine::{Engine, Precondition, Principal, Role, Session, Validation};
use fhir::defs::r4;
use fhir::json::{Document, Limits};
use registry::{Definitions, Registry};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use store::{Clock, Store, TenantId};

const CLIENTS: usize = 64;
/// Patients of a transaction, and how many of these are on the way at once.
const BUNDLE: usize = 100;
const BUNDLE_CALLERS: usize = 8;
/// Records whose matching is timed at the end.
const ASKED: usize = 2_000;
const SEED: u64 = 7;
/// When the clock starts: 28 November 2026, since what is due depends on the day.
const START_US: i64 = 1_795_867_200_000_000;

/// One that runs: ids grow with the time, and what comes together lies together in the store.
#[derive(Debug)]
struct RunningClock(Instant);

impl Clock for RunningClock {
    fn now_us(&self) -> i64 {
        START_US + self.0.elapsed().as_micros() as i64
    }
}

pub(crate) fn run(options: &Options, stores: &mut Stores, report: &mut Report) -> Result<()> {
    let csv = std::fs::read_to_string(options.data.join("linkage/vaxid_5k.csv")).context("vaxid_5k.csv")?;
    let persons = Persons::read(&csv)?;
    // Those without a name or a birth date are no vaccinations that REST takes.
    let whole = |row: &Row| row.is_whole();
    let rows = |count: usize| -> Vec<Row> {
        let mut rows: Vec<Row> = (0..).flat_map(|copy| persons.copy(copy, SEED)).filter(whole).take(count).collect();
        // The set has all records of a person in a row: nobody registers five times within a second.
        Random::new(SEED).shuffle(&mut rows);
        rows
    };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(in_transactions(&stores.fresh(), rows(options.persons), report))?;
    runtime.block_on(through_the_store(&stores.fresh(), rows(options.persons), report))?;
    if options.vaccinations == 0 {
        return Ok(());
    }
    let server = Server::start(&options.weir, &stores.fresh())?;
    runtime.block_on(burst(&server, rows(options.vaccinations), report))?;
    server.stop()
}

struct Stand {
    store: Store,
    engine: Engine,
    registry: Registry,
    session: Session,
}

async fn open(dir: &Path) -> Result<Stand> {
    let clock = Arc::new(RunningClock(Instant::now()));
    let random: engine::Random = Arc::new(seal::system_random);
    let options = store::Options {
        dir: dir.to_owned(),
        master_key: seal::MasterKey::parse(&[7; 32])?,
        clock: clock.clone(),
        cache_bytes_max: 64 << 20,
        queue_max: 4_096,
    };
    let store = Store::open(options)?;
    store.tenant(&TenantId("default".into()))?;
    let registry = Registry::new(Definitions::builtin()?, registry::utc(), clock.clone(), random.clone());
    let options = engine::Options { validation: Validation::Structure, ..engine::Options::default() };
    let engine = Engine::new(store.clone(), options, clock, random).with_deriver(Arc::new(registry.clone()));
    let session = Session {
        tenant: TenantId("default".into()),
        who: Principal { id: "bench".into(), role: Role::Admin },
        request_id: "bench".into(),
        base: "http://localhost/fhir".into(),
    };
    registry.open(&engine, &session).await?;
    Ok(Stand { store, engine, registry, session })
}

fn matched(report: &mut Report, records: &str, count: usize, ran: &Ran<()>) {
    let name = |what: &str| format!("tracker: {what}, {records}");
    report.figure(&name("Patients matched and durable"), count as f64 / ran.seconds, "/s", Target::None);
    report.figure(&name("the same for each core that worked"), count as f64 / ran.cpu_seconds, "/s", Target::None);
}

/// Patients in transactions of many, as `weir load` and a nightly import bring them.
async fn in_transactions(dir: &Path, rows: Vec<Row>, report: &mut Report) -> Result<()> {
    let stand = Arc::new(open(dir).await?);
    let (count, rows, next) = (rows.len(), Arc::new(rows), Arc::new(AtomicUsize::new(0)));
    let ran = at_once(BUNDLE_CALLERS, || {
        let (stand, rows, next) = (stand.clone(), rows.clone(), next.clone());
        async move {
            loop {
                let at = next.fetch_add(BUNDLE, Ordering::Relaxed);
                let Some(rows) = rows.get(at..).filter(|rows| !rows.is_empty()) else { return Ok(()) };
                let entry =
                    |row: &Row| json!({"resource": row.patient(), "request": {"method": "POST", "url": "Patient"}});
                let entries: Vec<Value> = rows.iter().take(BUNDLE).map(entry).collect();
                let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
                stand.engine.bundle(&stand.session, bundle.to_string().as_bytes()).await?;
            }
        }
    })
    .await?;
    matched(report, &format!("{count} records in transactions of {BUNDLE}"), count, &ran);
    stand.store.close();
    Ok(())
}

/// Patients created one by one by many callers: matched, linked, assessed for all antigens, counted and durable.
async fn through_the_store(dir: &Path, rows: Vec<Row>, report: &mut Report) -> Result<()> {
    let stand = Arc::new(open(dir).await?);
    let (count, rows, next) = (rows.len(), Arc::new(rows), Arc::new(AtomicUsize::new(0)));
    let ran = at_once(CLIENTS, || {
        let (stand, rows, next) = (stand.clone(), rows.clone(), next.clone());
        async move {
            let patient = r4().resource_by_name("Patient").context("Patient")?;
            while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                let body = row.patient().to_string();
                stand.engine.create(&stand.session, patient, body.as_bytes(), &Precondition::default()).await?;
            }
            Ok(())
        }
    })
    .await?;
    matched(report, &format!("{count} records"), count, &ran);
    let name = |what: &str| format!("tracker: {what}, {count} records");
    let mut latencies = Latencies::default();
    for row in rows.iter().step_by((count / ASKED).max(1)) {
        let body = row.patient().to_string();
        let document = Document::parse(body.as_bytes(), &Limits::default()).ok().context("a Patient")?;
        let asked = Instant::now();
        stand.registry.sure(&stand.session, document.root())?;
        latencies.push(asked.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
    }
    latencies.sort();
    report.figure(&name("p50 of a match"), latencies.percentile_ms(50.0), "ms", Target::None);
    report.figure(&name("p99 of a match"), latencies.percentile_ms(99.0), "ms", Target::AtMost(1.0));
    let started = Instant::now();
    let recount = stand.registry.recount(&stand.engine, &stand.session, false).await?;
    ensure!(recount.differences.is_empty(), "the recount found {} wrong counts", recount.differences.len());
    report.figure(&name("recount of everything"), started.elapsed().as_secs_f64(), "s", Target::None);
    stand.store.close();
    drop(stand);
    let started = Instant::now();
    let again = open(dir).await?;
    report.figure(&name("opened again"), started.elapsed().as_secs_f64(), "s", Target::None);
    again.store.close();
    Ok(())
}

/// Vaccinations by 64 clients at once, as a campaign sends them; then the status of persons, one after the other.
async fn burst(server: &Server, rows: Vec<Row>, report: &mut Report) -> Result<()> {
    let mut client = Client::connect(server.address, "").await?;
    let clinics = CLINICS.iter().map(|clinic| (format!("/clinics/{clinic}"), r#"{"name":"A clinic"}"#));
    for (path, body) in clinics.chain([("/providers/nurse".to_owned(), r#"{"given":"Ann","family":"Nurse"}"#)]) {
        let reply = client.send("PUT", &path, body).await?;
        ensure!(matches!(reply.status, 200 | 201), "{path} was refused: {}", String::from_utf8_lossy(reply.body));
    }
    let (count, rows, next) = (rows.len(), Arc::new(rows), Arc::new(AtomicUsize::new(0)));
    let address = server.address;
    let ran = at_once(CLIENTS, || {
        let (rows, next) = (rows.clone(), next.clone());
        async move {
            let (mut client, mut latencies, mut persons) =
                (Client::connect(address, "").await?, Latencies::default(), Vec::new());
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(row) = rows.get(at) else { return Ok((latencies, persons)) };
                let body = json!({
                    "vaccine": "208", "provider": "nurse", "clinic": CLINICS[at % CLINICS.len()], "date": format!("2026-11-{:02}", 1 + at % 28),
                    "lot": format!("L{}", at % 50), "phi": row.phi(),
                });
                let asked = Instant::now();
                let reply = client.send("POST", "/vaccines", &body.to_string()).await?;
                latencies.push(asked.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
                ensure!(reply.status == 201, "refused: {}", String::from_utf8_lossy(reply.body));
                let answer: Value = serde_json::from_slice(reply.body)?;
                persons.push(answer["person"].as_str().context("no person")?.to_owned());
            }
        }
    })
    .await?;
    let (mut latencies, mut persons) = (Latencies::default(), Vec::new());
    for (one, seen) in ran.answers {
        latencies.append(&one);
        persons.extend(seen);
    }
    latencies.sort();
    report.figure("tracker: vaccinations of a burst, 64 clients", count as f64, "", Target::None);
    report.figure("tracker: vaccinations recorded and counted", count as f64 / ran.seconds, "/s", Target::None);
    report.figure("tracker: p99 of a vaccination", latencies.percentile_ms(99.0), "ms", Target::None);
    // The first connection has been idle for as long as the burst took: the server may have closed it.
    let mut client = Client::connect(server.address, "").await?;
    check(&mut client, count as u64).await?;
    let mut latencies = Latencies::default();
    for person in persons.iter().step_by((persons.len() / ASKED).max(1)) {
        let asked = Instant::now();
        let reply = client.send("GET", &format!("/patients/{person}/status"), "").await?;
        latencies.push(asked.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
        ensure!(reply.status == 200, "no status: {}", String::from_utf8_lossy(reply.body));
    }
    latencies.sort();
    report.figure("tracker: p99 of a status", latencies.percentile_ms(99.0), "ms", Target::AtMost(5.0));
    Ok(())
}

const CLINICS: [&str; 4] = ["north", "south", "east", "west"];

/// All are there, and counted right.
async fn check(client: &mut Client, count: u64) -> Result<()> {
    let immunizations = client.send("GET", "/fhir/Immunization?_summary=count", "").await?;
    let bundle: Value = serde_json::from_slice(immunizations.body)?;
    ensure!(bundle["total"] == count, "{count} vaccinations were sent, {} are there", bundle["total"]);
    let stats = client.send("GET", "/stats?programme=covid-19-primary", "").await?;
    let stats: Value = serde_json::from_slice(stats.body)?;
    let people = &stats["total"]["people"];
    let number = |name: &str| people[name].as_u64().context("a count");
    let (persons, vaccinated) = (number("persons")?, number("partial")? + number("full")?);
    ensure!(number("not")? == 0 && persons == vaccinated, "everybody has a dose, and the counts say {people}");
    Ok(())
}
