//! How far a long command is: a bar on a terminal, a plain line now and then elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two lines where there is no terminal.
const EACH: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    resources: AtomicU64,
    /// When the last plain line was written; `None` on a terminal.
    last_line: Option<Mutex<Instant>>,
}

impl Progress {
    /// `total` is in the unit of [`Progress::reached`].
    pub(crate) fn new(total: u64) -> Progress {
        let style =
            ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}, {eta} left").expect("a fixed template");
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Progress {
            bar: ProgressBar::with_draw_target(Some(total), target).with_style(style),
            started: Instant::now(),
            resources: AtomicU64::new(0),
            last_line: (!terminal).then(|| Mutex::new(Instant::now())),
        }
    }

    /// `resources` more are written, and `position` of the total is reached.
    pub(crate) fn reached(&self, position: u64, resources: u64) {
        let resources = self.resources.fetch_add(resources, Ordering::Relaxed) + resources;
        self.bar.set_position(position);
        let rate = resources as f64 / self.seconds().max(0.001);
        let text = format!("{resources} resources, {rate:.0}/s");
        match self.last_line.as_ref().map(|last| last.lock().unwrap_or_else(std::sync::PoisonError::into_inner)) {
            None => self.bar.set_message(text),
            Some(mut last) if last.elapsed() >= EACH => {
                *last = Instant::now();
                let percent = 100 * position / self.bar.length().unwrap_or(0).max(1);
                eprintln!("{percent} %  {text}, {} s left", self.bar.eta().as_secs());
            }
            Some(_) => {}
        }
    }

    pub(crate) fn resources(&self) -> u64 {
        self.resources.load(Ordering::Relaxed)
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Writes a line without disturbing the bar.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
