//! One resource on its way into OpenEMR: which way it goes, and what all ways need.

use super::answer::{body, failed, refused, row, scalar, unread};
use super::plan::{Plan, Way};
use super::site::{Failure, Who};
use super::{
    OpenEmr, allergy, appointment, condition, document, encounter, fhir, medication, patient, register, vital,
};
use crate::http::Answer;
use crate::outcome::problem_of;
use crate::turns::Turns;
use ::fhir::json::Value;
use delivery::{Found, Item, Outcome, Problem, Remote};
use reqwest::Method;

/// A write that worked, or how it ended instead.
pub(super) type Written<T> = Result<T, Outcome>;
/// What was found, or why it could not be looked for.
pub(super) type Looked = Result<Option<Remote>, Problem>;

pub(super) struct Push<'a> {
    pub(super) emr: &'a OpenEmr,
    pub(super) item: &'a Item,
    pub(super) turns: &'a dyn Turns,
    pub(super) plan: &'a Plan,
}

/// The patient of a resource, as OpenEMR knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// Its FHIR id.
    pub(super) uuid: String,
    /// Its number.
    pub(super) pid: String,
}

/// By which records a resource is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Patient,
    Register,
    Fhir,
    Appointment,
    Encounter,
    Vital,
    Condition,
    Allergy,
    Medication,
    Document,
}

