//! Problems, allergies and medications by REST: rows of one table of lists, with a title, two dates and codes.
//!
//! Our key goes into `comments`. An OpenEMR that does not keep it there still shows the row: one without a comment and with the
//! same title, codes and begin is ours.

use super::answer::{failed, row, scalar};
use super::local_time::{date, date_time, local};
use super::outline;
use super::push::{Looked, Push, Subject, Written, more, remote, unsaid};
use crate::outcome::problem_of;
use ::fhir::json;
use ::fhir::json::Value;
use delivery::{Outcome, Problem, Remote};
use jiff::Timestamp;
use reqwest::Method;

/// The member of [`Remote::more`] that holds the number of a row.
const NUMBER: &str = "list";
const TITLE_CHARS_MAX: usize = 255;

/// The differences between the three lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    /// The last part of its path.
    pub(super) word: &'static str,
    /// Members that may hold the begin, the best first.
    pub(super) begins: &'static [&'static str],
    /// Members that may hold the end.
    pub(super) ends: &'static [&'static str],
    pub(super) begin_needed: bool,
    /// The oldest endpoint goes by numbers and has times in its dates.
    pub(super) old: bool,
}

/// What a resource is in a list.
pub(super) struct Entry<'a> {
    /// What it is about.
    pub(super) concept: Option<&'a Value>,
    /// Whether it is over.
    pub(super) ended: bool,
}

impl List {
    fn path(self, subject: &Subject) -> String {
        let patient = if self.old { &subject.pid } else { &subject.uuid };
        format!("/patient/{patient}/{}", self.word)
    }

    /// By what its rows are named in a path.
    fn name(self, there: &Remote) -> String {
        let number = more(there, NUMBER).unwrap_or_default();
        if self.old || there.id.is_empty() { number.to_owned() } else { there.id.clone() }
    }

    fn stamp(self, text: &str, push: &Push<'_>) -> Option<String> {
        let time = local(text, &push.emr.settings.zone)?;
        Some(if self.old { date_time(time) } else { date(time) })
    }

    pub(super) async fn write(self, push: &Push<'_>, body: &Value, entry: Entry<'_>) -> Written<Remote> {
        let columns = self.columns(push, body, &entry)?;
        if let Some(there) = &push.item.remote {
            let path = format!("{}/{}", self.path(&push.subject_of(there)?), self.name(there));
            push.change(&path, &columns, &["uuid", "id"]).await?;
            return Ok(there.clone());
        }
        let subject = push.subject(body).await?;
        let answer = push.rest(Method::POST, &self.path(&subject), Some(&columns)).await?;
        if !matches!(answer.status, 200 | 201) {
            return Err(failed(&answer));
        }
        let row = row(&answer);
        let number = scalar(&row, "id").ok_or_else(|| unsaid(&answer))?;
        let mut uuid = scalar(&row, "uuid");
        if uuid.is_none() {
            // Without its FHIR id the row is there all the same.
            let shown = push.read(&format!("{}/{number}", self.path(&subject))).await.ok();
            uuid =
                shown.filter(|shown| shown.status == 200).and_then(|shown| scalar(&super::answer::row(&shown), "uuid"));
        }
        Ok(remote(&uuid.unwrap_or_default(), &[(NUMBER, &number)], &subject))
    }

    pub(super) async fn remove(self, push: &Push<'_>, there: &Remote) -> Written<Remote> {
        let subject = push.subject_of(there)?;
        push.delete(&format!("{}/{}", self.path(&subject), self.name(there)), &["uuid", "id"]).await?;
        Ok(Remote::default())
    }

    /// The number of the row with this FHIR id.
    pub(super) async fn number(
        self,
        push: &Push<'_>,
        subject: &Subject,
        uuid: &str,
    ) -> Written<Option<(&'static str, String)>> {
        let rows = push.rows(&self.path(subject)).await?;
        let row = rows.iter().find(|row| scalar(row, "uuid").as_deref() == Some(uuid));
        let number = row.and_then(|row| scalar(row, "id"));
        number.map(|number| Some((NUMBER, number))).ok_or_else(|| push.refuse("the list does not show its number"))
    }

