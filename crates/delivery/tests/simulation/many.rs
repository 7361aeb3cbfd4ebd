//! Fifty destinations of one store, each with its dispatcher.

use crate::book::MemoryBook;
use delivery::{Async, Calls, Destination, Dispatcher, Found, Item, Limit, Outcome, Remote, Rule, Rules, Spec};
use fhir::defs::r4;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{ManualClock, Op};
use tokio::time::{Instant, sleep};

const DESTINATIONS: usize = 50;
const PATIENTS: usize = 100;
const EVERY: Duration = Duration::from_millis(300);

/// The resources that arrived at a destination, and when.
type Arrivals = Arc<Mutex<Vec<(String, Instant)>>>;

/// Answers after a while, or never.
#[derive(Debug)]
struct Peer {
    hangs: bool,
    arrivals: Arrivals,
}

impl Destination for Peer {
    fn deliver<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Outcome> {
        Box::pin(async move {
            let _call = calls.next().await;
            if self.hangs {
                std::future::pending::<()>().await;
            }
            self.arrivals.lock().unwrap().push((item.key.clone(), Instant::now()));
            sleep(Duration::from_millis(30)).await;
            Outcome::Done(Remote { id: item.key.replace('/', "-"), more: Vec::new() })
        })
    }

    fn probe<'a>(&'a self, _item: &'a Item, _calls: &'a Calls) -> Async<'a, Found> {
        Box::pin(async { Found::No })
    }

    fn quiesce(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn kind(&self) -> &'static str {
        "peer"
    }
}

/// From a change to its arrival at each destination but the last, sorted.
pub(crate) fn delays(last_hangs: bool, seed: u64) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let clock = Arc::new(ManualClock::new(1_767_225_600_000_000));
        let book = MemoryBook::new(clock.clone(), seed);
        let arrivals: Vec<Arrivals> = (0..DESTINATIONS).map(|_| Arc::default()).collect();
        for (at, arrivals) in arrivals.iter().enumerate() {
            let types = vec![r4().resource_by_name("Patient").unwrap()];
            let rules = Rules(vec![Rule { types, filter: None, priority: 100 }]);
            let limits = vec![Limit { count: 10, window_us: 1_000_000 }];
            let spec = Spec::new(&format!("d{at}"), rules, limits);
            let peer = Peer { hangs: last_hangs && at == DESTINATIONS - 1, arrivals: arrivals.clone() };
            let started = Dispatcher::start(book.clone(), spec, Arc::new(peer), clock.clone(), at as u64).await;
            tokio::spawn(started.unwrap().0.run());
        }
        let mut written = HashMap::new();
        for n in 0..PATIENTS {
            let key = format!("Patient/p{n}");
            let json = format!(r#"{{"resourceType":"Patient","id":"p{n}"}}"#);
            book.write("Patient", &format!("p{n}"), Op::Create, json, Some(key.clone()));
            written.insert(key, Instant::now());
            sleep(EVERY).await;
        }
        sleep(Duration::from_secs(30)).await;
        let mut delays = Vec::new();
        for arrivals in &arrivals[..DESTINATIONS - 1] {
            let arrivals = arrivals.lock().unwrap();
            assert_eq!(arrivals.len(), PATIENTS, "each of them got everything, once");
            delays.extend(arrivals.iter().map(|(key, at)| *at - written[key]));
        }
        let stuck = arrivals[DESTINATIONS - 1].lock().unwrap().len();
        assert_eq!(stuck, if last_hangs { 0 } else { PATIENTS });
        delays.sort_unstable();
        delays
    })
}
