//! Batch and transaction.
//!
//! A transaction is planned (who is who), rewritten (references), prepared (validated, indexed) and committed in one store batch: all or
//! nothing. Its reads run after the commit. Every entry leaves one audit record, a transaction that fails leaves one for itself.

mod entry;
mod order;
mod parse;
mod plan;
mod resolve;
mod respond;

use crate::audit::Access;
use crate::{BundleResponse, Engine, Error, Session};
use fhir::json::{Document, Limits, Node};
use parse::Entry;
use respond::Answer;
use std::pin::Pin;
use std::task::Poll;

/// Batch entries that run at the same time, so that their writes share one sync to disk.
const BATCH_CONCURRENCY: usize = 32;

impl Engine {
    /// A Bundle of type `batch` or `transaction`.
    pub async fn bundle(&self, session: &Session, body: &[u8]) -> Result<BundleResponse, Error> {
        let parsed = Document::parse(body, &Limits::default()).map_err(Error::from);
        let kind = parsed.as_ref().ok().and_then(|document| document.root().str("type"));
        let is_batch = kind.as_deref() == Some("batch");
        let access = Access::new(session, if is_batch { "batch" } else { "transaction" }, String::new());
        let tenant = self.admit(&access, None).await?;
        let result = match &parsed {
            Err(_) => Err(()),
            Ok(document) => Ok(self.bundle_in(session, document.root(), is_batch).await),
        };
        let result = match (result, parsed) {
            (Ok(result), _) => result,
            (Err(()), Err(error)) => Err(error),
            (Err(()), Ok(_)) => Err(Error::invalid("the body is not a Bundle")),
        };
        if result.as_ref().map_or(true, |(_, entries)| *entries == 0) {
            self.note_result(&tenant, &access, &result).await;
        }
        result.map(|(response, _)| response)
    }

    /// The answer and the number of entries.
    async fn bundle_in(
        &self,
        session: &Session,
        root: Node<'_>,
        is_batch: bool,
    ) -> Result<(BundleResponse, usize), Error> {
        if root.str("resourceType").as_deref() != Some("Bundle") {
            return Err(Error::invalid("send a Bundle to this address").at("Bundle"));
        }
        if !is_batch && root.str("type").as_deref() != Some("transaction") {
            return Err(Error::invalid("Bundle.type must be batch or transaction").at("Bundle.type"));
        }
        let nodes: Vec<Node<'_>> = root.get("entry").into_iter().flat_map(|entries| entries.items()).collect();
        let max = self.options().transaction_entries_max;
        if nodes.len() > max {
            return Err(
                Error::new(413, "too-costly", format!("more than {max} entries: split the Bundle")).at("Bundle.entry")
            );
        }
        let (kind, answers) = if is_batch {
            ("batch-response", self.batch(session, &nodes).await)
        } else {
            let mut entries = Vec::with_capacity(nodes.len());
            for (index, node) in nodes.iter().enumerate() {
                entries.push(parse::entry(&session.base, index, *node).map_err(|error| in_entry(error, index))?);
            }
            ("transaction-response", self.transaction(session, &entries).await?)
        };
        Ok((respond::bundle(&self.new_id(), kind, &answers), nodes.len()))
    }

    async fn batch(&self, session: &Session, nodes: &[Node<'_>]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(nodes.len());
        for (chunk, nodes) in nodes.chunks(BATCH_CONCURRENCY).enumerate() {
            let first = chunk * BATCH_CONCURRENCY;
            let running = nodes.iter().enumerate().map(|(at, node)| self.batch_entry(session, first + at, *node));
            answers.extend(all(running).await);
        }
        answers
    }

    async fn batch_entry(&self, session: &Session, index: usize, node: Node<'_>) -> Answer {
        let result = match parse::entry(&session.base, index, node) {
            Ok(entry) => self.run(session, &entry).await,
            Err(error) => {
                // An entry that is no interaction has nothing else that could record it.
                let access = Access::new(session, "batch", String::new());
                if let Ok(tenant) = self.tenant(session) {
                    self.note(&tenant, &access, error.status).await;
                }
                Err(error)
            }
        };
        result.unwrap_or_else(|error| Answer::failed(&in_entry(error, index)))
    }

    async fn transaction(&self, session: &Session, entries: &[Entry<'_>]) -> Result<Vec<Answer>, Error> {
        let mut answers = self.transact(session, entries).await?;
        for entry in order::reads(entries) {
            let answer = self.run(session, entry).await;
            answers[entry.index] = answer.unwrap_or_else(|error| Answer::failed(&in_entry(error, entry.index)));
        }
        Ok(answers)
    }
}

/// Names the entry that an issue belongs to: `Bundle.entry[3].resource.name`.
fn in_entry(mut error: Error, index: usize) -> Error {
    let entry = format!("Bundle.entry[{index}]");
    for issue in &mut error.issues {
        let inner = issue.expression.take();
        issue.expression = Some(match inner.as_deref() {
            Some(place) if place.starts_with("Bundle.") => place.to_owned(),
            Some(place) => match place.split_once('.') {
                Some((_, rest)) => format!("{entry}.resource.{rest}"),
                None => format!("{entry}.resource"),
            },
            None => entry.clone(),
        });
    }
    error
}

/// Runs the futures together on this task; answers in their order.
async fn all<T>(futures: impl Iterator<Item = impl Future<Output = T> + Send>) -> Vec<T> {
    let mut running: Vec<(Pin<Box<_>>, Option<T>)> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for (future, answer) in running.iter_mut().filter(|(_, answer)| answer.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(value) => *answer = Some(value),
                Poll::Pending => waiting = true,
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, answer)| answer).collect()
}
