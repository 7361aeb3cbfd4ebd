//! Persons as they are shown: lists from memory, one with all that is known and reckoned of it.

use crate::Registry;
use crate::clinical::Dose;
use crate::facts::Sex;
use crate::live::Person;
use crate::programme::{Definitions, Subject};
use crate::row::{Link, PERSONS, PersonId, Row};
use crate::summary::Marks;
use engine::{Engine, Error, Session};
use fhir::json::Value;
use serde::Serialize;
use std::ops::Bound;
use vaccines::standing::{Standing, Status};
use vaccines::{Date, Outcome};

/// Persons of a page at most.
const PAGE_MAX: usize = 1_000;

/// Which persons. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct PersonsQuery {
    /// Needed by `status` and `mark`.
    pub programme: Option<String>,
    /// `not`, `partial` or `full`.
    pub status: Option<String>,
    /// One of [`crate::MARKS`], such as `overdue`.
    pub mark: Option<String>,
    pub region: Option<String>,
    pub sex: Option<String>,
    /// Born on or after, on or before.
    pub born_from: Option<Date>,
    pub born_until: Option<Date>,
    /// Persons with several records only.
    pub linked: bool,
    /// The last person of the page before.
    pub after: Option<PersonId>,
    pub limit: usize,
}

/// A line of a list. Names are in the Patients, which the caller reads through the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub id: PersonId,
    /// Ids of its Patients.
    pub records: Vec<String>,
    pub birth_date: Option<String>,
    pub sex: Sex,
    pub region: Option<String>,
    pub doses: u16,
    /// In the query's programme.
    pub status: Option<&'static str>,
    pub marks: Vec<&'static str>,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Persons {
    pub total: usize,
    pub items: Vec<Listed>,
    pub next: Option<PersonId>,
}

/// Everything about a person but the Patients themselves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Whole {
    pub id: PersonId,
    /// Grows with every change.
    pub version: u64,
    /// The day as of which it holds.
    pub as_of: String,
    pub birth_date: Option<String>,
    pub sex: Sex,
    pub region: Option<String>,
    pub deceased: bool,
    pub records: Vec<Linked>,
    pub programmes: Vec<Programme>,
    pub doses: Vec<Given>,
    pub recommendations: Vec<Recommended>,
    pub schedule: String,
}

/// A Patient of the person, and how it came there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Linked {
    pub id: String,
    pub link: Link,
}

/// Where the person stands in one programme.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Programme {
    pub programme: String,
    pub status: &'static str,
    pub marks: Vec<&'static str>,
    pub recorded_doses: usize,
    pub valid_doses: usize,
    pub first_on: Option<String>,
    pub full_on: Option<String>,
    pub boosted_on: Option<String>,
    pub earliest: Option<String>,
    pub recommended: Option<String>,
    pub past_due: Option<String>,
    pub invalid: Vec<InvalidDose>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InvalidDose {
    /// Id of the Immunization.
    pub dose: String,
    pub reasons: Vec<&'static str>,
}

/// A dose as recorded, and what it counts for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Given {
    /// Id of the Immunization.
    pub id: String,
    /// Id of the Patient.
    pub record: String,
    pub date: Option<String>,
    pub cvx: Option<String>,
    pub vaccine: Option<String>,
    pub lot: Option<String>,
    pub clinic: Option<String>,
    pub provider: Option<String>,
    /// `counted`, `duplicate`, `not-done`, `future` or `incomplete`.
    pub standing: &'static str,
    pub evaluations: Vec<Evaluated>,
}

/// What a dose counts for in a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evaluated {
    pub antigen: String,
    pub vaccine_group: String,
    pub series: String,
    pub dose_number: Option<u16>,
    pub status: &'static str,
    pub reasons: Vec<&'static str>,
}

/// What the schedule recommends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recommended {
    pub vaccine_group: String,
    pub status: &'static str,
    pub dose_number: Option<usize>,
    pub earliest: Option<String>,
    pub recommended: Option<String>,
    pub past_due: Option<String>,
    pub latest: Option<String>,
    pub series: Vec<String>,
}

fn shown(date: Option<Date>) -> Option<String> {
    date.map(|date| date.to_string())
}

impl Registry {
    /// The person that an id means: a person's own, or that of one of its Patients.
    pub fn person_of(&self, session: &Session, id: &str) -> Result<Option<PersonId>, Error> {
        let tenancy = self.tenancy(&session.tenant)?;
        let live = tenancy.live.read();
        let own = || PersonId::parse(id).filter(|person| live.persons.contains_key(person));
        Ok(live.records.get(id).map(|known| known.person).or_else(own))
    }

