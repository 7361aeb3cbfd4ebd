//! The one thread that writes a tenant's file: many batches, one fsync.

use super::Shared;
use super::codec;
use super::events::PreparedEvent;
use super::{events, tally};
use crate::index::SEQ_MAX;
use crate::{AuditRecord, CommitError, Committed, Op, StoreError};
use fhir::defs::TypeId;
use fhir::index::Entry;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Batches that share one fsync at most.
const GROUP_BATCHES_MAX: usize = 512;
/// Bytes of bodies in one group before it is closed.
const GROUP_BYTES_MAX: usize = 16 << 20;
/// How long a read's audit record may wait in memory.
const AUDIT_DELAY: Duration = Duration::from_millis(100);

/// A write whose body is compressed and sealed already, so that the writer thread only moves bytes.
#[derive(Debug)]
pub(super) struct PreparedWrite {
    pub(super) ty: TypeId,
    pub(super) ty_disk: i64,
    pub(super) id: Vec<u8>,
    pub(super) id_text: String,
    pub(super) op: Op,
    pub(super) expected: u64,
    pub(super) splice: i64,
    pub(super) dict: i64,
    pub(super) body: Vec<u8>,
    pub(super) entries: Vec<Entry>,
}

#[derive(Debug)]
pub(super) enum PreparedClaim {
    Take { name: String, key: Vec<u8>, owner: Vec<u8>, sealed_owner: Vec<u8>, expires_us: Option<i64> },
    Release { key: Vec<u8>, owner: Vec<u8> },
}

#[derive(Debug)]
pub(super) struct PreparedMessage {
    pub(super) queue: String,
    pub(super) group: Vec<u8>,
    pub(super) not_before_us: i64,
    pub(super) payload: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct PreparedState {
    pub(super) space: String,
    pub(super) key: String,
    pub(super) value: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
pub(super) struct PreparedBatch {
    pub(super) writes: Vec<PreparedWrite>,
    pub(super) claims: Vec<PreparedClaim>,
    /// Changes of counters, sealed.
    pub(super) counters: Option<Vec<u8>>,
    pub(super) events: Vec<PreparedEvent>,
    pub(super) queue: Vec<PreparedMessage>,
    pub(super) state: Vec<PreparedState>,
    pub(super) audit: Vec<AuditRecord>,
}

/// Work for the writer thread.
pub(super) enum Message {
    Commit(Box<PreparedBatch>, oneshot::Sender<Result<Committed, CommitError>>),
    /// Anything else that must write: runs in a transaction of its own, between groups.
    Run(Box<dyn FnOnce(&Connection) + Send>),
    Close,
}

/// What the index must learn about one committed write.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) seq: u64,
    pub(crate) ty: TypeId,
    pub(crate) id: String,
    pub(crate) op: Op,
    /// The version it replaces; 0 = none.
    pub(crate) prev: u64,
    pub(crate) at_us: i64,
    pub(crate) entries: Vec<Entry>,
}

pub(super) fn run(shared: &Arc<Shared>, mut connection: Connection, inbox: &Receiver<Message>) {
    loop {
        let first = match inbox.recv_timeout(AUDIT_DELAY) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Message::Close),
        };
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut after = None;
        let mut next = first;
        while let Some(message) = next.take() {
            match message {
                Message::Commit(batch, answer) => {
                    bytes += batch.writes.iter().map(|write| write.body.len()).sum::<usize>();
                    group.push((*batch, answer));
                }
                other => {
                    after = Some(other);
                    break;
                }
            }
            if group.len() < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX {
                next = inbox.try_recv().ok();
            }
        }
        commit_group(shared, &mut connection, group);
        match after {
            Some(Message::Run(job)) => job(&connection),
            Some(Message::Close) => break,
            _ => {}
        }
    }
    // Batches that were queued behind the close are refused by their dropped answer channel.
    commit_group(shared, &mut connection, Vec::new());
}

type Answer = oneshot::Sender<Result<Committed, CommitError>>;
type Waiting = (PreparedBatch, Answer);

