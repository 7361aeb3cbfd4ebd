//! The definitions of "vaccinated": every vaccine group of each schedule, and every programme of surveillance.

use crate::clinical::{Dose, Finding};
use crate::facts::{Facts, Sex};
use crate::newcomer::{Newcomer, Newcomers};
use crate::row::Row;
use crate::summary::{Mark, Summary, Void};
use std::sync::Arc;
use vaccines::dedupe::{Completion, Distinct, DropReason, Given, Source, dedupe};
use vaccines::standing::Standing;
use vaccines::surveillance::Programme;
use vaccines::{Date, LoadError, Observed, Outcome, Person, Schedule};

/// What persons are measured by: immutable, replaced as a whole.
#[derive(Debug)]
pub struct Definitions {
    /// The first is the one that counts; the others stand beside it for comparison, their programmes named `MMR@4.65`.
    schedules: Vec<Arc<Schedule>>,
    programmes: Vec<Programme>,
    fingerprint: String,
    /// Systems whose Patients are believed before others, by their `meta.source`.
    verified_sources: Vec<String>,
    /// Of [`Definitions::list`], in its order.
    ids: Vec<String>,
    newcomers: Newcomers,
}

/// What a programme is, for people and interfaces.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Definition {
    pub id: String,
    pub title: String,
    /// `clinical` (CDSi) or `surveillance`.
    pub calculator: &'static str,
    pub version: String,
}

