//! The queue of pairs that wait for somebody's decision: who is to decide, and until when.

use crate::Registry;
use crate::day;
use crate::decide::gone;
use crate::derive::Work;
use crate::live::pair;
use crate::locks::Held;
use crate::pages::Pages;
use crate::row::PersonId;
use crate::tenancy::{REVIEWS, Tenancy, pair_key};
use engine::{Engine, Error, Feed, Session};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use vaccines::Date;

/// Two records that may be one person, or are linked and no longer alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// Ids of the two Patients.
    pub records: [String; 2],
    /// `duplicate` or `drifted`.
    pub kind: String,
    /// log2 of how much likelier the pair is one person than two.
    pub bits: f64,
    pub reasons: Vec<String>,
    /// When it came up, in microseconds since 1970.
    pub at_us: i64,
    /// Who is to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<String>,
    /// The day by which it is to be decided.
    #[serde(default, with = "day", skip_serializing_if = "Option::is_none")]
    pub due: Option<Date>,
}

impl Review {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Review, Error> {
        serde_json::from_slice(bytes).map_err(|error| crate::broken("a review", &error))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a review is plain data")
    }
}

/// Which pairs of the queue are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReviewsQuery<'a> {
    /// The `next` of the page before.
    pub after: &'a str,
    pub limit: usize,
    /// Only those of somebody, or with an empty name those of nobody.
    pub assigned: Option<&'a str>,
    /// Only those that are to be decided by this day.
    pub due_by: Option<Date>,
}

impl ReviewsQuery<'_> {
    fn is_filtered(&self) -> bool {
        self.assigned.is_some() || self.due_by.is_some()
    }

    fn wants(&self, review: &Review) -> bool {
        let assigned = self.assigned.is_none_or(|name| review.assigned.as_deref().unwrap_or_default() == name);
        assigned && self.due_by.is_none_or(|day| review.due.is_some_and(|due| due <= day))
    }
}

/// Characters of the name of who is to decide.
pub const ASSIGNED_MAX: usize = 100;

/// A page of the queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Reviews {
    /// All that wait.
    pub total: usize,
    pub items: Vec<Review>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// Rows looked at in one step while a filter passes most of them over.
const STEP: usize = 500;

impl Registry {
    /// Pairs that wait for a decision.
    pub async fn reviews(
        &self,
        engine: &Engine,
        session: &Session,
        query: &ReviewsQuery<'_>,
    ) -> Result<Reviews, Error> {
        let (tenancy, feed) = (self.tenancy(&session.tenant)?, engine.feed(session).await?);
        let mut reviews = Reviews { total: tenancy.live.read().reviews.len(), ..Reviews::default() };
        let step = if query.is_filtered() { STEP } else { query.limit + 1 };
        let mut pages = Pages::after(&feed, REVIEWS, query.after, step);
        let mut last = None;
        while let Some(page) = pages.next().await? {
            for (key, bytes) in page {
                let review = Review::parse(&bytes)?;
                if !query.wants(&review) {
                    continue;
                }
                if reviews.items.len() == query.limit {
                    return Ok(Reviews { next: last, ..reviews });
                }
                reviews.items.push(review);
                last = Some(key);
            }
        }
        Ok(reviews)
    }

    /// Says who is to decide about a pair, and until when; without either it is anybody's again.
    pub async fn assign(
        &self,
        engine: &Engine,
        session: &Session,
        records: [&str; 2],
        assigned: Option<&str>,
        due: Option<Date>,
    ) -> Result<Review, Error> {
        let (feed, waiting) = (engine.feed(session).await?, self.waiting(session, records).await?);
        let mut review = waiting.row(&feed).await?;
        review.assigned = assigned.map(str::to_owned);
        review.due = due;
        let mut work = Work::new(self, &feed, waiting.tenancy.clone());
        let [one, other] = waiting.records;
        work.keep(REVIEWS, pair_key(one, other), Some(review.to_bytes()));
        let more = json!({"assigned": &review.assigned, "due": review.due.map(|due| due.to_string())});
        self.note(engine, session, &mut work, "assign", waiting.person, &review.records, more);
        self.commit(engine, session, work, waiting.tenancy, waiting.held).await?;
        Ok(review)
    }

    /// Takes a pair out of the queue without changing anything: what is linked stays linked.
    pub async fn dismiss(&self, engine: &Engine, session: &Session, one: &str, other: &str) -> Result<(), Error> {
        let (feed, waiting) = (engine.feed(session).await?, self.waiting(session, [one, other]).await?);
        let review = waiting.row(&feed).await?;
        let mut work = Work::new(self, &feed, waiting.tenancy.clone());
        let [one, other] = waiting.records;
        work.settle(one, other);
        self.note(engine, session, &mut work, "dismiss", waiting.person, &review.records, json!({}));
        self.commit(engine, session, work, waiting.tenancy, waiting.held).await
    }

    /// A pair of the queue that nobody else decides about meanwhile.
    async fn waiting<'a>(&self, session: &Session, [one, other]: [&'a str; 2]) -> Result<Waiting<'a>, Error> {
        let (one, other) = pair(one, other);
        let tenancy = self.tenancy(&session.tenant)?;
        let persons: Vec<PersonId> = {
            let live = tenancy.live.read();
            let known = [one, other].into_iter().filter_map(|id| live.records.get(id));
            known.map(|known| known.person).collect()
        };
        let person = *persons.first().ok_or_else(|| gone(NOT_WAITING))?;
        let held = tenancy.locks.hold_persons(&persons).await;
        Ok(Waiting { tenancy, held, person, records: [one, other] })
    }
}

const NOT_WAITING: &str = "the pair does not wait for a decision";

struct Waiting<'a> {
    tenancy: Arc<Tenancy>,
    held: Held,
    /// Of the first record.
    person: PersonId,
    /// As the pair is kept.
    records: [&'a str; 2],
}

impl Waiting<'_> {
    async fn row(&self, feed: &Feed) -> Result<Review, Error> {
        let [one, other] = self.records;
        let bytes = feed.state(REVIEWS, &pair_key(one, other)).await?;
        Review::parse(&bytes.ok_or_else(|| gone(NOT_WAITING))?)
    }
}
