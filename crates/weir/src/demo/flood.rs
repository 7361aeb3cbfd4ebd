//! The flood of the demo: registrations and bookings arrive far faster than the EMR behind weir can bear, and all get there.
//!
//! The EMR is `emr-sim` in its fragile profile: it falls over above a rate.

use crate::client::Client;
use crate::config::destination::Destination;
use crate::demo::pace::at_pace;
use crate::demo::population;
use anyhow::{Context, Result};
use delivery::Status;
use emr_sim::{Options, Profile, Sim};
use fhir::json::{Document, Limits};
use reqwest::Method;
use seal::jwt::SigningKey;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Name of the destination.
pub(crate) const NAME: &str = "demo-emr";
/// What the EMR bears, and what weir is told to send at most.
pub(crate) const EMR_RATE_PER_S: u32 = 20;
/// Registrations and bookings in a second: the usual 20,000 come within a minute.
const FLOOD_PER_S: u32 = 400;
/// Clients that register and book at the same time.
const CLIENTS: u32 = 32;

/// What the start page shows. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Flood {
    pub(crate) sim: Sim,
    /// Registrations and bookings to come in all.
    pub(crate) planned: u32,
    sent: Arc<AtomicU32>,
    refused: Arc<AtomicU32>,
}

impl Flood {
    /// Starts the EMR.
    pub(crate) async fn start(planned: u32) -> Result<Flood> {
        let options = Options {
            profile: Profile::Fragile,
            fragile_rate_per_s: f64::from(EMR_RATE_PER_S),
            oauth_required: false,
            ..Options::default()
        };
        let sim = Sim::start(options).await.context("the simulated EMR does not start")?;
        Ok(Flood { sim, planned, sent: Arc::default(), refused: Arc::default() })
    }

    /// How weir delivers to it; credentials that this EMR does not look at go into `dir`.
    pub(crate) fn destination(&self, dir: &Path) -> Result<Destination> {
        let (key, token) = (dir.join("demo-emr.pem"), dir.join("demo-emr.token"));
        std::fs::write(&key, SigningKey::generate()?.to_pem()?.as_bytes())?;
        std::fs::write(&token, "demo")?;
        let text = format!(
            "[[destination]]\nname = \"{NAME}\"\nkind = \"openemr\"\nurl = \"http://{}\"\nper_second = {EMR_RATE_PER_S}\n\
             types = [\"Patient\", \"Appointment\"]\nstart = \"new\"\nquiesce_s = 5\ntimeout_s = 10\n\
             [destination.openemr]\nclient_id = \"demo\"\nkey_file = {key:?}\nwriter_client_id = \"demo\"\n\
             writer_secret_file = {token:?}\nrefresh_token_file = {token:?}\n",
            self.sim.address()
        );
        let table: toml::Table = text.parse()?;
        let tables = table["destination"].as_array().cloned().unwrap_or_default();
        let mut destinations = crate::config::destination::parse("demo", &text, tables)?;
        destinations.pop().context("one destination")
    }

    pub(crate) fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Registers people and books an appointment for each, [`FLOOD_PER_S`], as a health bot and a calendar would.
    pub(crate) async fn pour(&self, client: &Client, seed: u64) {
        let (flood, client) = (self.clone(), client.clone());
        let one = move |n| {
            let (flood, client) = (flood.clone(), client.clone());
            async move {
                if let Err(error) = flood.register_and_book(&client, n, seed).await {
                    flood.refused.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(error = %format!("{error:#}"), "the flood was refused");
                }
                Ok(())
            }
        };
        // A person is a registration and a booking.
        at_pace(CLIENTS, FLOOD_PER_S / 2, self.planned / 2, one).await.ok();
    }

