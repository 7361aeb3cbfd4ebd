//! The log of arrivals: append-only, each line chained to the one before by SHA-256.
//!
//! A request writes two facts: that it arrived, as soon as its head was read, and how it was answered. A late commit adds a
//! third, which says what was created after the connection had ended.

use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

/// One request as the EMR saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arrival {
    /// Dense, from 1.
    pub no: u64,
    /// Wall clock when the head was read, microseconds since 1970.
    pub at_us: i64,
    /// Monotonic clock when the head was read, microseconds since the start; windows are computed on it.
    pub mono_us: u64,
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Resource type, `token`, `registration`, `metadata` or the last word of another path.
    pub kind: String,
    /// Business key that the body carried: an identifier's value, `pc_website`, `external_id`, a file name.
    pub key: Option<String>,
    /// First 64 bits of the body's SHA-256; 0 for no body.
    pub body_hash: u64,
    /// HTTP status; 0 while unanswered and for connections that ended without an answer.
    pub status: u16,
    /// The EMR's id of what was created or changed.
    pub committed: Option<String>,
    /// Hexadecimal SHA-256 of the chain before and of this entry's last fact.
    pub chain: String,
}

/// What is known of a request once it has been dealt with.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Outcome {
    pub(crate) key: Option<String>,
    pub(crate) body_hash: u64,
    pub(crate) status: u16,
    pub(crate) committed: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Fact {
    Arrived { no: u64, at_us: i64, mono_us: u64, method: String, path: String, kind: String },
    Answered { no: u64, outcome: Outcome },
}

type Hash = [u8; 32];

#[derive(Debug)]
struct Link {
    fact: Fact,
    chain: Hash,
}

/// Where the facts of one arrival stand in the chain.
#[derive(Debug, Clone, Copy)]
struct Place {
    head: usize,
    last: usize,
}

/// The log. Monotonic times of arrivals never decrease.
#[derive(Debug, Default)]
pub(crate) struct Log {
    links: Vec<Link>,
    places: Vec<Place>,
    times_us: Vec<u64>,
    start: Hash,
    file: Option<File>,
}

impl Log {
    /// A log that is also appended to `path`. A file that is there is continued, chain and all.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Log> {
        let mut log = Log::default();
        let Some(path) = path else { return Ok(log) };
        if path.exists() {
            log.start = verify_file(path)?.last;
        }
        log.file = Some(OpenOptions::new().create(true).append(true).open(path)?);
        Ok(log)
    }

    /// Notes a request whose head has just been read.
    pub(crate) fn arrive(&mut self, at_us: i64, mono_us: u64, method: String, path: String, kind: String) -> u64 {
        let no = self.places.len() as u64 + 1;
        // Two that arrive at once may get their numbers in the other order.
        let mono_us = self.times_us.last().map_or(mono_us, |last| mono_us.max(*last));
        let head = self.append(Fact::Arrived { no, at_us, mono_us, method, path, kind });
        self.places.push(Place { head, last: head });
        self.times_us.push(mono_us);
        no
    }

    /// Notes how request `no` ended; a later call replaces what an earlier one said.
    pub(crate) fn settle(&mut self, no: u64, outcome: Outcome) {
        let last = self.append(Fact::Answered { no, outcome });
        if let Some(place) = self.places.get_mut(no as usize - 1) {
            place.last = last;
        }
    }

    fn append(&mut self, fact: Fact) -> usize {
        let text = text(&fact);
        let chain = chained(&self.links.last().map_or(self.start, |link| link.chain), text.as_bytes());
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_all(format!("{} {text}\n", hex(&chain)).as_bytes())
        {
            // A full disk must not make the EMR behave differently; the log in memory is whole.
            eprintln!("error: the arrival log could not be written: {error}");
            self.file = None;
        }
        self.links.push(Link { fact, chain });
        self.links.len() - 1
    }

    /// Up to `limit` arrivals with a number above `after`.
    pub(crate) fn list(&self, after: u64, limit: usize) -> Vec<Arrival> {
        self.places.iter().skip(after as usize).take(limit).filter_map(|place| self.arrival(*place)).collect()
    }

    fn arrival(&self, place: Place) -> Option<Arrival> {
        let Fact::Arrived { no, at_us, mono_us, method, path, kind } = &self.links[place.head].fact else {
            return None;
        };
        let outcome = match &self.links[place.last].fact {
            Fact::Answered { outcome, .. } => outcome.clone(),
            Fact::Arrived { .. } => Outcome::default(),
        };
        Some(Arrival {
            no: *no,
            at_us: *at_us,
            mono_us: *mono_us,
            method: method.clone(),
            path: path.clone(),
            kind: kind.clone(),
            key: outcome.key,
            body_hash: outcome.body_hash,
            status: outcome.status,
            committed: outcome.committed,
            chain: hex(&self.links[place.last].chain),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether every fact still hashes to its link.
    pub(crate) fn verify(&self) -> bool {
        let mut before = self.start;
        self.links.iter().all(|link| {
            before = chained(&before, text(&link.fact).as_bytes());
            before == link.chain
        })
    }

    /// Arrivals in the window of this length that ends now.
    pub(crate) fn recent(&self, now_us: u64, window: Duration) -> usize {
        let begin = now_us.saturating_sub(window.as_micros() as u64);
        self.times_us.len() - self.times_us.partition_point(|time| *time < begin)
    }

    /// The largest number of arrivals in any window `[t, t + window)`.
    pub(crate) fn max_in_window(&self, window: Duration) -> usize {
        let window_us = window.as_micros() as u64;
        let mut first = 0;
        let mut most = 0;
        for (index, time) in self.times_us.iter().enumerate() {
            while time - self.times_us[first] >= window_us.max(1) {
                first += 1;
            }
            most = most.max(index + 1 - first);
        }
        most
    }
}

fn text(fact: &Fact) -> String {
    serde_json::to_string(fact).unwrap_or_default()
}

fn chained(before: &Hash, text: &[u8]) -> Hash {
    let mut bytes = before.to_vec();
    bytes.extend_from_slice(text);
    sha256(&bytes)
}

pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    hash
}

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the check of a log file found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Lines, all of which are chained.
    pub lines: u64,
    last: Hash,
}