    /// A page of persons, ordered by id.
    pub fn persons(&self, session: &Session, query: &PersonsQuery) -> Result<Persons, Error> {
        if query.programme.is_none() && (query.status.is_some() || query.mark.is_some()) {
            return Err(Error::new(400, "invalid", "programme: say in which one the status or mark is meant"));
        }
        let tenancy = self.tenancy(&session.tenant)?;
        let live = tenancy.live.read();
        let programme = query.programme.as_deref().and_then(|name| live.programme(name));
        let fits = |person: &Person| query.fits(person, programme);
        let total = live.persons.values().filter(|person| fits(person)).count();
        let from = query.after.map_or(Bound::Unbounded, Bound::Excluded);
        let limit = query.limit.clamp(1, PAGE_MAX);
        let found = live.persons.range((from, Bound::Unbounded)).filter(|(_, person)| fits(person));
        let mut items: Vec<Listed> =
            found.take(limit + 1).map(|(id, person)| listed(*id, person, query, programme)).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| last.id);
        Ok(Persons { total, items, next })
    }

    /// Everything about a person as of a day, today if none is given. A person that was merged into another answers the other.
    pub async fn whole(
        &self,
        engine: &Engine,
        session: &Session,
        id: &str,
        as_of: Option<Date>,
    ) -> Result<Whole, Error> {
        let (at, row) = self.row_of(engine, session, id).await?;
        let whole = whole(&self.definitions(), at, &row, as_of.unwrap_or_else(|| self.today()));
        self.note_read(engine, session, &whole).await?;
        Ok(whole)
    }

    /// As [`Registry::whole`], and what the schedule says of it as FHIR: an ImmunizationEvaluation for each dose and antigen,
    /// and the ImmunizationRecommendation, if any vaccine group concerns the person.
    pub async fn evaluated(
        &self,
        engine: &Engine,
        session: &Session,
        id: &str,
        as_of: Option<Date>,
    ) -> Result<(Whole, Vec<Value>, Option<Value>), Error> {
        let (at, row) = self.row_of(engine, session, id).await?;
        let (definitions, as_of) = (self.definitions(), as_of.unwrap_or_else(|| self.today()));
        let whole = whole(&definitions, at, &row, as_of);
        self.note_read(engine, session, &whole).await?;
        let subject = definitions.subject(&row, &row.facts(), as_of);
        let patient = match whole.records.as_slice() {
            [only] => only.id.clone(),
            _ => at.to_string(),
        };
        let (ids, outcome) = (subject.ids.clone(), definitions.assess(&subject, &row.findings, as_of, |_, _| {}));
        let Some(outcome) = outcome else { return Ok((whole, Vec::new(), None)) };
        let (evaluations, recommendation) =
            crate::immds::resources(definitions.schedule(), &subject.person, &outcome, as_of, &patient, &ids);
        Ok((whole, evaluations, recommendation))
    }

    /// The row of a person, or of the one it was merged into.
    async fn row_of(&self, engine: &Engine, session: &Session, id: &str) -> Result<(PersonId, Row), Error> {
        let person = self.person_of(session, id)?;
        let feed = engine.feed(session).await?;
        let missing = || Error::new(404, "not-found", "no person or Patient with this id: search in /patients");
        let mut at = person.or_else(|| PersonId::parse(id)).ok_or_else(missing)?;
        loop {
            let bytes = feed.state(PERSONS, &at.to_string()).await?.ok_or_else(missing)?;
            let row = Row::parse(&bytes)?;
            match row.merged_into {
                Some(into) => at = into,
                None => return Ok((at, row)),
            }
        }
    }

    async fn note_read(&self, engine: &Engine, session: &Session, whole: &Whole) -> Result<(), Error> {
        let patients = whole.records.iter().map(|record| Some(format!("Patient/{}", record.id)));
        let entity = || format!("Patient/{}", whole.id);
        let audit = patients.map(|patient| engine.audit_record(session, "read", entity(), patient, 200));
        engine.note_access(session, audit.collect()).await
    }
}

impl PersonsQuery {
    fn fits(&self, person: &Person, programme: Option<u16>) -> bool {
        let (status, marks) = programme.map_or_else(Default::default, |programme| person.standing(programme));
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.status, status.code())
            && self.mark.as_deref().is_none_or(|mark| marks.has(mark))
            && is(&self.region, person.region.as_deref().unwrap_or_default())
            && is(&self.sex, person.sex.code())
            && self.born_from.is_none_or(|from| person.birth.is_some_and(|birth| birth >= from))
            && self.born_until.is_none_or(|until| person.birth.is_some_and(|birth| birth <= until))
            && (!self.linked || person.records.len() > 1)
            // Whom nothing can be due any more is on no list of what is.
            && !(self.mark.is_some() && person.deceased)
    }
}