/// Why definitions cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    #[error("two programmes are called `{0}`: give one another id")]
    Twice(String),
    #[error("there is no schedule: name at least one")]
    NoSchedule,
    #[error(transparent)]
    Schedule(#[from] LoadError),
    #[error(transparent)]
    Programme(#[from] vaccines::surveillance::ProgrammeError),
}

/// A person as calculators see them: what was given, each event once, and what is known besides.
pub(crate) struct Subject {
    pub(crate) person: Person,
    /// Ids of the Immunizations behind `person.doses`.
    pub(crate) ids: Vec<String>,
    pub(crate) duplicates: Vec<String>,
    /// Without a birth date no schedule applies.
    pub(crate) has_birth: bool,
}

impl Definitions {
    /// CDC's schedule and the programmes that weir ships.
    pub fn builtin() -> Result<Definitions, DefinitionError> {
        Definitions::new(vec![Arc::new(Schedule::builtin()?)], Programme::builtin()?)
    }

    pub fn new(schedules: Vec<Arc<Schedule>>, programmes: Vec<Programme>) -> Result<Definitions, DefinitionError> {
        if schedules.is_empty() {
            return Err(DefinitionError::NoSchedule);
        }
        let (fingerprint, verified_sources) = (String::new(), Vec::new());
        let (ids, newcomers) = (Vec::new(), Newcomers::default());
        let mut definitions = Definitions { schedules, programmes, fingerprint, verified_sources, ids, newcomers };
        let all = definitions.list();
        let mut text = String::new();
        for (at, one) in all.iter().enumerate() {
            if all[..at].iter().any(|other| other.id == one.id) {
                return Err(DefinitionError::Twice(one.id.clone()));
            }
            text.push_str(&format!("{} {} {}\n", one.id, one.calculator, one.version));
        }
        definitions.fingerprint = seal::fingerprint(text.as_bytes())[..16].to_owned();
        definitions.ids = all.into_iter().map(|one| one.id).collect();
        Ok(definitions)
    }

    /// With systems whose Patients are believed before others: a Patient's `meta.source`, what comes after `#` left out.
    pub fn with_verified_sources(mut self, sources: Vec<String>) -> Definitions {
        if !sources.is_empty() {
            // Other sources are other definitions: everybody is assessed anew.
            let text = format!("{}\n{}", self.fingerprint, sources.join("\n"));
            seal::fingerprint(text.as_bytes())[..16].clone_into(&mut self.fingerprint);
        }
        Definitions { verified_sources: sources, ..self }
    }

    pub(crate) fn is_verified(&self, source: &str) -> bool {
        let system = source.split('#').next().unwrap_or_default();
        self.verified_sources.iter().any(|verified| verified == system)
    }

    /// Tells one set of definitions from another.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The schedule that counts.
    pub fn schedule(&self) -> &Schedule {
        &self.schedules[0]
    }

    /// A schedule by its version.
    pub fn schedule_of(&self, version: &str) -> Option<&Schedule> {
        self.schedules.iter().map(AsRef::as_ref).find(|schedule| schedule.version() == version)
    }

    /// All programmes: those of the first schedule, of the others, and those of surveillance.
    pub fn list(&self) -> Vec<Definition> {
        let mut list = Vec::new();
        for (at, schedule) in self.schedules.iter().enumerate() {
            list.extend(schedule.vaccine_groups().map(|group| Definition {
                id: clinical_id(at, schedule, group),
                title: format!("{group}, schedule {}", schedule.version()),
                calculator: "clinical",
                version: schedule.version().to_owned(),
            }));
        }
        list.extend(self.programmes.iter().map(|programme| Definition {
            id: programme.id.clone(),
            title: programme.title.clone(),
            calculator: vaccines::surveillance::NAME,
            version: programme.version.clone(),
        }));
        list
    }

    /// Whether any schedule knows what a code means.
    pub(crate) fn knows(&self, system: &str, code: &str) -> bool {
        self.schedules.iter().any(|schedule| !schedule.observations(system, code).is_empty())
    }

    /// What brands people call vaccines by, each with the vaccine types it has been given as (the first is the oldest) and its
    /// manufacturer (MVX), if that tells it from others.
    pub fn brands(&self) -> impl Iterator<Item = (&str, &[vaccines::Cvx], Option<&str>)> {
        let products = self.programmes.iter().flat_map(|programme| &programme.products);
        products.flat_map(|product| {
            let names = product.name.split(',').map(str::trim).filter(|name| *name != "Manufacturer unknown");
            names.map(|name| (name, product.cvx.as_slice(), product.mvx.as_deref()))
        })
    }

    /// Whether a vaccine is one of a programme's.
    pub fn belongs(&self, programme: &str, cvx: u16) -> bool {
        if let Some(programme) = self.programmes.iter().find(|one| one.id == programme) {
            return programme.products.iter().any(|product| product.cvx.contains(&cvx));
        }
        let group = programme.split('@').next().unwrap_or_default();
        self.schedules.iter().any(|schedule| schedule.groups_of(cvx).any(|other| other == group))
    }

    /// The doses and observations of a row, as calculators take them.
    pub(crate) fn subject(&self, row: &Row, facts: &Facts, today: Date) -> Subject {
        let schedule = self.schedule();
        let (given, ids): (Vec<Given>, Vec<&str>) =
            row.doses.iter().filter_map(|dose| Some((given(dose)?, dose.id.as_str()))).unzip();
        let Distinct { doses, records, dropped } = dedupe(schedule, &given);
        let name = |record: &usize| ids[*record].to_owned();
        let is_duplicate = |one: &&vaccines::dedupe::Dropped| matches!(one.reason, DropReason::DuplicateOf(_));
        Subject {
            ids: records.iter().map(name).collect(),
            duplicates: dropped.iter().filter(is_duplicate).map(|one| name(&one.record)).collect(),
            has_birth: facts.birth.is_some(),
            person: Person {
                birth: facts.birth.unwrap_or_else(crate::day::epoch),
                sex: match facts.sex {
                    Sex::Female => vaccines::Sex::Female,
                    Sex::Male => vaccines::Sex::Male,
                    Sex::Unknown => vaccines::Sex::Unknown,
                },
                born_in_us: facts.born_in_us,
                doses,
                observations: observed(schedule, &row.findings, today),
            },
        }
    }

    /// Calls `each` with the id and standing of every programme on the day; answers the schedule's own outcome, if it applies.
    pub(crate) fn assess(
        &self,
        subject: &Subject,
        findings: &[Finding],
        today: Date,
        mut each: impl FnMut(String, &Standing),
    ) -> Option<Outcome<'_>> {
        let mut first = None;
        for (at, schedule) in self.schedules.iter().enumerate().filter(|_| subject.has_birth) {
            let other;
            let person = if at == 0 {
                &subject.person
            } else {
                other = Person { observations: observed(schedule, findings, today), ..subject.person.clone() };
                &other
            };
            let outcome = vaccines::forecast(schedule, person, today);
            for group in vaccines::clinical::standings(schedule, person, &outcome, today) {
                each(clinical_id(at, schedule, group.vaccine_group), &group.standing);
            }
            first.get_or_insert(outcome);
        }
        for programme in &self.programmes {
            each(programme.id.clone(), &programme.standing(&subject.person, today));
        }
        first
    }

    /// Sets the summary of a row and the day on which it must be made anew.
    pub(crate) fn summarise(&self, row: &mut Row, today: Date) {
        let facts = row.facts();
        if row.doses.is_empty() && row.findings.is_empty() {
            return self.summarise_newcomer(row, &facts, today);
        }
        let subject = self.subject(row, &facts, today);
        let mut summary = Summary { definitions: self.fingerprint.clone(), ..Summary::default() };
        let future = subject.person.doses.iter().map(|dose| dose.date).filter(|date| *date > today);
        // A finding that begins or ends changes what holds.
        let held = row.findings.iter().flat_map(|finding| [finding.date, finding.until]).flatten();
        let mut next = future.chain(held.filter(|date| *date > today)).min();
        self.assess(&subject, &row.findings, today, |programme, standing| {
            next = earlier(next, standing.next_transition);
            for invalid in &standing.invalid {
                summary.void.extend(invalid.reasons.iter().map(|reason| Void {
                    programme: programme.clone(),
                    dose: subject.ids[invalid.dose].clone(),
                    reason: reason.code().to_owned(),
                }));
            }
            let mark = Mark::of(standing);
            if !mark.is_nothing() {
                summary.programmes.insert(programme, mark);
            }
        });
        let given = subject.person.doses.iter().zip(&subject.ids);
        summary.counted = given.filter(|(dose, _)| dose.date <= today).map(|(_, id)| id.clone()).collect();
        summary.duplicates = subject.duplicates;
        row.summary = summary;
        row.next = next;
    }

    /// [`Definitions::summarise`] of somebody without doses and findings.
    fn summarise_newcomer(&self, row: &mut Row, facts: &Facts, today: Date) {
        let newcomer = Newcomer { birth: facts.birth, sex: facts.sex, born_in_us: facts.born_in_us };
        let (standings, next) = self.newcomers.get(newcomer, today, || {
            let (mut standings, mut next) = (Vec::new(), None);
            self.assess(&self.subject(row, facts, today), &[], today, |programme, standing| {
                next = earlier(next, standing.next_transition);
                let number = self.ids.iter().position(|id| *id == programme).expect("the list has all programmes");
                let mark = Mark::of(standing);
                // Without doses there is nothing else in a mark.
                debug_assert_eq!(mark, Mark::without_doses(mark.marks));
                if !mark.is_nothing() {
                    standings.push((number as u16, mark.marks));
                }
            });
            (standings.into(), next)
        });
        let marks = standings.iter().map(|(number, marks)| {
            let programme = self.ids[usize::from(*number)].clone();
            (programme, Mark::without_doses(*marks))
        });
        let programmes = marks.collect();
        row.summary = Summary { definitions: self.fingerprint.clone(), programmes, ..Summary::default() };
        row.next = next;
    }
}

