//! Small values that come in great numbers: kept values of a space, events of a topic, changes of counters.
//!
//! Each kind of them has a compression dictionary of its own once it has been trained from them: alone they are too short to
//! compress. Which dictionary a value needs is in its frame; values from before, or of a kind that does not compress, need none.

use super::Shared;
use super::codec::{Codec, Dictionary, LEVEL, Packing, compress};
use crate::StoreError;
use parking_lot::RwLock;
use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

/// Values of a kind that are sealed before its dictionary is trained, and how many of the newest it is trained from.
const SAMPLES_MIN: u64 = 2_000;
const SAMPLES_MAX: i64 = 2_000;
const DICTIONARY_BYTES_MAX: usize = 8 << 10;
/// A kind is compressed when its samples come to less than this part of their length, in percent.
const WORTH_PERCENT: usize = 75;
/// For what does not compress: zstd only looks for long repetitions.
const PLAIN: Packing = Packing::Level(-100);

/// What is kept by the name of a kind.
#[derive(Default)]
struct Kind {
    sealed: AtomicU64,
    /// `None` until it is trained.
    packing: Option<Packing>,
}

#[derive(Default)]
pub(super) struct Kinds {
    by_name: RwLock<HashMap<String, Kind>>,
    /// By the number that zstd writes into each frame.
    by_frame: RwLock<HashMap<NonZeroU32, Dictionary>>,
}

/// The kind of the values of a space. Events and changes of counters are of the kind that they are bound to.
pub(super) fn state_kind(space: &str) -> String {
    format!("state {space}")
}

impl Kinds {
    /// How the next value of a kind is packed. It is counted until the kind is trained.
    fn packing(&self, kind: &str) -> Packing {
        if let Some(known) = self.by_name.read().get(kind) {
            if known.packing.is_none() {
                known.sealed.fetch_add(1, Ordering::Relaxed);
            }
            return known.packing.unwrap_or(Packing::Level(LEVEL));
        }
        self.by_name.write().entry(kind.to_owned()).or_default();
        Packing::Level(LEVEL)
    }

    /// Without a dictionary the kind does not compress.
    fn trained(&self, kind: &str, dictionary: Option<(NonZeroU32, Dictionary)>) {
        let packing = match dictionary {
            None => PLAIN,
            Some((frame, dictionary)) => {
                self.by_frame.write().insert(frame, dictionary);
                Packing::Dictionary(dictionary)
            }
        };
        self.by_name.write().entry(kind.to_owned()).or_default().packing = Some(packing);
    }

    fn due(&self) -> Vec<String> {
        let known = self.by_name.read();
        let due = known
            .iter()
            .filter(|(_, kind)| kind.packing.is_none() && kind.sealed.load(Ordering::Relaxed) >= SAMPLES_MIN);
        due.map(|(name, _)| name.clone()).collect()
    }

    /// What a frame was packed with.
    pub(super) fn of_frame(&self, packed: &[u8]) -> Result<Option<Dictionary>, StoreError> {
        let Some(frame) = zstd::zstd_safe::get_dict_id_from_frame(packed) else { return Ok(None) };
        let missing = || StoreError::Unseal(format!("dictionary {frame} of small values is missing"));
        self.by_frame.read().get(&frame).copied().map(Some).ok_or_else(missing)
    }
}

impl Codec {
    /// As [`Codec::seal`], for a value of a kind.
    pub(super) fn seal_small(&self, kind: &str, place: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(self.seal_packed(place, &compress(self.kinds.packing(kind), plain)?))
    }
}

/// A dictionary with the number that frames name it by; `None` when the bytes are none.
fn dictionary(bytes: &[u8]) -> Option<(NonZeroU32, Dictionary)> {
    let frame = zstd::zstd_safe::get_dict_id_from_dict(bytes)?;
    Some((frame, Dictionary::new(0, bytes)))
}

fn dictionary_place(kind: &str) -> String {
    format!("dictionary of {kind}")
}

/// Reads the dictionaries of the file.
pub(super) fn load(connection: &Connection, codec: &Codec) -> Result<(), StoreError> {
    let mut select = connection.prepare("SELECT kind, body FROM small_dicts")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, body): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        codec.kinds.trained(&kind, dictionary(&codec.open(&dictionary_place(&kind), &body)?));
    }
    Ok(())
}

/// Trains each kind that has enough values and was not trained yet.
pub(super) fn train_due(shared: &Shared) -> Result<(), StoreError> {
    let kinds = &shared.codec.kinds;
    for kind in kinds.due() {
        let samples = samples(shared, &kind)?;
        // What is too uniform or has nothing in common cannot be trained from.
        let bytes = zstd::dict::from_samples(&samples, DICTIONARY_BYTES_MAX).unwrap_or_default();
        let trained = match dictionary(&bytes) {
            Some(trained) if is_worth(trained.1, &samples)? => Some(trained),
            _ => None,
        };
        let kept = if trained.is_some() { bytes.as_slice() } else { &[] };
        let sealed = shared.codec.seal(&dictionary_place(&kind), kept)?;
        let (row, at_us) = (kind.clone(), shared.now_us());
        shared.writing(move |connection| {
            connection.execute("INSERT INTO small_dicts VALUES (?1, ?2, ?3)", params![row, at_us, sealed])?;
            Ok(())
        })?;
        kinds.trained(&kind, trained);
    }
    Ok(())
}

fn is_worth(dictionary: Dictionary, samples: &[Vec<u8>]) -> Result<bool, StoreError> {
    let packing = Packing::Dictionary(dictionary);
    let (mut plain, mut packed) = (0, 0);
    for sample in samples {
        plain += sample.len();
        packed += compress(packing, sample)?.len();
    }
    Ok(packed * 100 < plain * WORTH_PERCENT)
}

/// The newest values of a kind.
fn samples(shared: &Shared, kind: &str) -> Result<Vec<Vec<u8>>, StoreError> {
    // What each value is bound to comes with it, as where all of them are checked.
    let (sql, of) = match kind.split_once(' ') {
        Some(("state", space)) => (
            "SELECT 'state ' || space || char(0) || key, value FROM state WHERE space = ?1 ORDER BY key DESC LIMIT ?2",
            space,
        ),
        Some((_, topic)) => {
            ("SELECT 'event ' || topic, payload FROM events WHERE topic = ?1 ORDER BY no DESC LIMIT ?2", topic)
        }
        None => ("SELECT ?1, changes FROM tally_log ORDER BY no DESC LIMIT ?2", kind),
    };
    shared.reading(|connection| {
        let mut select = connection.prepare(sql)?;
        let mut rows = select.query(params![of, SAMPLES_MAX])?;
        let mut samples = Vec::new();
        while let Some(row) = rows.next()? {
            let place: String = row.get(0)?;
            samples.push(shared.codec.open(&place, row.get_ref(1)?.as_blob().unwrap_or_default())?);
        }
        Ok(samples)
    })
}
