//! A tenant's registry: its key, its locks and what it has in memory; how it is opened.

use crate::live::{Live, pair};
use crate::locks::Locks;
use crate::pages::{PersonPages, each};
use crate::patient::Demographics;
use crate::ring::{Numbers, Ring, Shadow, space};
use crate::row::{Link, ORPHANS, PersonId};
use crate::tally::Tally;
use crate::{Registry, day};
use engine::{Error, Feed};
use identity::{Encoded, Person, VERSION};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use tokio::sync::watch;

/// Pairs to be decided by somebody.
pub(crate) const REVIEWS: &str = "review";
/// Pairs that are not one person.
pub(crate) const APART: &str = "apart";

pub(crate) struct Tenancy {
    /// Held by whoever encodes records anew: one at a time.
    pub(crate) numbers: tokio::sync::Mutex<Numbers>,
    pub(crate) locks: Locks,
    /// Held while a record is matched and noted.
    pub(crate) placing: Mutex<()>,
    /// Held while a commit of several Patients places them: what it builds on was placed by commits before it, never by one
    /// that builds on it in turn.
    pub(crate) placing_several: tokio::sync::Mutex<()>,
    pub(crate) live: RwLock<Live>,
    /// Counts the commits that changed something: who shows numbers follows it.
    pub(crate) changes: watch::Sender<u64>,
}

impl std::fmt::Debug for Tenancy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tenancy")
    }
}

/// A record as stored: its person, how it came there, and its tokens.
pub(crate) fn record_bytes(person: PersonId, link: Link, encoded: &Encoded) -> Vec<u8> {
    let mut bytes = person.to_bytes().to_vec();
    bytes.push(link as u8);
    bytes.extend_from_slice(&encoded.to_bytes());
    bytes
}

/// Without tokens when another version has made them, or nobody can read them: they are made again from the Patient.
pub(crate) fn parse_record(bytes: &[u8]) -> Result<(PersonId, Link, Option<Encoded>), Error> {
    let damaged = |what: &str| crate::broken("a record", &what);
    let (person, rest) = bytes.split_first_chunk::<16>().ok_or_else(|| damaged("cut short"))?;
    let (link, encoded) = rest.split_first().ok_or_else(|| damaged("cut short"))?;
    let links = [Link::Own, Link::Auto, Link::Manual];
    let link = links.into_iter().find(|other| *other as u8 == *link).ok_or_else(|| damaged("unknown link"))?;
    let encoded = Encoded::from_bytes(encoded).inspect_err(|error| tracing::warn!(error = %error, "a record"));
    let encoded = encoded.ok().filter(|encoded| encoded.version() == VERSION);
    Ok((PersonId::from_bytes(*person), link, encoded))
}

/// The key of a pair's row.
pub(crate) fn pair_key(one: &str, other: &str) -> String {
    let (one, other) = pair(one, other);
    // No id contains a space.
    format!("{one} {other}")
}

impl Tenancy {
    /// What `ask` finds of somebody who is in no record. Refuses (503) while records cannot be compared.
    pub(crate) fn compare<T>(
        &self,
        demographics: &Demographics,
        ask: impl FnOnce(&Live, &Encoded) -> T,
    ) -> Result<T, Error> {
        loop {
            let ring = self.live.read().ring.clone();
            let encoded = demographics.encode(&ring.current.keys);
            let live = self.live.read();
            live.comparable()?;
            // Otherwise the key was changed between the two.
            if Arc::ptr_eq(&ring, &live.ring) {
                return Ok(ask(&live, &encoded));
            }
        }
    }

    /// Reads everything a tenant's registry keeps. `random` makes its key when it has none.
    pub(crate) async fn load(registry: &Registry, feed: &Feed) -> Result<Tenancy, Error> {
        let (ring, numbers) = Ring::load(registry, feed).await?;
        let mut live = Live::new(ring);
        records(feed, &mut live, &numbers).await?;
        let definitions = registry.definitions();
        each(feed, ORPHANS, |key, _| {
            live.orphaned.extend(key.split_once('/').map(|(patient, _)| patient.into()));
            Ok(())
        })
        .await?;
        let mut persons = PersonPages::new(feed);
        while let Some(page) = persons.next().await? {
            for (person, mut row) in page {
                // Made by other definitions: due at once.
                if row.summary.definitions != definitions.fingerprint() {
                    row.next = Some(day::epoch());
                }
                live.put_person(person, &row);
            }
        }
        live.tally = Tally::load(feed).await?;
        live.weights = crate::weigh::in_force(feed).await?;
        for (space, apart) in [(APART, true), (REVIEWS, false)] {
            each(feed, space, |key, _| {
                if let Some((one, other)) = key.split_once(' ') {
                    if apart {
                        live.apart.insert((one.into(), other.into()));
                    } else {
                        live.reviews.put(one, other);
                    }
                }
                Ok(())
            })
            .await?;
        }
        Ok(Tenancy {
            numbers: tokio::sync::Mutex::new(numbers),
            locks: Locks::default(),
            placing: Mutex::default(),
            placing_several: tokio::sync::Mutex::default(),
            live: RwLock::new(live),
            changes: watch::Sender::new(0),
        })
    }
}

/// Reads the records under the key in force, and those that are under the next one already.
async fn records(feed: &Feed, live: &mut Live, numbers: &Numbers) -> Result<(), Error> {
    let nobody = identity::encode(&live.ring.current.keys, &Person::default());
    each(feed, &space(numbers.current), |id, bytes| {
        let (person, link, encoded) = parse_record(bytes)?;
        if encoded.is_none() {
            live.stale.insert(id.into());
        }
        live.insert(id, person, link, encoded.unwrap_or_else(|| nobody.clone()));
        Ok(())
    })
    .await?;
    let Some(next) = numbers.next else { return Ok(()) };
    let mut shadow = Shadow::default();
    each(feed, &space(next), |id, bytes| {
        if let (_, _, Some(encoded)) = parse_record(bytes)?
            && live.records.contains_key(id)
        {
            shadow.put(id, encoded);
        }
        Ok(())
    })
    .await?;
    live.shadow = Some(shadow);
    Ok(())
}