impl Push<'_> {
    pub(super) async fn deliver(&self) -> Outcome {
        match self.born_there().await {
            Ok(Some(remote)) => {
                let item = Item { remote: Some(remote), ..self.item.clone() };
                Push { item: &item, ..*self }.deliver_known().await
            }
            Ok(None) => self.deliver_known().await,
            Err(outcome) => outcome,
        }
    }

    /// The numbers of a record of the REST API that was made there: a pull has told its FHIR id only.
    async fn born_there(&self) -> Written<Option<Remote>> {
        let name = self.item.name.as_str();
        let Some(there) = self.item.remote.as_ref().filter(|there| !there.id.is_empty()) else { return Ok(None) };
        let is_known = more(there, PATIENT_PID).is_some() || more(there, document::FILE).is_some();
        if is_known || name == "Observation" || self.plan.way(name) != Way::Rest {
            return Ok(None);
        }
        let uuid = match self.item.body.as_ref().and_then(patient_of) {
            Some(uuid) => uuid.to_owned(),
            None => {
                let shown = super::search::read(self.emr, self.turns, name, &there.id).await;
                let shown = shown.map_err(super::search::SearchError::outcome)?;
                let Some(shown) = shown else { return Ok(None) };
                patient_of(&shown).ok_or_else(|| self.no_patient())?.to_owned()
            }
        };
        let subject = Subject { pid: self.pid(&uuid).await?, uuid };
        let number = match name {
            "Appointment" => appointment::number(self, &subject, &there.id).await?,
            "MedicationRequest" | "MedicationStatement" => medication::number(self, &subject, &there.id).await?,
            _ => None,
        };
        let numbers: Vec<(&str, &str)> = number.iter().map(|(name, number)| (*name, number.as_str())).collect();
        Ok(Some(remote(&there.id, &numbers, &subject)))
    }

    async fn deliver_known(&self) -> Outcome {
        let taken_back = self.item.remote.as_ref().is_some_and(|remote| *remote == Remote::default());
        let done = if taken_back { self.deliver_again().await } else { self.write_or_remove().await };
        match done {
            Ok(remote) => Outcome::Done(remote),
            Err(outcome) => outcome,
        }
    }

    /// What was taken back, such as a cancelled appointment, and comes again. As a change it is never probed: it is looked for here.
    async fn deliver_again(&self) -> Written<Remote> {
        let remote = self.look().await.map_err(|problem| Outcome::Retry { problem, after: None })?;
        let item = Item { remote, ..self.item.clone() };
        Push { item: &item, ..*self }.write_or_remove().await
    }

    async fn write_or_remove(&self) -> Written<Remote> {
        match &self.item.body {
            // By FHIR the status says it.
            Some(body) if self.family()? == Family::Fhir || !is_withdrawn(body) => self.write(body).await,
            _ => self.remove().await,
        }
    }

    async fn write(&self, body: &Value) -> Written<Remote> {
        match self.family()? {
            Family::Patient => patient::write(self, body).await,
            Family::Register => register::write(self, body).await,
            Family::Fhir => fhir::write(self, body).await,
            Family::Appointment => appointment::write(self, body).await,
            Family::Encounter => encounter::write(self, body).await,
            Family::Vital => vital::write(self, body).await,
            Family::Condition => condition::write(self, body).await,
            Family::Allergy => allergy::write(self, body).await,
            Family::Medication => medication::write(self, body).await,
            Family::Document => document::write(self, body).await,
        }
    }

    /// Takes back what is there. What is not known to be there is looked for first.
    async fn remove(&self) -> Written<Remote> {
        let remote = match &self.item.remote {
            Some(remote) => remote.clone(),
            None => match self.look().await {
                Ok(Some(remote)) => remote,
                Ok(None) => return Ok(Remote::default()),
                Err(problem) if problem.status == 0 && self.item.body.is_none() => {
                    return Err(self.refuse("it may have been written before it was deleted: look for it by hand"));
                }
                Err(problem) => return Err(Outcome::Retry { problem, after: None }),
            },
        };
        match self.family()? {
            Family::Patient | Family::Register => Err(self.refuse(format!(
                "OpenEMR has no way to take back a {}: it has to be done on its screens",
                self.item.name
            ))),
            Family::Fhir => fhir::remove(self, &remote).await,
            Family::Appointment => appointment::remove(self, &remote).await,
            Family::Condition => condition::remove(self, &remote).await,
            Family::Allergy => allergy::remove(self, &remote).await,
            Family::Medication => medication::remove(self, &remote).await,
            Family::Encounter | Family::Vital | Family::Document => document::withdraw(self, &remote).await,
        }
    }

    pub(super) async fn probe(&self) -> Found {
        match self.look().await {
            Ok(Some(remote)) => Found::Yes(remote),
            Ok(None) => Found::No,
            Err(problem) => Found::Unknown(problem),
        }
    }

    async fn look(&self) -> Looked {
        let body = self.item.body.as_ref();
        match self.family().map_err(problem_of)? {
            Family::Patient => patient::look(self).await,
            Family::Register => register::look(self, body).await,
            Family::Fhir => fhir::look(self, body).await,
            Family::Appointment => appointment::look(self, body).await,
            Family::Encounter => encounter::look(self, body).await,
            Family::Vital => vital::look(self, body).await,
            Family::Condition => condition::look(self, body).await,
            Family::Allergy => allergy::look(self, body).await,
            Family::Medication => medication::look(self, body).await,
            Family::Document => document::look(self, body).await,
        }
    }

    /// What is there stays where it is, even when OpenEMR has learnt a better way meanwhile.
    fn family(&self) -> Written<Family> {
        if let Some(remote) = &self.item.remote {
            if more(remote, document::FILE).is_some() {
                return Ok(Family::Document);
            }
            if more(remote, vital::NUMBER).is_some() {
                return Ok(Family::Vital);
            }
        }
        let name = self.item.name.as_str();
        // Only what went by REST has its patient beside it.
        let by_rest = self.item.remote.as_ref().is_some_and(|remote| more(remote, PATIENT_PID).is_some());
        let way = if by_rest && name != "Patient" { Way::Rest } else { self.plan.way(name) };
        match (way, name) {
            (Way::Fhir, "Patient") => Ok(Family::Patient),
            (Way::Fhir, "Practitioner" | "Organization") => Ok(Family::Register),
            (Way::Fhir, _) => Ok(Family::Fhir),
            (Way::Rest, "Appointment") => Ok(Family::Appointment),
            (Way::Rest, "Encounter") => Ok(Family::Encounter),
            (Way::Rest, "Condition") => Ok(Family::Condition),
            (Way::Rest, "AllergyIntolerance") => Ok(Family::Allergy),
            (Way::Rest, "MedicationRequest" | "MedicationStatement") => Ok(Family::Medication),
            (Way::Rest, "Observation") if self.is_vital() => Ok(Family::Vital),
            (Way::Rest | Way::Document, _) => Ok(Family::Document),
            (Way::Nothing, _) => Err(self.refuse(format!("OpenEMR {} cannot take a {name}", self.plan.version))),
        }
    }

    /// Vital signs have columns, inside an encounter; any other observation goes as a document.
    fn is_vital(&self) -> bool {
        let Some(body) = &self.item.body else { return false };
        // One that was made there is a column of a form whose number nobody tells: the staff is asked to change it.
        let is_born_there = self.item.remote.as_ref().is_some_and(|there| !there.id.is_empty());
        vital::is_one(body) && encounter_of(body).is_some() && !is_born_there
    }

    /// The number of the encounter that a resource of this patient refers to.
    pub(super) async fn encounter(&self, body: &Value, subject: &Subject) -> Written<String> {
        let missing = || self.refuse(format!("the encounter of this {} is not in OpenEMR", self.item.name));
        let id = encounter_of(body).ok_or_else(missing)?;
        let known = self.related("Encounter", id).and_then(|remote| more(remote, encounter::NUMBER));
        if let Some(number) = known {
            return Ok(number.to_owned());
        }
        let answer = self.read(&format!("/patient/{}/encounter/{id}", subject.uuid)).await?;
        match (answer.status, encounter::ids(&row(&answer))) {
            (200, Some((_, number))) => Ok(number),
            (200 | 404, _) => Err(missing()),
            _ => Err(unread(&answer)),
        }
    }

    /// What is known of a resource of this type with this id there.
    pub(super) fn related(&self, name: &str, id: &str) -> Option<&Remote> {
        let mut of_type = self.item.related.iter().filter(|(key, _)| key.split('/').next() == Some(name));
        of_type.find(|(_, remote)| remote.id == id).map(|(_, remote)| remote)
    }

    /// Our key.
    pub(super) fn key(&self) -> &str {
        &self.item.identifier.value
    }

    pub(super) fn refuse(&self, text: impl Into<String>) -> Outcome {
        Outcome::Refused(Problem::new(0, text))
    }

    /// The patient of the resource.
    pub(super) async fn subject(&self, body: &Value) -> Written<Subject> {
        let uuid = patient_of(body).ok_or_else(|| self.no_patient())?;
        let known = self.related("Patient", uuid).and_then(|remote| more(remote, patient::NUMBER));
        let pid = match known {
            Some(pid) => pid.to_owned(),
            None => self.pid(uuid).await?,
        };
        Ok(Subject { uuid: uuid.to_owned(), pid })
    }

    /// The patient of a record that is there.
    pub(super) fn subject_of(&self, there: &Remote) -> Written<Subject> {
        let (uuid, pid) = more(there, PATIENT_UUID).zip(more(there, PATIENT_PID)).ok_or_else(|| self.no_patient())?;
        Ok(Subject { uuid: uuid.to_owned(), pid: pid.to_owned() })
    }

    fn no_patient(&self) -> Outcome {
        self.refuse(format!("the patient of this {} is not in OpenEMR", self.item.name))
    }

    /// The number of the patient with this FHIR id.
    pub(super) async fn pid(&self, uuid: &str) -> Written<String> {
        let answer = self.read(&format!("/patient/{uuid}")).await?;
        let pid = scalar(&row(&answer), "pid").filter(|_| answer.status == 200);
        match (pid, answer.status) {
            (Some(pid), _) => Ok(pid),
            (None, 200 | 404) => Err(self.refuse("its patient is not in OpenEMR any more")),
            _ => Err(unread(&answer)),
        }
    }

    /// GET of the REST API on the way to a write.
    pub(super) async fn read(&self, path: &str) -> Written<Answer> {
        let request = self.emr.site.rest(Method::GET, path, None);
        self.emr.site.send(self.turns, Who::Writer, request).await.map_err(Failure::of_read)
    }

    /// The rows of a list of the REST API on the way to a write.
    pub(super) async fn rows(&self, path: &str) -> Written<Vec<Value>> {
        let answer = self.read(path).await?;
        super::answer::rows(&answer).ok_or_else(|| unread(&answer))
    }

    /// A write by the REST API, whatever it answers.
    pub(super) async fn rest(&self, method: Method, path: &str, body: Option<&Value>) -> Written<Answer> {
        let request = self.emr.site.rest(method, path, body);
        self.emr.site.send(self.turns, Who::Writer, request).await.map_err(Failure::of_write)
    }

    /// A creation by the REST API. The answer's row, or why there is none.
    pub(super) async fn create(&self, path: &str, body: &Value) -> Written<Value> {
        let answer = self.rest(Method::POST, path, Some(body)).await?;
        match answer.status {
            200 | 201 => Ok(row(&answer)),
            _ => Err(failed(&answer)),
        }
    }

    /// A change by the REST API. `ids`: see [`refused`].
    pub(super) async fn change(&self, path: &str, body: &Value, ids: &[&str]) -> Written<()> {
        let answer = self.rest(Method::PUT, path, Some(body)).await?;
        match answer.status {
            200 | 201 => Ok(()),
            _ => Err(refused(&answer, ids)),
        }
    }

    /// A deletion by the REST API; what is not there is deleted.
    pub(super) async fn delete(&self, path: &str, ids: &[&str]) -> Written<()> {
        let answer = self.rest(Method::DELETE, path, None).await?;
        match (answer.status, refused(&answer, ids)) {
            (200 | 204 | 404, _) | (_, Outcome::Gone(_)) => Ok(()),
            (_, outcome) => Err(outcome),
        }
    }

    /// The resources that a FHIR search finds. Its parameters must be among those that the plan knows.
    pub(super) async fn search(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<Value>, Problem> {
        let unknown = query.iter().find(|(parameter, _)| !self.plan.searches(path, parameter));
        if let Some((parameter, _)) = unknown {
            return Err(Problem::new(0, format!("OpenEMR cannot search {path} by {parameter}")));
        }
        let request = self.emr.site.fhir(Method::GET, &format!("/{path}"), None).query(query);
        let answer = self.emr.site.send(self.turns, Who::Reader, request).await.map_err(Failure::problem)?;
        if answer.status != 200 {
            return Err(problem_of(unread(&answer)));
        }
        let bundle = body(&answer);
        if bundle.str("resourceType") != Some("Bundle") {
            return Err(Problem::new(answer.status, "the answer of a search is no Bundle"));
        }
        Ok(bundle.list("entry").iter().filter_map(|entry| entry.get("resource").cloned()).collect())
    }
}

