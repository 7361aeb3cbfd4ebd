//! What a dispatcher reads and what it writes down: the change log and its own rows.

use engine::{Engine, Error, Feed, Followed, Keep, Precondition, Session};
use fhir::defs::{TypeId, r4};
use fhir::json::Value;

/// Durable state of one dispatcher. Implemented by the engine, and in memory by the simulation.
pub trait Book: Clone + Send + Sync + 'static {
    fn changes(&self, after: u64, limit: usize) -> impl Future<Output = Result<Vec<Followed>, Error>> + Send;
    /// Number of changes of `types` among the `span` changes after `after`, and the newest one that was looked at.
    fn count_changes(
        &self,
        after: u64,
        span: u64,
        types: &[TypeId],
    ) -> impl Future<Output = Result<(u64, u64), Error>> + Send;
    fn current(&self, ty: TypeId, id: &str) -> impl Future<Output = Result<Option<Followed>, Error>> + Send;
    fn state(&self, space: &str, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, Error>> + Send;
    fn states(
        &self,
        space: &str,
        after: &str,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(String, Vec<u8>)>, Error>> + Send;
    /// On disk when it answers, whole or not at all. 409 when the lease is somebody else's.
    fn keep(&self, keep: Keep) -> impl Future<Output = Result<(), Error>> + Send;
    /// Stores a Task for people, unless one with this identifier is there.
    fn report(&self, system: &str, value: &str, task: &Value) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The book of a tenant.
#[derive(Clone, Debug)]
pub struct EngineBook {
    engine: Engine,
    session: Session,
    feed: Feed,
}

impl EngineBook {
    pub async fn new(engine: Engine, session: Session) -> Result<EngineBook, Error> {
        let feed = engine.feed(&session).await?;
        Ok(EngineBook { engine, session, feed })
    }
}

impl Book for EngineBook {
    async fn changes(&self, after: u64, limit: usize) -> Result<Vec<Followed>, Error> {
        self.feed.changes(after, limit).await
    }

    async fn count_changes(&self, after: u64, span: u64, types: &[TypeId]) -> Result<(u64, u64), Error> {
        self.feed.count_changes(after, span, types).await
    }

    async fn current(&self, ty: TypeId, id: &str) -> Result<Option<Followed>, Error> {
        self.feed.current(ty, id).await
    }

    async fn state(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.feed.state(space, key).await
    }

    async fn states(&self, space: &str, after: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, Error> {
        self.feed.states(space, after, limit).await
    }

    async fn keep(&self, keep: Keep) -> Result<(), Error> {
        self.feed.keep(keep).await
    }

    async fn report(&self, system: &str, value: &str, task: &Value) -> Result<(), Error> {
        let ty =
            r4().resource_by_name("Task").ok_or_else(|| Error { status: 500, issues: Vec::new(), version: None })?;
        let criteria = Some(format!("identifier={system}|{value}"));
        let precondition = Precondition { criteria, ..Precondition::default() };
        self.engine.create(&self.session, ty, task.to_string().as_bytes(), &precondition).await?;
        Ok(())
    }
}
