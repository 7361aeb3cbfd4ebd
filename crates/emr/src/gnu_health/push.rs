//! One resource on its way into GNU Health, and what all kinds of records need.

use super::GnuHealth;
use super::answer::{Failure, number};
use super::{appointment, immunization, patient, practitioner};
use crate::turns::Turns;
use delivery::{Found, Item, Outcome, Problem, Remote};
use fhir::json::Value;

/// A write that worked, or how it ended instead.
pub(super) type Written<T> = Result<T, Outcome>;

pub(super) struct Push<'a> {
    pub(super) emr: &'a GnuHealth,
    pub(super) item: &'a Item,
    pub(super) turns: &'a dyn Turns,
}

impl Push<'_> {
    pub(super) async fn deliver(&self) -> Outcome {
        let done = match &self.item.body {
            // What has been entered in error should not be there.
            Some(body) if body.str("status") != Some("entered-in-error") => self.write(body).await,
            _ => self.remove().await,
        };
        match done {
            Ok(remote) => Outcome::Done(remote),
            Err(outcome) => outcome,
        }
    }

    async fn write(&self, body: &Value) -> Written<Remote> {
        match self.item.name.as_str() {
            "Patient" => patient::write(self, body).await,
            "Appointment" => appointment::write(self, body).await,
            "Immunization" => immunization::write(self, body).await,
            "Practitioner" => practitioner::link(self, body).await,
            _ => Err(self.no_way()),
        }
    }

    /// Takes back what is there. What is not known to be there is looked for first.
    async fn remove(&self) -> Written<Remote> {
        let remote = match &self.item.remote {
            Some(remote) => remote.clone(),
            None => match self.look().await? {
                Some(remote) => remote,
                None => return Ok(Remote::default()),
            },
        };
        match self.item.name.as_str() {
            "Patient" => patient::deactivate(self, &remote).await,
            "Appointment" => appointment::delete(self, &remote).await,
            "Practitioner" => Ok(remote),
            "Immunization" => Err(self
                .refuse("GNU Health lets no service user take a vaccination back: it has to be done on its screens")),
            _ => Err(self.no_way()),
        }
    }

    pub(super) async fn probe(&self) -> Found {
        match self.look().await {
            Ok(Some(remote)) => Found::Yes(remote),
            Ok(None) => Found::No,
            Err(outcome) => Found::Unknown(crate::outcome::problem_of(outcome)),
        }
    }

    async fn look(&self) -> Written<Option<Remote>> {
        match self.item.name.as_str() {
            "Patient" => patient::look(self).await,
            "Appointment" => appointment::look(self).await,
            "Immunization" => immunization::look(self).await,
            // Nothing of it is written there.
            _ => Ok(None),
        }
    }

    fn no_way(&self) -> Outcome {
        self.refuse(format!("GNU Health takes no {}: it has to be entered on its screens", self.item.name))
    }

    pub(super) fn refuse(&self, text: impl Into<String>) -> Outcome {
        Outcome::Refused(Problem::new(0, text))
    }

    /// Our key.
    pub(super) fn key(&self) -> &str {
        &self.item.identifier.value
    }

    /// Calls a method of a model, such as `party.party.create`.
    pub(super) async fn call(&self, method: &str, parameters: &[Value]) -> Result<Value, Failure> {
        self.emr.door.call(self.turns, method, parameters).await
    }

    /// Changes one record.
    pub(super) async fn change(&self, model: &str, id: i64, values: Value) -> Written<()> {
        let parameters = [Value::Array(vec![id.into()]), values];
        self.call(&format!("{model}.write"), &parameters).await.map(drop).map_err(Failure::of_change)
    }

    /// The first records that all clauses of `domain` hold for, oldest first.
    pub(super) async fn search(
        &self,
        model: &str,
        domain: Vec<Value>,
        limit: u32,
        fields: &[&str],
    ) -> Written<Vec<Value>> {
        let oldest_first = Value::Array(vec![Value::Array(vec!["id".into(), "ASC".into()])]);
        let fields = Value::Array(fields.iter().map(|field| (*field).into()).collect());
        let parameters = [Value::Array(domain), 0u32.into(), limit.into(), oldest_first, fields];
        let found = self.call(&format!("{model}.search_read"), &parameters).await.map_err(Failure::of_read)?;
        Ok(found.items().to_vec())
    }

    /// The number of the patient that `reference` names.
    pub(super) fn patient(&self, reference: Option<&str>) -> Written<i64> {
        let number = reference.and_then(|reference| reference.strip_prefix("Patient/")?.parse().ok());
        number.ok_or_else(|| self.refuse(format!("the patient of this {} is not in GNU Health", self.item.name)))
    }

    /// The number of the health professional among the references, if one is linked.
    pub(super) fn professional<'b>(&self, mut references: impl Iterator<Item = &'b str>) -> Option<i64> {
        references.find_map(|reference| reference.strip_prefix("Practitioner/")?.parse().ok())
    }
}

/// `[FIELD, OPERATOR, VALUE]`
pub(super) fn clause(field: &str, operator: &str, value: impl Into<Value>) -> Value {
    Value::Array(vec![field.into(), operator.into(), value.into()])
}

pub(super) fn remote(id: i64, more: &[(&str, i64)]) -> Remote {
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), value.to_string()));
    Remote { id: id.to_string(), more: more.collect() }
}

/// The number of a record.
pub(super) fn id_of(push: &Push<'_>, remote: &Remote) -> Written<i64> {
    remote.id.parse().map_err(|_| push.refuse("what is known of its record there is no number"))
}

/// The number of a row that was found.
pub(super) fn row_id(row: &Value) -> Option<i64> {
    row.get("id").and_then(number)
}