/// Members of [`Remote::more`] by which the patient of a record is found again when it is deleted here.
const PATIENT_UUID: &str = "patient";
const PATIENT_PID: &str = "patient-pid";

/// What is known of a record: its FHIR id, if there is one, its own numbers, and its patient.
pub(super) fn remote(id: &str, numbers: &[(&str, &str)], subject: &Subject) -> Remote {
    let patient = [(PATIENT_UUID, subject.uuid.as_str()), (PATIENT_PID, subject.pid.as_str())];
    let more = numbers.iter().chain(&patient).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Remote { id: id.to_owned(), more: more.collect() }
}

/// One of the further ids of a record.
pub(super) fn more<'a>(remote: &'a Remote, name: &str) -> Option<&'a str> {
    remote.more.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// The id of the encounter that a resource belongs to.
fn encounter_of(body: &Value) -> Option<&str> {
    body.path(&["encounter", "reference"])?.as_str()?.strip_prefix("Encounter/")
}

/// The id of the patient that a resource belongs to.
pub(super) fn patient_of(body: &Value) -> Option<&str> {
    let direct = ["subject", "patient", "beneficiary", "for"].into_iter();
    let direct = direct.filter_map(|member| body.path(&[member, "reference"])?.as_str());
    let actors = body.list("participant").iter().filter_map(|one| one.path(&["actor", "reference"])?.as_str());
    direct.chain(actors).find_map(|reference| reference.strip_prefix("Patient/"))
}

