//! A store on a temporary directory with a clock that stands still.

use fhir::defs::{TypeId, r4};
use std::sync::Arc;
use store::{
    Batch, CommitError, Committed, ManualClock, Op, Options, Splice, Store, StoreError, Tenant, TenantId, Write,
};
use tempfile::TempDir;

pub const START_US: i64 = 1_790_000_000_000_000;

pub struct Fixture {
    pub dir: TempDir,
    pub clock: Arc<ManualClock>,
    pub store: Store,
    pub tenant: Tenant,
}

pub fn options(dir: &TempDir, clock: &Arc<ManualClock>, key: u8) -> Options {
    Options {
        dir: dir.path().join("data"),
        master_key: seal::MasterKey::parse(&[key; 32]).unwrap(),
        clock: clock.clone(),
        cache_bytes_max: 1 << 20,
        queue_max: 1024,
    }
}

pub fn fixture() -> Fixture {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::new(START_US));
    open(dir, clock)
}

pub fn open(dir: TempDir, clock: Arc<ManualClock>) -> Fixture {
    let store = Store::open(options(&dir, &clock, 7)).unwrap();
    let tenant = store.tenant(&TenantId("default".into())).unwrap();
    Fixture { dir, clock, store, tenant }
}

impl Fixture {
    /// Closes the store and opens it again.
    pub fn reopen(self) -> Fixture {
        let Fixture { dir, clock, store, tenant } = self;
        store.close();
        drop((store, tenant));
        open(dir, clock)
    }

    pub async fn put(&self, id: &str, expected: u64, text: &str) -> Result<Committed, CommitError> {
        self.tenant.commit(Batch { writes: vec![write(id, expected, text)], ..Batch::default() }).await
    }

    pub async fn body(&self, id: &str) -> Option<String> {
        let stored = self.tenant.read(patient(), id).await.unwrap()?;
        (stored.op != Op::Delete).then(|| String::from_utf8(stored.body).unwrap())
    }
}

pub fn patient() -> TypeId {
    r4().resource_by_name("Patient").unwrap()
}

pub fn body(id: &str, text: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"{text}"}}]}}"#)
}

pub fn write(id: &str, expected: u64, text: &str) -> Write {
    let body = body(id, text);
    let document = fhir::json::Document::parse(body.as_bytes(), &fhir::json::Limits::default()).unwrap();
    Write {
        ty: patient(),
        id: id.into(),
        op: if expected == 0 { Op::Create } else { Op::Update },
        expected,
        splice: Splice::find(document.root()),
        body: body.into_bytes(),
        entries: Vec::new(),
    }
}

pub fn delete(id: &str, expected: u64) -> Write {
    Write {
        ty: patient(),
        id: id.into(),
        op: Op::Delete,
        expected,
        body: Vec::new(),
        splice: Splice::None,
        entries: Vec::new(),
    }
}

pub fn batch(writes: Vec<Write>) -> Batch {
    Batch { writes, ..Batch::default() }
}

pub fn is_conflict(result: &Result<Committed, CommitError>, index: usize, current: u64) -> bool {
    matches!(result, Err(CommitError::Conflict { index: i, current: c }) if (*i, *c) == (index, current))
}

pub fn is_unseal<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unseal(_)))
}
