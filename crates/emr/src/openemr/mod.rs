//! OpenEMR as a destination and as a source.
//!
//! Its FHIR API reads almost everything and writes three types; its REST API writes some more; the rest reaches the staff as a
//! document. It has no conditional requests and no versions, so that each kind of record carries our key where it comes back:
//! see `docs/guides/openemr.md`.

mod allergy;
mod answer;
mod appointment;
mod auth;
mod condition;
mod document;
mod encounter;
pub mod enroll;
mod fhir;
mod follow;
mod list;
mod local_time;
mod medication;
mod outline;
mod patient;
mod plan;
mod probe_suite;
mod pull;
mod push;
mod register;
mod search;
mod site;
mod units;
mod vital;

pub use auth::{AuthError, Reader, Vault, VaultError, Writer};
pub use follow::{Course, FollowError, Follower, Report, Run, Schedule, State};
pub use plan::{NoPlan, Plan, Way};
pub use probe_suite::{Findings, Paging};
pub use pull::{Cursor, Known, KnownError, Mark, Pull, PullError, Pulled, Reach, Step, reach};

use crate::http::Client;
use crate::turns::Turns;
use delivery::{Async, Calls, Destination, Found, Item, Outcome};
use jiff::tz::TimeZone;
use push::Push;
use site::Site;
use std::sync::Arc;
use std::time::Duration;
use store::Clock;
use tokio::sync::Mutex;

/// How long a request whose connection has died may still take effect: a PHP worker runs for 60 seconds at most.
pub const QUIESCE: Duration = Duration::from_secs(90);
/// The plan is read again after this.
const PLAN_LIFE_US: i64 = 86_400_000_000;

/// What is peculiar to one OpenEMR.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Such as `https://emr.example.org`; without `/apis`.
    pub base: String,
    /// Its tenant.
    pub site: String,
    pub quiesce: Duration,
    /// Its wall clock: OpenEMR keeps local time without a zone.
    pub zone: TimeZone,
    /// Number of the facility where visits take place.
    pub facility: String,
    /// Number of the facility that bills.
    pub billing_facility: String,
    /// Number of the calendar category of appointments and encounters.
    pub category: String,
    /// Category of documents, as a path.
    pub document_path: String,
    /// User name to whom messages go.
    pub staff: String,
    /// User name from whom they come.
    pub sender: String,
    /// Group of the messages.
    pub group: String,
}

impl Settings {
    /// A fresh OpenEMR's own numbers, in UTC.
    pub fn new(base: &str) -> Settings {
        Settings {
            base: base.trim_end_matches('/').to_owned(),
            site: "default".into(),
            quiesce: QUIESCE,
            zone: TimeZone::UTC,
            facility: "3".into(),
            billing_facility: "3".into(),
            category: "5".into(),
            document_path: "/Medical_Record".into(),
            staff: "admin".into(),
            sender: "admin".into(),
            group: "Default".into(),
        }
    }
}

/// The two credentials of one OpenEMR.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub reader: Reader,
    /// The service user that writes, then those that stand in for it should its refresh token be lost.
    pub writers: Vec<Writer>,
    /// Where rotated refresh tokens go.
    pub vault: Arc<dyn Vault>,
}

/// Whether a resource has what OpenEMR insists on, as far as it can be told without asking it: for data-quality rules at intake.
/// The error says what is missing, in words without content.
pub fn check(resource: &::fhir::json::Value) -> Result<(), String> {
    match resource.str("resourceType") {
        Some("Patient") => patient::check(resource),
        Some(name @ ("Practitioner" | "Organization")) => register::check(name, resource),
        Some("Observation") => vital::check(resource),
        _ => Ok(()),
    }
}

/// See the module documentation.
#[derive(Debug)]
pub struct OpenEmr {
    settings: Settings,
    site: Site,
    clock: Arc<dyn Clock>,
    /// With the time of its reading.
    plan: Mutex<Option<(Arc<Plan>, i64)>>,
}

