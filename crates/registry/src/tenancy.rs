//! A tenant's registry: its key, its locks and what it has in memory; how it is opened.

use crate::live::{Live, pair};
use crate::locks::Locks;
use crate::row::{Link, PERSONS, PersonId, Row};
use crate::tally::Tally;
use crate::{Registry, day};
use engine::{Error, Feed, Keep};
use identity::{Encoded, Keys};
use parking_lot::{Mutex, RwLock};
use seal::DataKey;
use store::StateChange;
use tokio::sync::watch;

/// Encoded records by the id of their Patient.
pub(crate) const RECORDS: &str = "record";
/// Pairs to be decided by somebody.
pub(crate) const REVIEWS: &str = "review";
/// Pairs that are not one person.
pub(crate) const APART: &str = "apart";
/// The keys of tokens, and what else there is one of.
const REGISTRY: &str = "registry";
const KEY: &str = "key-1";
/// Rows read at a time.
const STEP: usize = 1_000;

pub(crate) struct Tenancy {
    pub(crate) keys: Keys,
    pub(crate) locks: Locks,
    /// Held while a record is matched and noted.
    pub(crate) placing: Mutex<()>,
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

fn parse_record(bytes: &[u8]) -> Result<(PersonId, Link, Encoded), Error> {
    let damaged = |what: &str| crate::broken("a record", &what);
    let (person, rest) = bytes.split_first_chunk::<16>().ok_or_else(|| damaged("cut short"))?;
    let (link, encoded) = rest.split_first().ok_or_else(|| damaged("cut short"))?;
    let links = [Link::Own, Link::Auto, Link::Manual];
    let link = links.into_iter().find(|other| *other as u8 == *link).ok_or_else(|| damaged("unknown link"))?;
    let encoded = Encoded::from_bytes(encoded).map_err(|error| crate::broken("a record", &error))?;
    Ok((PersonId::from_bytes(*person), link, encoded))
}

/// The key of a pair's row.
pub(crate) fn pair_key(one: &str, other: &str) -> String {
    let (one, other) = pair(one, other);
    // No id contains a space.
    format!("{one} {other}")
}

impl Tenancy {
    /// Reads everything a tenant's registry keeps. `random` makes its key when it has none.
    pub(crate) async fn load(registry: &Registry, feed: &Feed) -> Result<Tenancy, Error> {
        let keys = keys(registry, feed).await?;
        let mut live = Live::default();
        each(feed, RECORDS, |id, bytes| {
            let (person, link, encoded) = parse_record(bytes)?;
            live.insert(id, person, link, encoded);
            Ok(())
        })
        .await?;
        let definitions = registry.definitions();
        each(feed, PERSONS, |id, bytes| {
            let mut row = Row::parse(bytes)?;
            let person = PersonId::parse(id).ok_or_else(|| crate::broken("a person's row", &"its id is none"))?;
            // Made by other definitions: due at once.
            if row.summary.definitions != definitions.fingerprint() {
                row.next = Some(day::epoch());
            }
            live.put_person(person, &row);
            Ok(())
        })
        .await?;
        live.tally = Tally::load(feed).await?;
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
            keys,
            locks: Locks::default(),
            placing: Mutex::default(),
            live: RwLock::new(live),
            changes: watch::Sender::new(0),
        })
    }
}

async fn each(
    feed: &Feed,
    space: &str,
    mut take: impl FnMut(&str, &[u8]) -> Result<(), Error> + Send,
) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let page = feed.states(space, &after, STEP).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        last.clone_into(&mut after);
        for (key, bytes) in &page {
            take(key, bytes)?;
        }
        tokio::task::yield_now().await;
    }
}

/// The tenant's key for tokens: another one than that which seals its data, and sealed by it.
async fn keys(registry: &Registry, feed: &Feed) -> Result<Keys, Error> {
    let bytes = match feed.state(REGISTRY, KEY).await? {
        Some(bytes) => bytes,
        None => {
            let mut bytes = vec![0; 32];
            registry.fill_random(&mut bytes);
            let change = StateChange { space: REGISTRY.into(), key: KEY.into(), value: Some(bytes.clone()) };
            feed.keep(Keep { state: vec![change], ..Keep::default() }).await?;
            bytes
        }
    };
    if bytes.len() != 32 {
        return Err(crate::broken("the key of tokens", &"it has another length"));
    }
    Ok(Keys::new(DataKey::generate(&|out| out.copy_from_slice(&bytes))))
}
