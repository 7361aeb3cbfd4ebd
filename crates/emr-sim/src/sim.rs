//! The simulator as tests, benches and the demo hold it.

use crate::arrivals::Arrival;
use crate::options::{Faults, Options};
use crate::records::{New, Record};
use crate::serve;
use crate::state::Emr;
use crate::tls;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running simulator. Clones are the same one; it ends with [`Sim::stop`] or with the runtime.
#[derive(Debug, Clone)]
pub struct Sim {
    emr: Arc<Emr>,
    address: SocketAddr,
    control: Option<SocketAddr>,
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// What the simulator is and what it has seen, as `GET /sim/state` says it.
#[derive(Debug, Clone, Serialize)]
pub struct State {
    pub profile: String,
    /// Whether the port accepts.
    pub open: bool,
    pub arrivals: u64,
    pub last_second: usize,
    pub last_minute: usize,
    /// Most arrivals in any sliding second.
    pub max_second: usize,
    /// Most arrivals in any sliding minute.
    pub max_minute: usize,
    /// How often the `fragile` profile crashed.
    pub falls: u64,
    /// Late commits that have not been done yet.
    pub late: usize,
    pub faults: Faults,
    /// Records by type.
    pub counts: BTreeMap<String, usize>,
}

impl Sim {
    /// Opens the port and serves in the background.
    pub async fn start(options: Options) -> io::Result<Sim> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let control = match options.control {
            Some(address) => Some(TcpListener::bind(address).await?),
            None => None,
        };
        let control_address = control.as_ref().map(TcpListener::local_addr).transpose()?;
        let acceptor = options.tls.as_ref().map(tls::acceptor).transpose()?;
        let emr = Emr::new(options)?;
        let mut tasks = vec![tokio::spawn(serve::emr(Arc::clone(&emr), listener, address, acceptor))];
        tasks.extend(control.map(|listener| tokio::spawn(serve::control(Arc::clone(&emr), listener))));
        Ok(Sim { emr, address, control: control_address, tasks: Arc::new(Mutex::new(tasks)) })
    }

    /// The simulator behind a control request, which knows no address.
    pub(crate) fn of(emr: Arc<Emr>) -> Sim {
        let address = emr.options.listen;
        Sim { emr, address, control: None, tasks: Arc::default() }
    }

    /// Where the EMR listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the control API listens, if it has a port of its own.
    pub fn control_address(&self) -> Option<SocketAddr> {
        self.control
    }

    pub fn set_faults(&self, faults: Faults) {
        self.emr.front().faults = faults;
    }

    /// Down: every connection is reset, what was in work is lost, the port refuses. Up again: with its data.
    pub fn set_down(&self, down: bool) {
        self.emr.set_down(down);
    }

    /// Sets the EMR's wall clock forward: tokens age, minutes end. Windows of arrivals do not move.
    pub fn advance(&self, by: Duration) {
        self.emr.clock.advance(by);
    }

    /// Up to `limit` arrivals with a number above `after`.
    pub fn arrivals(&self, after: u64, limit: usize) -> Vec<Arrival> {
        self.emr.front().log.list(after, limit)
    }

    /// Whether the chain of the arrival log is whole.
    pub fn verify_chain(&self) -> bool {
        self.emr.front().log.verify()
    }

    /// The largest number of arrivals in any sliding window of this length.
    pub fn max_in_window(&self, window: Duration) -> usize {
        self.emr.front().log.max_in_window(window)
    }

    /// The records of a type, oldest first. Beside resource types there are `vital` and `message`.
    pub fn records(&self, resource_type: &str) -> Vec<Record> {
        self.emr.state().records.all(resource_type).cloned().collect()
    }

    /// Records by type.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.emr.state().records.counts()
    }

    /// Adds a resource as the EMR's staff would on its screens; an `id` in it is kept. Returns its id.
    pub fn insert(&self, mut resource: Value) -> String {
        let resource_type = resource["resourceType"].as_str().unwrap_or("Basic").to_owned();
        let members = resource.as_object_mut();
        let id = members.and_then(|members| {
            members.remove("meta");
            members.remove("id")?.as_str().map(str::to_owned)
        });
        let mut state = self.emr.state();
        let state = &mut *state;
        let now_us = self.emr.clock.wall_us();
        let id = id.filter(|id| state.records.get(&resource_type, id).is_none());
        state
            .records
            .add(&resource_type, New { id, body: resource, ..New::default() }, now_us, &mut state.random)
            .id
            .clone()
    }

    /// Changes a resource as staff would; whether `_lastUpdated` moves depends on the type.
    pub fn edit(&self, resource_type: &str, id: &str, change: impl FnOnce(&mut Value)) -> bool {
        let now_us = self.emr.clock.wall_us();
        self.emr.state().records.edit(resource_type, id, now_us, change)
    }

    /// Deletes a record as staff would: no API shows that it was there.
    pub fn delete(&self, resource_type: &str, id: &str) -> bool {
        self.emr.state().records.remove(resource_type, id)
    }

    /// Enables a registered client; whether it exists.
    pub fn approve(&self, client_id: &str) -> bool {
        self.emr.state().oauth.approve(client_id)
    }

    /// Registered clients: `client_id`, `client_name`, `enabled`, `scopes`.
    pub fn clients(&self) -> Vec<Value> {
        self.emr.state().oauth.clients()
    }

    pub fn state(&self) -> State {
        let now_us = self.emr.clock.mono_us();
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let front = self.emr.front();
        let (arrivals, last_second) = (front.log.len() as u64, front.log.recent(now_us, second));
        let (last_minute, max_second) = (front.log.recent(now_us, minute), front.log.max_in_window(second));
        let (max_minute, faults) = (front.log.max_in_window(minute), front.faults);
        drop(front);
        let state = self.emr.state();
        State {
            profile: self.emr.options.profile.to_string(),
            open: *self.emr.door().borrow(),
            arrivals,
            last_second,
            last_minute,
            max_second,
            max_minute,
            falls: state.falls,
            late: state.late,
            faults,
            counts: state.records.counts(),
        }
    }

    /// Closes the ports and every connection.
    pub async fn stop(self) {
        self.emr.set_down(true);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            task.abort();
            // Aborted is how it ends.
            drop(task.await);
        }
    }
}