/// Whether the resource says that it should not be there.
pub(super) fn is_withdrawn(body: &Value) -> bool {
    let status = body.str("status").unwrap_or_default();
    let verification = body.path(&["verificationStatus"]).is_some_and(|concept| {
        concept.list("coding").iter().any(|coding| coding.str("code") == Some("entered-in-error"))
    });
    let appointment = body.str("resourceType") == Some("Appointment") && status == "cancelled";
    status == "entered-in-error" || verification || appointment
}

/// Writes by FHIR: changes what is there, creates what is not. `created` reads the ids in the answer to a creation.
pub(super) async fn by_fhir(
    push: &Push<'_>,
    resource: &Value,
    created: impl FnOnce(&Value) -> Option<Remote>,
) -> Written<Remote> {
    let name = &push.item.name;
    let (method, path) = match &push.item.remote {
        Some(there) => (Method::PUT, format!("/{name}/{}", there.id)),
        None => (Method::POST, format!("/{name}")),
    };
    let request = push.emr.site.fhir(method, &path, Some(resource));
    let answer = push.emr.site.send(push.turns, Who::Writer, request).await.map_err(Failure::of_write)?;
    match (&push.item.remote, answer.status) {
        (Some(there), 200 | 201) => Ok(there.clone()),
        (Some(_), _) => Err(refused(&answer, &["uuid"])),
        (None, 200 | 201) => created(&row(&answer)).ok_or_else(|| unsaid(&answer)),
        (None, _) => Err(failed(&answer)),
    }
}

/// It was written, but the answer does not say where: it is looked for.
pub(super) fn unsaid(answer: &Answer) -> Outcome {
    Outcome::Unknown(Problem::new(answer.status, "the answer does not say its id"))
}
