//! Everything that the running simulator knows, and its door.

use crate::arrivals::Log;
use crate::clock::Clock;
use crate::limits::{Fragile, MinuteLimit};
use crate::oauth::OAuth;
use crate::options::{Faults, Options, Profile};
use crate::random::Random;
use crate::records::Records;
use parking_lot::{Mutex, MutexGuard};
use std::io;
use std::sync::Arc;
use tokio::sync::watch;

/// The simulator, shared by its connections.
#[derive(Debug)]
pub(crate) struct Emr {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    state: Mutex<State>,
    /// True while the port accepts; a change to false resets every connection.
    door: watch::Sender<bool>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) records: Records,
    pub(crate) log: Log,
    pub(crate) oauth: OAuth,
    pub(crate) faults: Faults,
    pub(crate) random: Random,
    pub(crate) fault_random: Random,
    pub(crate) minute: Option<MinuteLimit>,
    pub(crate) fragile: Option<Fragile>,
    /// How often the EMR fell over.
    pub(crate) falls: u64,
    /// How often everything in work was lost, by a crash or by being taken down.
    pub(crate) losses: u64,
    /// Late commits that have not been done yet.
    pub(crate) late: usize,
    /// Searches answered, which decides the order of pages that ask for none.
    pub(crate) searches: u64,
    down: bool,
    crashed: bool,
}

impl Emr {
    pub(crate) fn new(options: Options) -> io::Result<Arc<Emr>> {
        let state = State {
            records: Records::default(),
            log: Log::open(options.log_file.as_deref())?,
            oauth: OAuth::default(),
            faults: options.faults,
            random: Random::new(options.seed),
            fault_random: Random::new(options.seed ^ 0x5EED),
            minute: (options.profile == Profile::Strict).then(MinuteLimit::default),
            fragile: (options.profile == Profile::Fragile).then(|| Fragile::new(options.fragile_rate_per_s)),
            falls: 0,
            losses: 0,
            late: 0,
            searches: 0,
            down: false,
            crashed: false,
        };
        let door = watch::Sender::new(true);
        Ok(Arc::new(Emr { options, clock: Clock::start(), state: Mutex::new(state), door }))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) fn door(&self) -> watch::Receiver<bool> {
        self.door.subscribe()
    }

    pub(crate) fn set_down(&self, down: bool) {
        let mut state = self.state();
        if down && !state.down {
            state.losses += 1;
        }
        state.down = down;
        self.move_door(&state);
    }

    /// Everything falls over: connections are reset, the port refuses for a while, and the data is there afterwards.
    pub(crate) fn crash(self: &Arc<Self>) {
        let mut state = self.state();
        if state.crashed {
            return;
        }
        state.crashed = true;
        state.falls += 1;
        state.losses += 1;
        self.move_door(&state);
        let emr = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(emr.options.outage).await;
            let mut state = emr.state();
            state.crashed = false;
            state.fragile = Some(Fragile::new(emr.options.fragile_rate_per_s));
            emr.move_door(&state);
        });
    }

    fn move_door(&self, state: &State) {
        self.door.send_replace(!state.down && !state.crashed);
    }
}