fn listed(id: PersonId, person: &Person, query: &PersonsQuery, programme: Option<u16>) -> Listed {
    let standing = query
        .programme
        .as_ref()
        .map(|_| programme.map_or_else(|| (Status::Not, Marks::default()), |programme| person.standing(programme)));
    Listed {
        id,
        records: person.records.iter().map(|record| record.to_string()).collect(),
        birth_date: shown(person.birth),
        sex: person.sex,
        region: person.region.as_deref().map(str::to_owned),
        doses: person.doses,
        status: standing.map(|(status, _)| status.code()),
        marks: standing.map(|(_, marks)| marks.names().collect()).unwrap_or_default(),
    }
}

fn whole(definitions: &Definitions, id: PersonId, row: &Row, as_of: Date) -> Whole {
    let facts = row.facts();
    let subject = definitions.subject(row, &facts, as_of);
    let mut programmes = Vec::new();
    let outcome = definitions.assess(&subject, &row.findings, as_of, |programme, standing| {
        programmes.push(one(programme, standing, &subject));
    });
    let record = |record: &crate::row::Record| Linked { id: record.id.clone(), link: record.link };
    Whole {
        id,
        version: row.version,
        as_of: as_of.to_string(),
        birth_date: shown(facts.birth),
        sex: facts.sex,
        region: facts.region,
        deceased: facts.deceased,
        records: row.records.iter().map(record).collect(),
        doses: row.doses.iter().map(|dose| given(definitions, dose, &subject, outcome.as_ref(), as_of)).collect(),
        recommendations: outcome.iter().flat_map(|outcome| outcome.recommendations.iter().map(recommended)).collect(),
        programmes,
        schedule: definitions.schedule().version().to_owned(),
    }
}

fn one(programme: String, standing: &Standing, subject: &Subject) -> Programme {
    let due = standing.next_due.unwrap_or_default();
    let invalid = standing.invalid.iter().map(|invalid| InvalidDose {
        dose: subject.ids[invalid.dose].clone(),
        reasons: invalid.reasons.iter().map(|reason| reason.code()).collect(),
    });
    Programme {
        programme,
        status: standing.status.code(),
        marks: Marks::of(standing).names().collect(),
        recorded_doses: standing.recorded_doses,
        valid_doses: standing.valid_doses,
        first_on: shown(standing.first_on),
        full_on: shown(standing.full_on),
        boosted_on: shown(standing.boosted_on),
        earliest: shown(due.earliest),
        recommended: shown(due.recommended),
        past_due: shown(due.past_due),
        invalid: invalid.collect(),
    }
}

fn given(
    definitions: &Definitions,
    dose: &Dose,
    subject: &Subject,
    outcome: Option<&Outcome<'_>>,
    as_of: Date,
) -> Given {
    let at = subject.ids.iter().position(|id| *id == dose.id);
    let standing = match at {
        _ if dose.not_done => "not-done",
        _ if dose.date.is_some_and(|date| date > as_of) => "future",
        Some(_) => "counted",
        None if subject.duplicates.contains(&dose.id) => "duplicate",
        None => "incomplete",
    };
    let of_dose = |evaluation: &&vaccines::DoseEvaluation<'_>| Some(evaluation.dose) == at;
    let evaluations = outcome.iter().flat_map(|outcome| outcome.evaluations.iter()).filter(of_dose);
    Given {
        id: dose.id.clone(),
        record: dose.record.clone(),
        date: shown(dose.date),
        cvx: dose.cvx.map(|cvx| format!("{cvx:02}")),
        vaccine: dose.cvx.and_then(|cvx| definitions.schedule().vaccine_name(cvx)).map(str::to_owned),
        lot: dose.lot.clone(),
        clinic: dose.clinic.clone(),
        provider: dose.provider.clone(),
        standing,
        evaluations: evaluations.map(evaluated).collect(),
    }
}

fn evaluated(evaluation: &vaccines::DoseEvaluation<'_>) -> Evaluated {
    Evaluated {
        antigen: evaluation.antigen.to_owned(),
        vaccine_group: evaluation.vaccine_group.to_owned(),
        series: evaluation.series.to_owned(),
        dose_number: evaluation.dose_number,
        status: evaluation.status.code(),
        reasons: evaluation.reasons.iter().map(|reason| reason.code()).collect(),
    }
}

fn recommended(recommendation: &vaccines::Recommendation<'_>) -> Recommended {
    Recommended {
        vaccine_group: recommendation.vaccine_group.to_owned(),
        status: recommendation.status.code(),
        dose_number: recommendation.dose_number,
        earliest: shown(recommendation.earliest),
        recommended: shown(recommendation.recommended),
        past_due: shown(recommendation.past_due),
        latest: shown(recommendation.latest),
        series: recommendation.series.iter().map(|series| (*series).to_owned()).collect(),
    }
}
