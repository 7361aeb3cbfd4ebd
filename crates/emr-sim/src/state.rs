//! Everything that the running simulator knows, and its door.

use crate::arrivals::Log;
use crate::clock::Clock;
use crate::limits::{Fragile, MinuteLimit};
use crate::oauth::OAuth;
use crate::options::{Faults, Options, Profile};
use crate::random::Random;
use crate::records::Records;
use crate::zone::Zone;
use parking_lot::{Mutex, MutexGuard};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// The simulator, shared by its connections.
#[derive(Debug)]
pub(crate) struct Emr {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    state: Mutex<State>,
    front: Mutex<Front>,
    /// How often everything in work was lost, by a crash or by being taken down.
    losses: AtomicU64,
    /// True while the port accepts; a change to false resets every connection.
    door: watch::Sender<bool>,
}

/// What meets those who arrive. It has a lock of its own: a search through everything must not delay the clock of those who arrive.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) log: Log,
    pub(crate) minute: Option<MinuteLimit>,
    pub(crate) fragile: Option<Fragile>,
    pub(crate) faults: Faults,
    /// For handshakes, whose number depends on how the client keeps its connections.
    pub(crate) tls_random: Random,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) records: Records,
    pub(crate) zone: Zone,
    pub(crate) oauth: OAuth,
    pub(crate) random: Random,
    pub(crate) fault_random: Random,
    /// How often the EMR fell over.
    pub(crate) falls: u64,
    /// Late commits that have not been done yet.
    pub(crate) late: usize,
    /// Searches answered, which decides the order of pages that ask for none.
    pub(crate) searches: u64,
    down: bool,
    crashed: bool,
}

impl Emr {
    pub(crate) fn new(options: Options) -> io::Result<Arc<Emr>> {
        let front = Front {
            log: Log::open(options.log_file.as_deref())?,
            minute: (options.profile == Profile::Strict).then(MinuteLimit::default),
            fragile: (options.profile == Profile::Fragile).then(|| Fragile::new(options.fragile_rate_per_s)),
            faults: options.faults,
            tls_random: Random::new(options.seed ^ 0x715),
        };
        let state = State {
            records: Records::default(),
            zone: Zone::named(&options.zone).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("there is no zone `{}`", options.zone))
            })?,
            oauth: OAuth::default(),
            random: Random::new(options.seed),
            fault_random: Random::new(options.seed ^ 0x5EED),
            falls: 0,
            late: 0,
            searches: 0,
            down: false,
            crashed: false,
        };
        let door = watch::Sender::new(true);
        Ok(Arc::new(Emr {
            options,
            clock: Clock::start(),
            state: Mutex::new(state),
            front: Mutex::new(front),
            losses: AtomicU64::new(0),
            door,
        }))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) fn front(&self) -> MutexGuard<'_, Front> {
        self.front.lock()
    }

    /// Changes when everything in work is lost.
    pub(crate) fn losses(&self) -> u64 {
        self.losses.load(Ordering::SeqCst)
    }

    pub(crate) fn door(&self) -> watch::Receiver<bool> {
        self.door.subscribe()
    }

    pub(crate) fn set_down(&self, down: bool) {
        let mut state = self.state();
        if down && !state.down {
            self.losses.fetch_add(1, Ordering::SeqCst);
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
        self.losses.fetch_add(1, Ordering::SeqCst);
        self.move_door(&state);
        let emr = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(emr.options.outage).await;
            emr.front().fragile = Some(Fragile::new(emr.options.fragile_rate_per_s));
            let mut state = emr.state();
            state.crashed = false;
            emr.move_door(&state);
        });
    }

    fn move_door(&self, state: &State) {
        self.door.send_replace(!state.down && !state.crashed);
    }
}