/// Checks the chain of a log file. The error of a broken one names the line.
pub fn verify_file(path: &Path) -> io::Result<Verified> {
    let mut verified = Verified { lines: 0, last: Hash::default() };
    for line in BufReader::new(File::open(path)?).lines() {
        let line = line?;
        verified.lines += 1;
        let (chain, text) = line.split_once(' ').unwrap_or_default();
        verified.last = chained(&verified.last, text.as_bytes());
        if hex(&verified.last) != chain {
            let message = format!("line {} does not follow from the lines before it", verified.lines);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
    }
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_at(times_us: &[u64]) -> Log {
        let mut log = Log::default();
        for time in times_us {
            log.arrive(*time as i64, *time, "GET".into(), "/x".into(), "x".into());
        }
        log
    }

    #[test]
    fn a_changed_fact_breaks_the_chain() {
        let mut log = log_at(&[0, 10, 20]);
        log.settle(2, Outcome { status: 201, committed: Some("a".into()), ..Outcome::default() });
        assert!(log.verify());
        if let Fact::Arrived { at_us, .. } = &mut log.links[1].fact {
            *at_us += 1;
        }
        assert!(!log.verify());
    }

    #[test]
    fn the_last_outcome_counts_and_earlier_ones_stay_in_the_chain() {
        let mut log = log_at(&[0]);
        log.settle(1, Outcome::default());
        log.settle(1, Outcome { committed: Some("late".into()), ..Outcome::default() });
        assert_eq!(log.links.len(), 3);
        assert_eq!(log.list(0, 9)[0].committed.as_deref(), Some("late"));
    }

    #[test]
    fn windows_are_half_open() {
        let second = Duration::from_secs(1);
        assert_eq!(log_at(&[]).max_in_window(second), 0);
        assert_eq!(log_at(&[0, 999_999, 1_000_000]).max_in_window(second), 2);
        assert_eq!(log_at(&[0, 500_000, 999_999, 1_400_000, 5_000_000]).max_in_window(second), 3);
        assert_eq!(log_at(&[0, 500_000]).recent(1_200_000, second), 1);
    }

    #[test]
    fn a_file_is_continued_and_a_changed_line_is_found() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("arrivals.log");
        for _ in 0..2 {
            let mut log = Log::open(Some(&path))?;
            log.arrive(1, 1, "POST".into(), "/fhir/Patient".into(), "Patient".into());
            log.settle(1, Outcome { status: 201, ..Outcome::default() });
            assert!(log.verify());
        }
        assert_eq!(verify_file(&path)?.lines, 4);
        let changed = std::fs::read_to_string(&path)?.replacen("POST", "GETS", 1);
        std::fs::write(&path, changed)?;
        let error = verify_file(&path).map(|verified| verified.lines).unwrap_err();
        assert!(error.to_string().starts_with("line 1 "), "{error}");
        Ok(())
    }
}
