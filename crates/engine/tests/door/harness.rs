//! A temporary store, a clock that stands still and a seeded generator behind a real engine.

use crate::stand::stand;
use engine::{Engine, Error, Options, Page, Precondition, Principal, Resource, Role, Search, Session, Written};
use fhir::defs::{self, TypeId};
use std::sync::Arc;
use store::{ManualClock, Store, Tenant, TenantId};

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Store,
    pub(crate) session: Session,
    _dir: tempfile::TempDir,
}

pub(crate) fn ty(name: &str) -> TypeId {
    defs::r4().resource_by_name(name).unwrap()
}

pub(crate) fn session(tenant: &str) -> Session {
    Session {
        tenant: TenantId(tenant.into()),
        who: Principal { id: "admin".into(), role: Role::Admin },
        request_id: "r".into(),
        base: "http://host/fhir".into(),
    }
}

impl World {
    pub(crate) fn new() -> World {
        World::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> World {
        let (engine, store, clock, dir) = stand(options, 1_760_000_000_000_000);
        World { engine, clock, store, session: session("default"), _dir: dir }
    }

    pub(crate) fn tenant(&self) -> Tenant {
        self.store.tenant(&self.session.tenant).unwrap()
    }

    pub(crate) async fn create(&self, name: &str, body: &str) -> Resource {
        let written = self.engine.create(&self.session, ty(name), body.as_bytes(), &Precondition::default()).await;
        written.unwrap().resource.unwrap()
    }

    pub(crate) async fn put(&self, name: &str, id: &str, body: &str) -> Result<Written, Error> {
        self.engine.update(&self.session, ty(name), Some(id), body.as_bytes(), &Precondition::default()).await
    }

    pub(crate) async fn search(&self, name: &str, query: &str) -> Result<Page, Error> {
        let pairs = pairs(query);
        let search = Search { ty: Some(ty(name)), compartment: None, pairs: &pairs, lenient: false, cursor: None };
        self.engine.search(&self.session, &search).await
    }

    pub(crate) async fn ids(&self, name: &str, query: &str) -> Vec<String> {
        let page = self.search(name, query).await.unwrap();
        page.matches.into_iter().map(|resource| resource.id).collect()
    }

    pub(crate) async fn bundle(&self, body: &str) -> Result<fhir::json::Value, Error> {
        let answer = self.engine.bundle(&self.session, body.as_bytes()).await?;
        Ok(fhir::json::Value::parse(std::str::from_utf8(&answer.json).unwrap()).unwrap())
    }
}

pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts.filter_map(|part| part.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(crate) fn text(resource: &Resource) -> &str {
    std::str::from_utf8(&resource.json).unwrap()
}

pub(crate) fn criteria(criteria: &str) -> Precondition {
    Precondition { criteria: Some(criteria.into()), ..Precondition::default() }
}