fn commit_group(shared: &Arc<Shared>, connection: &mut Connection, group: Vec<Waiting>) {
    let buffered = std::mem::take(&mut *shared.audit_buffer.lock());
    if group.is_empty() && buffered.is_empty() {
        return;
    }
    let (batches, answers): (Vec<PreparedBatch>, Vec<Answer>) = group.into_iter().unzip();
    let mut results = Vec::with_capacity(batches.len());
    let mut applied = Vec::new();
    let buffered_len = buffered.len();
    let mut audit = buffered;
    let outcome = (|| -> Result<(), StoreError> {
        // Immediate: a read that becomes a write later may find the log moved on by a checkpoint, and fail.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut group_writer = GroupWriter::new(shared, &transaction)?;
        for batch in batches {
            results.push(group_writer.batch(batch, &mut applied, &mut audit)?);
        }
        group_writer.audit(&audit)?;
        let seq = group_writer.seq;
        transaction.commit()?;
        shared.committed(seq, std::mem::take(&mut applied));
        Ok(())
    })();
    if let Err(error) = outcome {
        tracing::error!(store.tenant = shared.codec.tenant, error = %error, "commit failed");
        // Reads that were answered already keep their records: the next commit takes them along.
        audit.truncate(buffered_len);
        shared.audit_again(audit);
        let text = match error {
            StoreError::Io(text) => text,
            other => other.to_string(),
        };
        // Nothing of the group was kept, so that every one of its batches fails, those not looked at included.
        results.clear();
        results.resize_with(answers.len(), || Err(CommitError::Store(StoreError::Io(text.clone()))));
    }
    for (answer, result) in answers.into_iter().zip(results) {
        // The client may have gone away; its write is committed all the same.
        drop(answer.send(result));
    }
}

/// Applies batches within one SQLite transaction. A batch is checked whole before any of it is written.
struct GroupWriter<'a> {
    shared: &'a Shared,
    transaction: &'a Transaction<'a>,
    seq: u64,
    at_us: i64,
}

impl<'a> GroupWriter<'a> {
    fn new(shared: &'a Shared, transaction: &'a Transaction<'a>) -> Result<Self, StoreError> {
        // Commit times never run backwards, so that `_lastUpdated` and the change number agree.
        let at_us = shared.clock.now_us().max(shared.last_at_us());
        Ok(GroupWriter { shared, transaction, seq: shared.last_seq(), at_us })
    }

