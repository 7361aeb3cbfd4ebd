//! A store on a temporary directory with a clock that stands still.

use fhir::defs::{TypeId, r4};
use std::sync::Arc;
use store::{
    Batch, CommitError, Committed, ManualClock, Op, Options, Splice, Store, StoreError, Tenant, TenantId, Write,
};
use tempfile::TempDir;

pub(crate) const START_US: i64 = 1_790_000_000_000_000;

pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Store,
    pub(crate) tenant: Tenant,
}

pub(crate) fn options(dir: &TempDir, clock: &Arc<ManualClock>, key: u8) -> Options {
    Options {
        dir: dir.path().join("data"),
        master_key: seal::MasterKey::parse(&[key; 32]).unwrap(),
        clock: clock.clone(),
        cache_bytes_max: 1 << 20,
        queue_max: 1024,
    }
}

pub(crate) fn fixture() -> Fixture {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::new(START_US));
    open(dir, clock)
}

pub(crate) fn open(dir: TempDir, clock: Arc<ManualClock>) -> Fixture {
    let store = Store::open(options(&dir, &clock, 7)).unwrap();
    let tenant = store.tenant(&TenantId("default".into())).unwrap();
    Fixture { dir, clock, store, tenant }
}

/// A store with a file that an older weir wrote, packed by zstd.
pub(crate) fn of_format(format: u32, file: &[u8]) -> Fixture {
    let Fixture { dir, clock, store, tenant } = fixture();
    store.close();
    drop((store, tenant));
    let data = dir.path().join("data");
    for entry in std::fs::read_dir(data.join("tenants/default")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    std::fs::write(data.join("tenants/default/weir.db"), zstd::decode_all(file).unwrap()).unwrap();
    std::fs::write(data.join("FORMAT"), format!("{format}\n")).unwrap();
    open(dir, clock)
}

impl Fixture {
    /// Closes the store and opens it again.
    pub(crate) fn reopen(self) -> Fixture {
        let Fixture { dir, clock, store, tenant } = self;
        store.close();
        drop((store, tenant));
        open(dir, clock)
    }

    pub(crate) async fn put(&self, id: &str, expected: u64, text: &str) -> Result<Committed, CommitError> {
        self.tenant.commit(Batch { writes: vec![write(id, expected, text)], ..Batch::default() }).await
    }

    pub(crate) async fn body(&self, id: &str) -> Option<String> {
        let stored = self.tenant.read(patient(), id).await.unwrap()?;
        (stored.op != Op::Delete).then(|| String::from_utf8(stored.body).unwrap())
    }
}

pub(crate) fn patient() -> TypeId {
    r4().resource_by_name("Patient").unwrap()
}

pub(crate) fn body(id: &str, text: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"{text}"}}]}}"#)
}

pub(crate) fn write(id: &str, expected: u64, text: &str) -> Write {
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

pub(crate) fn delete(id: &str, expected: u64) -> Write {
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

pub(crate) fn batch(writes: Vec<Write>) -> Batch {
    Batch { writes, ..Batch::default() }
}

pub(crate) fn is_conflict(result: &Result<Committed, CommitError>, index: usize, current: u64) -> bool {
    matches!(result, Err(CommitError::Conflict { index: i, current: c }) if (*i, *c) == (index, current))
}

pub(crate) fn is_unseal<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unseal(_)))
}
