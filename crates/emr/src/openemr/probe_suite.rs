//! What the documents of OpenEMR do not say and its versions disagree about, found out at enrolment and after each new version.
//!
//! No request asks for more than it must: an OpenEMR with many patients may fall over a search for all of them.

use super::OpenEmr;
use super::search::{BYTES_MAX, SearchError, instant, search};
use crate::turns::Turns;
use fhir::json::Value;
use serde::{Deserialize, Serialize};

/// What paging parameters do to a search for patients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Paging {
    /// `_count` and `_offset` page.
    Paged,
    /// They are ignored: everything comes at once.
    Unpaged,
    /// They empty the answer, or nobody knows: never to be sent. Windows of time keep answers small.
    Window,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// The version that was asked: another one must be asked again.
    pub version: String,
    pub paging: Paging,
    /// Whether a parameter that is not known empties the answer. `None`: there was no patient to find out by.
    pub unknown_empties: Option<bool>,
    /// Whether `_lastUpdated` selects, and two of them both count. Without that there are no windows of time.
    pub windows: bool,
}

impl Findings {
    /// Whether there was a patient to find out by. If not, the suite is to be run again before a sweep.
    pub fn is_decided(&self) -> bool {
        self.unknown_empties.is_some()
    }
}

/// Half a day, a month, a year, ten, everything: where some patient is looked for.
const LOOK_BACK_S: [i64; 5] = [43_200, 2_592_000, 31_536_000, 315_360_000, i64::MAX];

impl OpenEmr {
    /// Runs the suite. Needs no more than 14 requests.
    pub async fn probe_suite(&self, turns: &dyn Turns) -> Result<Findings, super::PullError> {
        let plan = self.plan(turns).await.map_err(SearchError::of)?;
        let suite = Suite { emr: self, turns };
        let first = suite.patients(&[("_count", "1")]).await;
        let (mut paging, mut known) = (Paging::Window, None);
        match first {
            Ok(found) if found.len() > 1 => (paging, known) = (Paging::Unpaged, id(&found)),
            Ok(found) if found.len() == 1 => {
                known = id(&found);
                paging = suite.offset(known.as_deref().unwrap_or_default()).await?;
            }
            Ok(_) => {}
            // All patients, and too many of them.
            Err(SearchError::TooMuch(_)) => paging = Paging::Unpaged,
            Err(error) => return Err(error.into()),
        }
        if known.is_none() {
            known = suite.some_patient().await?;
        }
        let mut findings = Findings { version: plan.version.clone(), paging, unknown_empties: None, windows: false };
        if let Some(id) = known {
            findings.unknown_empties = Some(suite.one(&id, &[("weir-probe", "1")]).await?.is_none());
            findings.windows = suite.windows(&id).await?;
        }
        Ok(findings)
    }
}

struct Suite<'a> {
    emr: &'a OpenEmr,
    turns: &'a dyn Turns,
}

impl Suite<'_> {
    async fn patients(&self, query: &[(&str, &str)]) -> Result<Vec<Value>, SearchError> {
        let query: Vec<(&str, String)> = query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        search(self.emr, self.turns, "Patient", &query, BYTES_MAX).await.map(|found| found.resources)
    }

    /// One patient came for `_count=1`. Does another one come at the next offset?
    async fn offset(&self, first: &str) -> Result<Paging, SearchError> {
        let next = self.patients(&[("_count", "1"), ("_offset", "1"), ("_sort", "_lastUpdated")]).await?;
        match id(&next) {
            Some(next) if next != first => Ok(Paging::Paged),
            // Without `_sort` and with it, the first may differ.
            Some(_) => {
                let sorted = self.patients(&[("_count", "1"), ("_offset", "0"), ("_sort", "_lastUpdated")]).await?;
                Ok(if id(&sorted) == id(&next) { Paging::Window } else { Paging::Paged })
            }
            // There is only one, or offsets are unknown and empty the answer.
            None => {
                let same = [("_id", first), ("_count", "1"), ("_offset", "0"), ("_sort", "_lastUpdated")];
                Ok(if self.patients(&same).await?.is_empty() { Paging::Window } else { Paging::Paged })
            }
        }
    }

    /// The id of a patient who changed not long ago, or ever.
    async fn some_patient(&self) -> Result<Option<String>, SearchError> {
        let now_s = self.emr.clock.now_us() / 1_000_000;
        for back_s in LOOK_BACK_S {
            let since = format!("ge{}", instant(now_s.saturating_sub(back_s).max(0)));
            match self.patients(&[("_lastUpdated", &since)]).await {
                Ok(found) if found.is_empty() => {}
                Ok(found) => return Ok(id(&found)),
                Err(SearchError::TooMuch(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The patient with this id, if further parameters let it through.
    async fn one(&self, id: &str, more: &[(&str, &str)]) -> Result<Option<String>, SearchError> {
        let query: Vec<(&str, &str)> = [("_id", id)].into_iter().chain(more.iter().copied()).collect();
        let found = self.patients(&query).await?;
        Ok(found.iter().filter_map(|one| one.str("id")).find(|found| *found == id).map(str::to_owned))
    }

    async fn windows(&self, id: &str) -> Result<bool, SearchError> {
        let (past, future) = ("ge1990-01-01T00:00:00Z", "ge2200-01-01T00:00:00Z");
        let before = "lt1990-01-01T00:00:00Z";
        Ok(self.one(id, &[("_lastUpdated", past)]).await?.is_some()
            && self.one(id, &[("_lastUpdated", future)]).await?.is_none()
            // Whichever of two is read last, it must not be the only one.
            && self.one(id, &[("_lastUpdated", past), ("_lastUpdated", before)]).await?.is_none()
            && self.one(id, &[("_lastUpdated", before), ("_lastUpdated", past)]).await?.is_none())
    }
}

fn id(found: &[Value]) -> Option<String> {
    found.first()?.str("id").map(str::to_owned)
}
