//! The vaccination campaign of the demo: clinics record doses while somebody looks at the tracker's pages.
//!
//! People come twice, to another clinic now and then and with a name that the desk misspells; families live together; a few
//! come too early. What weir makes of it is on `/tracker`.

use crate::client::Client;
use crate::demo::pace::at_pace;
use crate::demo::population::{CLINICS, Vaccinee, vaccinee};
use anyhow::{Context, Result};
use registry::Date;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Doses in a second: slow enough to watch.
const PER_S: u32 = 25;
/// Desks that record at the same time. Visits of one person are far apart, so that the first is done before the second begins.
const DESKS: u32 = 4;
/// The campaign began so many days ago.
const DAYS: i32 = 70;
/// What is given, per cent of people: CVX code, manufacturer (MVX), doses of the primary series.
const VACCINES: [(u64, &str, &str, u32); 3] = [(65, "208", "PFR", 2), (90, "207", "MOD", 2), (100, "212", "JSN", 1)];

/// What the start page shows. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Campaign {
    /// Doses to come in all.
    pub(crate) planned: u32,
    recorded: Arc<AtomicU32>,
    recognised: Arc<AtomicU32>,
}

/// One dose for somebody.
struct Visit {
    day: i32,
    person: u32,
    is_second: bool,
}

impl Campaign {
    pub(crate) fn new(planned: u32) -> Campaign {
        Campaign { planned, recorded: Arc::default(), recognised: Arc::default() }
    }

    /// Doses that are recorded.
    pub(crate) fn recorded(&self) -> u32 {
        self.recorded.load(Ordering::Relaxed)
    }

    /// Those of them whose person was known already.
    pub(crate) fn recognised(&self) -> u32 {
        self.recognised.load(Ordering::Relaxed)
    }

    /// Records all doses, in the order of their days, [`PER_S`].
    pub(crate) async fn run(&self, client: &Client, seed: u64, today: Date) -> Result<()> {
        let (campaign, client, visits) = (self.clone(), client.clone(), Arc::new(visits(self.planned, seed)));
        let count = visits.len() as u32;
        let one = move |n: u32| {
            let (campaign, client, visits) = (campaign.clone(), client.clone(), visits.clone());
            async move { campaign.record(&client, &body(&visits[n as usize], seed, today)).await }
        };
        at_pace(DESKS, PER_S, count, one).await
    }

    async fn record(&self, client: &Client, body: &Value) -> Result<()> {
        let answer = client.send(Method::POST, "/vaccines", body.to_string().as_bytes()).await;
        let answer: Value = serde_json::from_slice(&answer.context("a vaccination was refused")?)?;
        self.recorded.fetch_add(1, Ordering::Relaxed);
        if answer["recognised"] == true {
            self.recognised.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// `planned` doses, the earliest first. The day counts from the campaign's beginning.
fn visits(planned: u32, seed: u64) -> Vec<Visit> {
    let mut visits = Vec::new();
    for person in 0.. {
        if visits.len() >= planned as usize {
            break;
        }
        let vaccinee = vaccinee(person, seed);
        // More come in the first weeks than later.
        let first = (vaccinee.draws[0] % DAYS as u64 * (vaccinee.draws[1] % 100) / 100) as i32;
        visits.push(Visit { day: first, person, is_second: false });
        let wait = match vaccinee.draws[2] % 100 {
            // Too early: the dose does not count.
            0..4 => 10,
            _ => 21 + (vaccinee.draws[3] % 15) as i32,
        };
        let returns = vaccine(&vaccinee).3 > 1 && vaccinee.draws[4] % 100 < 85;
        if returns && first + wait <= DAYS {
            visits.push(Visit { day: first + wait, person, is_second: true });
        }
    }
    visits.truncate(planned as usize);
    visits.sort_by_key(|visit| visit.day);
    visits
}

fn vaccine(vaccinee: &Vaccinee) -> (u64, &'static str, &'static str, u32) {
    let draw = vaccinee.draws[5] % 100;
    *VACCINES.iter().find(|(until, ..)| draw < *until).expect("the last goes up to 100")
}

/// What the desk sends.
fn body(visit: &Visit, seed: u64, today: Date) -> Value {
    let vaccinee = vaccinee(visit.person, seed);
    let (_, cvx, maker, _) = vaccine(&vaccinee);
    // One in six goes elsewhere the second time.
    let elsewhere = u64::from(visit.is_second && vaccinee.draws[6].is_multiple_of(6));
    let clinic = (vaccinee.clinic + elsewhere) % CLINICS as u64;
    let phi = if visit.is_second { vaccinee.misspelt() } else { vaccinee.phi.clone() };
    let mut body = json!({
        "vaccine": cvx, "manufacturer": maker, "clinic": format!("site-{clinic}"), "provider": format!("doctor-{clinic}"),
        "date": today.plus_days(visit.day - DAYS).to_string(), "phi": phi,
    });
    // A lot number is forgotten now and then.
    if !vaccinee.draws[7].is_multiple_of(25) {
        body["lot"] = format!("{maker}{:03}", visit.day / 7 * 6 + clinic as i32).into();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn doses_come_in_the_order_of_their_days_and_seconds_after_firsts() {
        let visits = visits(1_000, 7);
        assert_eq!(visits.len(), 1_000);
        assert!(visits.is_sorted_by_key(|visit| visit.day));
        let mut first = HashSet::new();
        for visit in &visits {
            assert!((0..=DAYS).contains(&visit.day));
            let is_new = first.insert(visit.person);
            assert_ne!(is_new, visit.is_second, "a second dose follows a first");
        }
        let seconds = visits.iter().filter(|visit| visit.is_second).count();
        assert!((200..500).contains(&seconds), "{seconds}");
    }

    #[test]
    fn some_desks_misspell() {
        let today: Date = "2026-11-28".parse().unwrap();
        let visit = |person, is_second| Visit { day: 30, person, is_second };
        let differs = (0..200).filter(|person| {
            body(&visit(*person, false), 7, today)["phi"] != body(&visit(*person, true), 7, today)["phi"]
        });
        let differs = differs.count();
        assert!((20..120).contains(&differs), "{differs} of 200");
    }
}
