//! What OpenEMR shows of the forms and documents that weir has written itself: they carry no identifier of ours.

use super::super::{document, vital};
use super::{FollowError, Follower};
use crate::openemr::push::more;
use crate::sync::Pulled;
use engine::Search;
use fhir::defs::r4;
use fhir::json::Value;
use fhir::temporal::PartialDateTime;

/// Forms show the minute; anything further apart is another measurement.
const APART_MAX_US: i64 = 60_000_000;

impl Follower {
    /// Whether a record that is new is what delivery has made of one of ours.
    pub(super) async fn is_our_form(&self, pulled: &Pulled) -> Result<bool, FollowError> {
        let name = r4().ty(pulled.ty).name;
        let Some(theirs) = &pulled.resource else { return Ok(false) };
        if !matches!(name, "DocumentReference" | "Observation")
            || self.sync.rows.local(&format!("{name}/{}", pulled.remote.id)).await?.is_some()
        {
            return Ok(false);
        }
        match name {
            "DocumentReference" => self.is_our_document(theirs).await,
            _ => self.is_our_vital(theirs).await,
        }
    }

    /// By its file name, which begins with the key of a resource of ours. Whether delivery knows of it already does not matter: a
    /// process that died after the upload finds it by the same name.
    async fn is_our_document(&self, theirs: &Value) -> Result<bool, FollowError> {
        let title = |content: &Value| content.path(&["attachment", "title"])?.as_str().map(str::to_owned);
        for title in theirs.list("content").iter().filter_map(title) {
            let Some(key) = document::key_of(&title) else { continue };
            let Some((name, id)) = key.split_once('/') else { continue };
            let Some(ty) = r4().resource_by_name(name) else { continue };
            if self.sync.rows.feed.current(ty, id).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// By patient, code and time: a form of vital signs is shown as an Observation of each of its columns.
    async fn is_our_vital(&self, theirs: &Value) -> Result<bool, FollowError> {
        let time_us = |value: &Value| Some(PartialDateTime::parse(value.str("effectiveDateTime")?)?.range_us().0);
        let patient = theirs.path(&["subject", "reference"]).and_then(Value::as_str);
        let patient = patient.and_then(|reference| reference.rsplit_once("Patient/"));
        let (Some(at_us), Some((_, patient))) = (time_us(theirs), patient) else { return Ok(false) };
        let Some(patient) = self.sync.rows.local(&format!("Patient/{patient}")).await? else { return Ok(false) };
        let codes: Vec<&str> = vital::codes(theirs).collect();
        if codes.is_empty() {
            return Ok(false);
        }
        let pairs = [
            ("patient".to_owned(), patient),
            ("combo-code".to_owned(), codes.join(",")),
            ("_count".to_owned(), "50".to_owned()),
        ];
        let ty = r4().resource_by_name("Observation");
        let search = Search { ty, compartment: None, pairs: &pairs, lenient: false, cursor: None };
        let page = self.sync.search(&search).await?;
        for ours in page.matches {
            let content = std::str::from_utf8(&ours.json).ok().and_then(|text| Value::parse(text).ok());
            let near =
                content.as_ref().and_then(time_us).is_some_and(|ours_us| (ours_us - at_us).abs() <= APART_MAX_US);
            let there = self.sync.rows.delivered(&format!("Observation/{}", ours.id)).await?;
            if near && there.is_some_and(|there| more(&there.remote, vital::NUMBER).is_some()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
