//! What makes a registry where there was none: from the change log, for a store that is older than its registry.

use crate::tenancy::Tenancy;
use crate::{Definitions, Registry, day};
use engine::{Deriver, Engine, Error, Feed, Keep, Session};
use fhir::index::is_golden_body;
use std::sync::Arc;
use store::{Op, Splice, StateChange, Write};

/// Changes read at a time; what they mean is one commit.
const STEP: usize = 256;
const SPACE: &str = "registry";
/// The last change that is built in, or [`DONE`]; and the fingerprint of the definitions it is built for.
const BUILT: &str = "built";
const DONE: &str = "done";

impl Registry {
    /// Reads what the session's tenant keeps, and builds what it lacks. Until then its Patients and Immunizations cannot be
    /// written. [`Registry::settle`] must follow: it does what takes long and lets others read meanwhile.
    pub async fn open(&self, engine: &Engine, session: &Session) -> Result<(), Error> {
        let feed = engine.feed(session).await?;
        let tenancy = Tenancy::load(self, &feed).await?;
        let is_comparable = tenancy.live.read().comparable().is_ok();
        self.inner.tenancies.write().insert(session.tenant.clone(), Arc::new(tenancy));
        if is_comparable { self.build(engine, session).await } else { Ok(()) }
    }

    /// Builds what is lacking. Other definitions may know findings that were passed by before: then everything is read again.
    /// Nothing to do when the last one was finished for the definitions in force.
    pub async fn build(&self, engine: &Engine, session: &Session) -> Result<(), Error> {
        let feed = engine.feed(session).await?;
        let definitions = self.definitions();
        let built = feed.state(SPACE, BUILT).await?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let after = match built.as_deref().and_then(|built| built.split_once(' ')) {
            Some((DONE, fingerprint)) if fingerprint == definitions.fingerprint() => return Ok(()),
            Some((at, fingerprint)) if fingerprint == definitions.fingerprint() => at.parse().unwrap_or(0),
            _ => 0,
        };
        self.build_after(engine, session, &feed, after, definitions.fingerprint()).await
    }

    /// Goes through the log. What is built twice is the same.
    async fn build_after(
        &self,
        engine: &Engine,
        session: &Session,
        feed: &Feed,
        mut after: u64,
        fingerprint: &str,
    ) -> Result<(), Error> {
        loop {
            let changes = feed.changes(after, STEP).await?;
            let Some(last) = changes.last() else { break };
            after = last.seq;
            let mut writes = Vec::new();
            for change in changes.into_iter().filter(|change| self.follows(change.resource.ty)) {
                let resource = change.resource;
                let current = feed.current(resource.ty, &resource.id).await?;
                if resource.op != Op::Delete && current.is_some_and(|current| current.seq == change.seq) {
                    writes.extend(as_write(resource.ty, resource.id, resource.json));
                }
            }
            let mut derived = self.derive(session, feed, &writes).await?;
            derived.state.push(built(&after.to_string(), fingerprint));
            engine.commit_derived(session, derived).await?;
        }
        feed.keep(Keep { state: vec![built(DONE, fingerprint)], ..Keep::default() }).await
    }

    /// Measures everybody by other definitions from now on. Until [`Registry::build`] and [`Registry::turn`] have been
    /// everywhere, whom nobody has written stands as before.
    pub fn redefine(&self, definitions: Definitions) {
        let definitions = Arc::new(definitions);
        let fingerprint = definitions.fingerprint().to_owned();
        let old = std::mem::replace(&mut *self.inner.definitions.write(), definitions);
        if old.fingerprint() == fingerprint {
            return;
        }
        for tenancy in self.inner.tenancies.read().values() {
            let live = &mut *tenancy.live.write();
            live.due_all(day::epoch());
        }
    }
}

fn built(at: &str, fingerprint: &str) -> StateChange {
    StateChange { space: SPACE.into(), key: BUILT.into(), value: Some(format!("{at} {fingerprint}").into_bytes()) }
}

/// A resource as the commit had it that wrote it; golden records are not written by anybody.
fn as_write(ty: fhir::defs::TypeId, id: String, body: Vec<u8>) -> Option<Write> {
    (!is_golden_body(&body)).then(|| Write {
        ty,
        id,
        op: Op::Create,
        expected: 0,
        body,
        splice: Splice::None,
        entries: Vec::new(),
    })
}
