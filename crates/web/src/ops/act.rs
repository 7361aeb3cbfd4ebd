//! What an operator does, noted in the audit trail.

use super::Ops;
use super::refused::Refused;
use delivery::State;
use engine::{Keep, Session};
use store::AuditRecord;

/// Numbers that a refusal names.
const NAMED_MAX: usize = 10;

impl Ops {
    pub(super) async fn pause(
        &self,
        session: &Session,
        (tenant, name): (&str, &str),
        paused: bool,
    ) -> Result<(), Refused> {
        let handle = self.handle(tenant, name)?;
        if !handle.pause(paused).await {
            return Err(Refused::ended());
        }
        let what = if paused { "$delivery-pause" } else { "$delivery-resume" };
        self.note(session, (tenant, name), what, vec![String::new()]).await
    }

    /// Sends refused records again: those with these numbers, or all. Answers how many.
    pub(super) async fn replay(
        &self,
        session: &Session,
        (tenant, name): (&str, &str),
        numbers: Option<Vec<u64>>,
    ) -> Result<usize, Refused> {
        let handle = self.handle(tenant, name)?;
        // What is noted: each record, or none for all of them.
        let mut keys = Vec::new();
        let mut unknown = Vec::new();
        for no in numbers.iter().flatten() {
            match handle.find(*no).await.ok_or_else(Refused::ended)? {
                Some(intent) if intent.state == State::Dead => keys.push(intent.key),
                _ => unknown.push(no.to_string()),
            }
        }
        if !unknown.is_empty() {
            unknown.truncate(NAMED_MAX);
            let text = format!("no refused record has the number {}: nothing is sent again", unknown.join(", "));
            return Err(Refused::not_found(text));
        }
        if numbers.is_none() {
            keys.push(String::new());
        }
        let count = handle.replay(numbers).await.ok_or_else(Refused::ended)?;
        self.note(session, (tenant, name), "$delivery-replay", keys).await?;
        Ok(count)
    }

    /// One record for each of `entities`; an empty one stands for the whole destination.
    pub(super) async fn note(
        &self,
        session: &Session,
        (tenant, name): (&str, &str),
        interaction: &str,
        entities: Vec<String>,
    ) -> Result<(), Refused> {
        let session = self.session_for(session, tenant);
        let record = |entity: String| AuditRecord {
            at_us: self.engine.now_us(),
            interaction: interaction.into(),
            outcome: 0,
            status: 200,
            who: session.who.id.clone(),
            request_id: session.request_id.clone(),
            patient: Some(entity.clone()).filter(|entity| entity.starts_with("Patient/")),
            entity,
            query: Some(format!("destination={name}")),
        };
        let audit = entities.into_iter().map(record).collect();
        self.engine.feed(&session).await?.keep(Keep { audit, ..Keep::default() }).await?;
        Ok(())
    }
}