    async fn register_and_book(&self, client: &Client, n: u32, seed: u64) -> Result<()> {
        let registration = population::registration(n, seed).to_string();
        let answer = client.create("Patient", registration.as_bytes()).await?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let booking = population::booking(n, &answer).to_string();
        client.send(Method::POST, "/Appointment", booking.as_bytes()).await?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Waits until nothing is on its way any more, and compares both sides.
    pub(crate) async fn reconcile(&self, client: &Client, status: impl Fn() -> Option<Status>) -> Result<Reconciled> {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let done = |status: Status| status.depth == 0 && status.in_flight == 0;
            if status().is_some_and(done)
                && self.sent() + 2 * self.refused.load(Ordering::Relaxed) >= self.planned / 2 * 2
            {
                return self.compare(client).await;
            }
        }
    }

    async fn compare(&self, client: &Client) -> Result<Reconciled> {
        let mut reconciled = Reconciled { falls: self.sim.state().falls, ..Reconciled::default() };
        reconciled.most_per_s = self.sim.max_in_window(Duration::from_secs(1));
        for (name, tag) in [("Patient", "birthDate"), ("Appointment", "start")] {
            let mut there = std::collections::HashMap::new();
            for record in self.sim.records(name) {
                let identifiers = record.body["identifier"].as_array().cloned().unwrap_or_default();
                let ours = identifiers.iter().filter_map(|identifier| identifier["value"].as_str());
                let Some(key) = ours.into_iter().find(|value| value.starts_with(name)) else { continue };
                let copies: &mut Vec<String> = there.entry(key.to_owned()).or_default();
                copies.push(record.body[tag].as_str().unwrap_or_default().to_owned());
            }
            let mut path = format!("/{name}?_tag={}&_count=1000&_elements={tag}", population::FLOOD_TAG);
            loop {
                let page = client.send(Method::GET, &path, b"").await?;
                let page = Document::parse(&page, &Limits { bytes_max: usize::MAX, ..Limits::default() })?;
                let resources = page.root().get("entry").into_iter().flat_map(|entry| entry.each());
                for resource in resources.filter_map(|entry| entry.get("resource")) {
                    let key = format!("{name}-{}", resource.str("id").unwrap_or_default());
                    let value = resource.str(tag).unwrap_or_default();
                    reconciled.here += 1;
                    match there.get(&key).map(Vec::as_slice) {
                        None => reconciled.missing += 1,
                        Some([one]) if same(one, &value) => reconciled.same += 1,
                        Some([_]) => reconciled.different += 1,
                        Some(_) => reconciled.doubled += 1,
                    }
                }
                let mut links = page.root().get("link").into_iter().flat_map(|links| links.each());
                let next = links.find(|link| link.str("relation").is_some_and(|relation| relation == "next"));
                match next.and_then(|link| link.str("url")?.split_once("/fhir").map(|(_, rest)| rest.to_owned())) {
                    Some(next) => path = next,
                    None => break,
                }
            }
        }
        Ok(reconciled)
    }
}

/// The same date or instant, in whichever zone it is written.
fn same(one: &str, other: &str) -> bool {
    let range = |text: &str| fhir::temporal::PartialDateTime::parse(text).map(|date| date.range_us());
    one == other || (range(one).is_some() && range(one) == range(other))
}

/// Both sides, record by record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reconciled {
    /// Registrations and bookings of the flood that weir has.
    pub(crate) here: u64,
    /// Once at the EMR, with the same content.
    pub(crate) same: u64,
    pub(crate) missing: u64,
    pub(crate) doubled: u64,
    pub(crate) different: u64,
    /// How often the EMR has fallen over.
    pub(crate) falls: u64,
    /// Most arrivals at the EMR in any second.
    pub(crate) most_per_s: usize,
}

impl Reconciled {
    pub(crate) fn is_perfect(&self) -> bool {
        self.same == self.here && self.here > 0
    }
}

impl std::fmt::Display for Reconciled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of {} are at the EMR once and with the same content; missing {}, twice {}, different {}; at most {} arrived there \
             in a second; it fell over {} times",
            self.same, self.here, self.missing, self.doubled, self.different, self.most_per_s, self.falls
        )
    }
}
