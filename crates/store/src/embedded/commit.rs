//! The caller's half of a commit: compress and seal, then wait for the writer.

use super::codec::{Place, id_to_disk};
use super::kv::state_place;
use super::small::state_kind;
use super::writer::{Message, PreparedBatch, PreparedClaim, PreparedMessage, PreparedState, PreparedWrite};
use super::{Shared, codec};
use crate::{Batch, ClaimChange, CommitError, Committed, StoreError, Write};
use std::collections::HashSet;
use std::sync::mpsc::TrySendError;
use tokio::sync::oneshot;

impl Shared {
    pub(crate) async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        if self.index().is_overloaded() {
            return Err(CommitError::Busy);
        }
        let prepared = self.prepare(batch)?;
        let (answer, result) = oneshot::channel();
        self.inbox.try_send(Message::Commit(Box::new(prepared), answer)).map_err(|error| match error {
            TrySendError::Full(_) => CommitError::Busy,
            TrySendError::Disconnected(_) => CommitError::Store(StoreError::Closed),
        })?;
        result.await.map_err(|_| CommitError::Store(StoreError::Closed))?
    }

    fn prepare(&self, batch: Batch) -> Result<PreparedBatch, StoreError> {
        let mut seen = HashSet::new();
        let mut writes = Vec::with_capacity(batch.writes.len());
        let several = batch.writes.len() > 1;
        for write in batch.writes {
            let write = self.prepare_write(write)?;
            if several && !seen.insert((write.ty_disk, write.id.clone())) {
                return Err(StoreError::Limit("a batch writes a resource at most once"));
            }
            writes.push(write);
        }
        let claims = batch.claims.into_iter().map(|claim| self.prepare_claim(claim)).collect::<Result<_, _>>()?;
        let queue = batch.queue.into_iter().map(|message| {
            Ok(PreparedMessage {
                group: self.codec.hidden(&message.group),
                payload: self.seal_message(&message.queue, &message.group, &message.payload)?,
                queue: message.queue,
                not_before_us: message.not_before_us,
            })
        });
        let queue = queue.collect::<Result<_, StoreError>>()?;
        let state = batch.state.into_iter().map(|change| {
            let seal = |value: Vec<u8>| {
                self.codec.seal_small(&state_kind(&change.space), &state_place(&change.space, &change.key), &value)
            };
            let sealed = change.value.map(seal);
            Ok(PreparedState { space: change.space, key: change.key, value: sealed.transpose()? })
        });
        let state = state.collect::<Result<_, StoreError>>()?;
        let counters = self.codec.seal_counters(&batch.counters)?;
        let events = batch.events.into_iter().map(|event| self.prepare_event(event)).collect::<Result<_, _>>()?;
        Ok(PreparedBatch { writes, claims, counters, queue, events, state, audit: batch.audit })
    }

    fn prepare_write(&self, write: Write) -> Result<PreparedWrite, StoreError> {
        let ty_disk = self.codec.numbers.disk(write.ty);
        let id = id_to_disk(&write.id);
        let splice = codec::splice_to_disk(write.splice);
        let place =
            Place { ty: ty_disk, id: &id, version: write.expected + 1, op: codec::op_to_disk(write.op), splice };
        let (dict, body) = self.codec.encode(&place, &write.body)?;
        Ok(PreparedWrite {
            ty: write.ty,
            ty_disk,
            id,
            id_text: write.id,
            op: write.op,
            expected: write.expected,
            splice,
            dict,
            body,
            entries: write.entries,
        })
    }

    fn prepare_claim(&self, claim: ClaimChange) -> Result<PreparedClaim, StoreError> {
        Ok(match claim {
            ClaimChange::Take { key, owner, expires_us } => PreparedClaim::Take {
                key: self.codec.hidden(&key),
                owner: self.codec.hidden(&owner),
                sealed_owner: self.codec.seal("claim", owner.as_bytes())?,
                name: key,
                expires_us,
            },
            ClaimChange::Release { key, owner } => {
                PreparedClaim::Release { key: self.codec.hidden(&key), owner: self.codec.hidden(&owner) }
            }
        })
    }
}