impl OpenEmr {
    /// `client` is one of [`crate::client`]'s.
    pub fn new(settings: Settings, credentials: Credentials, client: Client, clock: Arc<dyn Clock>) -> OpenEmr {
        let Credentials { reader, writers, vault } = credentials;
        let site = Site::new(client, &settings.base, &settings.site, clock.clone(), reader, writers, vault);
        OpenEmr { settings, site, clock, plan: Mutex::new(None) }
    }

    /// Whether the service user and all that stand in for it must be enrolled again.
    pub async fn is_locked_out(&self) -> bool {
        self.site.is_locked_out().await
    }

    /// The base of its FHIR API, without a slash at its end.
    pub fn fhir_base(&self) -> &str {
        self.site.fhir_base()
    }

    /// What this OpenEMR can do, read from it now: for enrolment and for a pull.
    pub async fn read_plan(&self, turns: &dyn Turns) -> Result<Arc<Plan>, PullError> {
        *self.plan.lock().await = None;
        self.plan_for_pull(turns).await
    }

    /// What this OpenEMR can do, for a pull.
    async fn plan_for_pull(&self, turns: &dyn Turns) -> Result<Arc<Plan>, PullError> {
        Ok(self.plan(turns).await.map_err(search::SearchError::of)?)
    }

    /// What this OpenEMR can do; read from it once a day.
    async fn plan(&self, turns: &dyn Turns) -> Result<Arc<Plan>, Outcome> {
        let known = self.plan.lock().await.clone();
        let now = self.clock.now_us();
        if let Some((plan, _)) = known.filter(|(_, read_us)| now - read_us < PLAN_LIFE_US) {
            return Ok(plan);
        }
        // Not under the lock: waiting for a turn may take long. Two that read it at once do no harm.
        let request = self.site.fhir(reqwest::Method::GET, "/metadata", None);
        let answer = self.site.send(turns, site::Who::Nobody, request).await.map_err(site::Failure::of_read)?;
        if answer.status != 200 {
            return Err(answer::unread(&answer));
        }
        let plan = Plan::read(&answer.body).map_err(|error| Outcome::Retry {
            problem: delivery::Problem::new(answer.status, error.to_string()),
            after: None,
        })?;
        let plan = Arc::new(plan);
        *self.plan.lock().await = Some((plan.clone(), now));
        Ok(plan)
    }
}

impl Destination for OpenEmr {
    fn deliver<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Outcome> {
        Box::pin(async move {
            let plan = match self.plan(calls).await {
                Ok(plan) => plan,
                Err(outcome) => return outcome,
            };
            Push { emr: self, item, turns: calls, plan: &plan }.deliver().await
        })
    }

    fn probe<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Found> {
        Box::pin(async move {
            let plan = match self.plan(calls).await {
                Ok(plan) => plan,
                Err(outcome) => return Found::Unknown(crate::outcome::problem_of(outcome)),
            };
            Push { emr: self, item, turns: calls, plan: &plan }.probe().await
        })
    }

    fn quiesce(&self) -> Duration {
        self.settings.quiesce
    }

    fn kind(&self) -> &'static str {
        "openemr"
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use ::fhir::json::Value;

    #[test]
    fn intake_learns_what_openemr_would_refuse() {
        let check = |text: &str| check(&Value::parse(text).unwrap());
        assert_eq!(check(r#"{"resourceType":"Patient"}"#).unwrap_err(), "a Patient needs a name");
        assert!(check(r#"{"resourceType":"Organization","name":"Harbour"}"#).unwrap_err().contains("us-npi"));
        assert_eq!(check(r#"{"resourceType":"Immunization"}"#), Ok(()));
        let weight = r#"{"resourceType":"Observation","code":{"coding":[{"system":"http://loinc.org","code":"29463-7"}]},
            "valueQuantity":{"value":70,"code":"kg"}}"#;
        assert_eq!(check(weight), Ok(()));
        assert!(check(&weight.replace("\"kg\"", "\"{stone}\"")).unwrap_err().contains("weight"));
    }
}