fn earlier(one: Option<Date>, other: Option<Date>) -> Option<Date> {
    one.into_iter().chain(other).min()
}

fn clinical_id(at: usize, schedule: &Schedule, group: &str) -> String {
    if at == 0 { group.to_owned() } else { format!("{group}@{}", schedule.version()) }
}

/// `None` for what has no vaccine or no day: it cannot be evaluated, and counts as a problem of the data.
fn given(dose: &Dose) -> Option<Given> {
    Some(Given {
        date: dose.date?,
        cvx: dose.cvx?,
        mvx: dose.mvx.clone(),
        lot: dose.lot.clone(),
        source: if dose.historical { Source::Historical } else { Source::Administered },
        completion: if dose.not_done { Completion::NotDone } else { Completion::Completed },
        subpotent: dose.subpotent,
        expires: dose.expires,
    })
}

fn observed(schedule: &Schedule, findings: &[Finding], today: Date) -> Vec<Observed> {
    let mut observed: Vec<Observed> = Vec::new();
    for finding in findings {
        for one in observed_by(schedule, &finding.codes, finding.date, finding.until, today) {
            if !observed.contains(&one) {
                observed.push(one);
            }
        }
    }
    observed
}

/// What codes mean to a schedule on the day, if they hold then; each observation once.
pub(crate) fn observed_by(
    schedule: &Schedule,
    codes: &[(String, String)],
    date: Option<Date>,
    until: Option<Date>,
    today: Date,
) -> Vec<Observed> {
    if until.is_some_and(|end| end <= today) || date.is_some_and(|date| date > today) {
        return Vec::new();
    }
    let mut found: Vec<_> =
        codes.iter().flat_map(|(system, code)| schedule.observations(system, code)).copied().collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|code| Observed { code, date }).collect()
}