    fn batch(
        &mut self,
        batch: PreparedBatch,
        applied: &mut Vec<Applied>,
        audit: &mut Vec<AuditRecord>,
    ) -> Result<Result<Committed, CommitError>, StoreError> {
        if self.seq + batch.writes.len() as u64 > SEQ_MAX {
            return Ok(Err(StoreError::Limit("4,294,967,294 versions per tenant").into()));
        }
        let mut previous = Vec::with_capacity(batch.writes.len());
        for (index, write) in batch.writes.iter().enumerate() {
            let (seq, version) = self.current(write)?;
            if version != write.expected {
                return Ok(Err(CommitError::Conflict { index, current: version }));
            }
            previous.push(seq);
        }
        if let Some(key) = self.taken(&batch.claims)? {
            return Ok(Err(CommitError::ClaimTaken { key }));
        }
        let mut seqs = Vec::with_capacity(batch.writes.len());
        for (write, prev) in batch.writes.into_iter().zip(previous) {
            seqs.push(self.write(write, prev, applied)?);
        }
        for claim in batch.claims {
            self.claim(claim)?;
        }
        if let Some(changes) = &batch.counters {
            tally::append(self.transaction, changes)?;
        }
        for event in &batch.events {
            events::tell(self.transaction, event, self.at_us)?;
        }
        for message in batch.queue {
            self.transaction
                .prepare_cached("INSERT INTO queue (queue, grp, not_before_us, payload) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![message.queue, message.group, message.not_before_us, message.payload])?;
        }
        for PreparedState { space, key, value } in batch.state {
            match value {
                Some(value) => self
                    .transaction
                    .prepare_cached("INSERT OR REPLACE INTO state VALUES (?1, ?2, ?3)")?
                    .execute(params![space, key, value])?,
                None => self
                    .transaction
                    .prepare_cached("DELETE FROM state WHERE space = ?1 AND key = ?2")?
                    .execute(params![space, key])?,
            };
        }
        audit.extend(batch.audit);
        Ok(Ok(Committed { seqs, at_us: self.at_us }))
    }

    fn current(&self, write: &PreparedWrite) -> Result<(u64, u64), StoreError> {
        let mut statement = self.transaction.prepare_cached("SELECT seq, ver FROM res WHERE ty = ?1 AND id = ?2")?;
        let row = statement.query_row(params![write.ty_disk, write.id], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(row.optional()?.unwrap_or((0, 0)))
    }

    fn write(&mut self, write: PreparedWrite, prev: u64, applied: &mut Vec<Applied>) -> Result<u64, StoreError> {
        self.seq += 1;
        let version = write.expected + 1;
        self.transaction.prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?.execute(
            params![
                self.seq,
                write.ty_disk,
                write.id,
                version,
                codec::op_to_disk(write.op),
                self.at_us,
                prev,
                write.splice,
                write.dict,
                write.body
            ],
        )?;
        self.transaction
            .prepare_cached(
                "INSERT INTO res VALUES (?1, ?2, ?3, ?4) ON CONFLICT (ty, id) DO UPDATE SET seq = excluded.seq, ver = excluded.ver",
            )?
            .execute(params![write.ty_disk, write.id, self.seq, version])?;
        applied.push(Applied {
            seq: self.seq,
            ty: write.ty,
            id: write.id_text,
            op: write.op,
            prev,
            at_us: self.at_us,
            entries: write.entries,
        });
        Ok(self.seq)
    }

    /// The first key that somebody else holds when it is this batch's turn to take it. Changes count in their order: a
    /// release frees its key for a later take of the same batch, and of two takers in one batch the second is refused.
    fn taken(&self, claims: &[PreparedClaim]) -> Result<Option<String>, StoreError> {
        let mut holders: HashMap<&[u8], Option<Vec<u8>>> = HashMap::new();
        for claim in claims {
            let (PreparedClaim::Take { key, owner, .. } | PreparedClaim::Release { key, owner }) = claim;
            let holder = match holders.entry(key) {
                MapEntry::Occupied(entry) => entry.into_mut(),
                MapEntry::Vacant(entry) => entry.insert(self.holder(key)?),
            };
            match claim {
                PreparedClaim::Take { name, .. } if holder.as_ref().is_some_and(|holder| holder != owner) => {
                    return Ok(Some(name.clone()));
                }
                PreparedClaim::Take { .. } => *holder = Some(owner.clone()),
                PreparedClaim::Release { .. } if holder.as_ref() == Some(owner) => *holder = None,
                PreparedClaim::Release { .. } => {}
            }
        }
        Ok(None)
    }

    /// Who holds a claim that has not expired.
    fn holder(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT substr(owner, 1, 16) FROM claims WHERE key = ?1 AND (expires_us IS NULL OR expires_us > ?2)";
        let mut statement = self.transaction.prepare_cached(sql)?;
        Ok(statement.query_row(params![key, self.at_us], |row| row.get(0)).optional()?)
    }

    fn claim(&self, claim: PreparedClaim) -> Result<(), StoreError> {
        match claim {
            PreparedClaim::Take { key, owner, sealed_owner, expires_us, .. } => {
                let owner = [owner, sealed_owner].concat();
                self.transaction
                    .prepare_cached("INSERT OR REPLACE INTO claims VALUES (?1, ?2, ?3)")?
                    .execute(params![key, owner, expires_us])?;
            }
            PreparedClaim::Release { key, owner } => {
                self.transaction
                    .prepare_cached("DELETE FROM claims WHERE key = ?1 AND substr(owner, 1, 16) = ?2")?
                    .execute(params![key, owner])?;
            }
        }
        Ok(())
    }

    fn audit(&self, records: &[AuditRecord]) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        super::audit::append(&self.shared.codec, self.transaction, records)
    }
}