    pub(super) async fn look(self, push: &Push<'_>, body: Option<&Value>, entry: Option<Entry<'_>>) -> Looked {
        let (body, entry) =
            body.zip(entry).ok_or_else(|| Problem::new(0, "without its content it cannot be looked for"))?;
        let columns = self.columns(push, body, &entry).map_err(problem_of)?;
        let subject = push.subject(body).await.map_err(problem_of)?;
        let rows = push.rows(&self.path(&subject)).await.map_err(problem_of)?;
        let comment = |row: &Value| scalar(row, "comments");
        let by_key = rows.iter().find(|row| comment(row).as_deref() == Some(push.key()));
        let same = |row: &Value| {
            ["title", "begdate", "diagnosis"].into_iter().all(|name| {
                let (shown, ours) = (scalar(row, name).unwrap_or_default(), scalar(&columns, name).unwrap_or_default());
                shown == ours
                    || name == "begdate" && !ours.is_empty() && shown.starts_with(ours.get(..10).unwrap_or(&ours))
            })
        };
        let found = by_key.or_else(|| rows.iter().find(|row| comment(row).is_none() && same(row)));
        Ok(found.and_then(|row| {
            let number = scalar(row, "id")?;
            Some(remote(&scalar(row, "uuid").unwrap_or_default(), &[(NUMBER, &number)], &subject))
        }))
    }

    fn columns(self, push: &Push<'_>, body: &Value, entry: &Entry<'_>) -> Written<Value> {
        let title = entry.concept.and_then(outline::concept).filter(|title| title.chars().count() >= 2);
        let title = title.ok_or_else(|| push.refuse("a text or code of 2 characters or more is needed"))?;
        let title: String = title.chars().take(TITLE_CHARS_MAX).collect();
        let stamp = |members: &[&str]| {
            let mut texts = members.iter().filter_map(|path| {
                let names: Vec<&str> = path.split('.').collect();
                body.path(&names)?.as_str()
            });
            texts.find_map(|text| self.stamp(text, push))
        };
        let begin = stamp(self.begins);
        if begin.is_none() && self.begin_needed {
            return Err(push.refuse(format!("one of {} is needed", self.begins.join(", "))));
        }
        let mut columns = json!({ "title": title, "comments": push.key() });
        if let Some(begin) = begin {
            columns.set("begdate", begin);
        }
        let end = stamp(self.ends).filter(|_| entry.ended || !self.old);
        match end {
            Some(end) => columns.set("enddate", end),
            // Over, and nobody says since when: since today.
            None if entry.ended => columns.set("enddate", self.today(push)),
            None => {}
        }
        let codes = entry.concept.map(diagnosis).unwrap_or_default();
        if !codes.is_empty() {
            columns.set("diagnosis", codes);
        }
        Ok(columns)
    }

    fn today(self, push: &Push<'_>) -> String {
        let now = Timestamp::from_microsecond(push.emr.clock.now_us()).unwrap_or_default();
        let today = push.emr.settings.zone.to_datetime(now).date().at(0, 0, 0, 0);
        if self.old { date_time(today) } else { date(today) }
    }
}

/// Codes as OpenEMR writes them, `ICD10:E11.9;SNOMED-CT:44054006`. Codes of systems that it does not know stay in the title.
fn diagnosis(concept: &Value) -> String {
    let codes = concept.list("coding").iter().filter_map(|coding| {
        let system = match coding.str("system")? {
            "http://hl7.org/fhir/sid/icd-10-cm" | "http://hl7.org/fhir/sid/icd-10" => "ICD10",
            "http://hl7.org/fhir/sid/icd-9-cm" => "ICD9",
            "http://snomed.info/sct" => "SNOMED-CT",
            "http://www.nlm.nih.gov/research/umls/rxnorm" => "RXNORM",
            "http://hl7.org/fhir/sid/cvx" => "CVX",
            _ => return None,
        };
        Some(format!("{system}:{}", coding.str("code")?))
    });
    codes.collect::<Vec<_>>().join(";")
}

/// Whether the first code of a concept is one of these.
pub(super) fn has_code(concept: Option<&Value>, codes: &[&str]) -> bool {
    let codings = concept.map_or(&[][..], |concept| concept.list("coding"));
    codings.iter().any(|coding| coding.str("code").is_some_and(|code| codes.contains(&code)))
}

/// Why a medication cannot be written: what it is stands elsewhere.
pub(super) fn elsewhere(push: &Push<'_>) -> Outcome {
    push.refuse("medicationCodeableConcept is needed: OpenEMR does not take a reference to a Medication")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_openemr_writes_them() {
        let concept = Value::parse(
            r#"{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"E11.9"},{"system":"urn:x","code":"1"},
            {"system":"http://snomed.info/sct","code":"44054006"}]}"#,
        )
        .unwrap();
        assert_eq!(diagnosis(&concept), "ICD10:E11.9;SNOMED-CT:44054006");
        assert!(has_code(Some(&concept), &["1"]) && !has_code(Some(&concept), &["2"]) && !has_code(None, &["1"]));
    }
}
