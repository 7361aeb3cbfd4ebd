//! A real engine on a temporary store, with a clock that stands still and ids that count: for the tests of this crate and of those above.

use engine::{Engine, Options};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{ManualClock, Store};

/// The directory goes when it is dropped.
pub(crate) fn stand(options: Options, now_us: i64) -> (Engine, Store, Arc<ManualClock>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(now_us));
    let store = Store::open(store::Options {
        dir: dir.path().join("data"),
        master_key: seal::MasterKey::parse(&[7; 32]).unwrap(),
        clock: clock.clone(),
        cache_bytes_max: 1 << 20,
        queue_max: 1_000,
    })
    .unwrap();
    let counter = AtomicU64::new(1);
    let random = Arc::new(move |out: &mut [u8]| {
        let number = counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        out.fill(0);
        let from = out.len() - number.len();
        out[from..].copy_from_slice(&number);
    });
    let engine = Engine::new(store.clone(), options, clock.clone(), random);
    (engine, store, clock, dir)
}
