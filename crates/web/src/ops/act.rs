//! What an operator does, noted in the audit trail.

use super::refused::Refused;
use super::{Ops, list};
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
        let dead = list(&handle, Some(State::Dead), usize::MAX).await?;
        let mut keys = vec![String::new()];
        if let Some(numbers) = &numbers {
            let is_dead = |no: &u64| dead.binary_search_by_key(no, |intent| intent.no).is_ok();
            let unknown: Vec<String> =
                numbers.iter().filter(|no| !is_dead(no)).take(NAMED_MAX).map(u64::to_string).collect();
            if !unknown.is_empty() {
                let text = format!("no refused record has the number {}: nothing is sent again", unknown.join(", "));
                return Err(Refused::not_found(text));
            }
            keys = dead.into_iter().filter(|intent| numbers.contains(&intent.no)).map(|intent| intent.key).collect();
        }
        let count = handle.replay(numbers).await.ok_or_else(Refused::ended)?;
        self.note(session, (tenant, name), "$delivery-replay", keys).await?;
        Ok(count)
    }

    /// One record for each of `entities`; an empty one stands for the whole destination.
    async fn note(
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
