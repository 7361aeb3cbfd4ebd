//! Searches through a whole store: real definitions, extraction, SQLite and cryptography.

use super::Resources;
use crate::{Batch, ManualClock, Op, Options, SearchPage, SearchRequest, Splice, Store, Tenant, TenantId, Write};
use fhir::defs::{ParamId, TypeId, r4};
use fhir::index::{Value, extract};
use fhir::json::{Document, Limits};
use fhir::query::{Comparator, DateTest, Filter, Sort, SortBy, SystemTest, Test};
use std::sync::Arc;
use tempfile::TempDir;

const START_US: i64 = 1_790_000_000_000_000;

fn ty(name: &str) -> TypeId {
    r4().resource_by_name(name).unwrap()
}

fn param(of: &str, code: &str) -> ParamId {
    r4().param_by_code(ty(of), code).unwrap()
}

fn open(dir: &TempDir, clock: &Arc<ManualClock>) -> (Store, Tenant) {
    let options = Options {
        dir: dir.path().to_owned(),
        master_key: seal::MasterKey::parse(&[7; 32]).unwrap(),
        clock: clock.clone(),
        cache_bytes_max: 1 << 20,
        queue_max: 64,
    };
    let store = Store::open(options).unwrap();
    let tenant = store.tenant(&TenantId("default".into())).unwrap();
    (store, tenant)
}

fn write(of: &str, id: &str, expected: u64, rest: &str) -> Write {
    let body = format!(r#"{{"resourceType":"{of}","id":"{id}",{rest}}}"#);
    let document = Document::parse(body.as_bytes(), &Limits::default()).unwrap();
    let entries = extract(r4(), ty(of), document.root());
    let splice = Splice::find(document.root());
    let op = if expected == 0 { Op::Create } else { Op::Update };
    Write { ty: ty(of), id: id.into(), op, expected, splice, body: body.into_bytes(), entries }
}

/// 60 patients with five observations each, in transactions of six; then ten patients move to another city.
async fn fill(tenant: &Tenant, clock: &ManualClock) {
    for n in 0..60 {
        let patient = format!(
            r#""name":[{{"family":"Zymurgy{}","given":["Quentin"]}}],"birthDate":"19{:02}-03-04","gender":"{}",
            "identifier":[{{"system":"http://mrn","value":"SECRET-{n}"}}],"address":[{{"city":"Oldtown"}}]"#,
            n % 7,
            10 + n,
            if n % 2 == 0 { "female" } else { "male" }
        );
        let mut writes = vec![write("Patient", &format!("p{n}"), 0, &patient)];
        for k in 0..5 {
            let observation = format!(
                r#""status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{}-4"}}]}},
                "subject":{{"reference":"Patient/p{n}"}},"effectiveDateTime":"2024-0{}-01T10:00:00Z""#,
                8000 + k,
                1 + k
            );
            writes.push(write("Observation", &format!("o{n}-{k}"), 0, &observation));
        }
        clock.advance_us(1_000_000);
        tenant.commit(Batch { writes, ..Batch::default() }).await.unwrap();
    }
    for n in 0..10 {
        let moved = format!(r#""birthDate":"19{:02}-03-04","address":[{{"city":"Newtown"}}]"#, 10 + n);
        let writes = vec![write("Patient", &format!("p{n}"), 1, &moved)];
        tenant.commit(Batch { writes, ..Batch::default() }).await.unwrap();
    }
}

async fn page(tenant: &Tenant, of: &str, filter: &Filter, sort: &[Sort], cursor: Option<&str>) -> SearchPage {
    let request = SearchRequest { types: &[ty(of)], filter, sort, cursor, limit: 20, total: true };
    tenant.search(&request).await.unwrap()
}

fn ids(page: &SearchPage) -> Vec<&str> {
    page.hits.iter().map(|hit| hit.id.as_str()).collect()
}

fn city(name: &str) -> Filter {
    Filter::Match { param: param("Patient", "address-city"), test: Test::StringStarts(name.into()) }
}

async fn check(tenant: &Tenant) {
    let moved = page(tenant, "Patient", &city("newtown"), &[], None).await;
    assert_eq!(ids(&moved), ["p9", "p8", "p7", "p6", "p5", "p4", "p3", "p2", "p1", "p0"]);
    assert!(moved.hits.iter().all(|hit| hit.version == 2));
    let chain = Filter::Chain {
        param: param("Observation", "subject"),
        target: ty("Patient"),
        filter: Box::new(Filter::And(vec![city("new"), Filter::Ids(vec!["p3".into(), "p44".into()])])),
    };
    let by_date = [Sort { by: SortBy::Param(param("Observation", "date")), descending: true }];
    assert_eq!(
        ids(&page(tenant, "Observation", &chain, &by_date, None).await),
        ["o3-4", "o3-3", "o3-2", "o3-1", "o3-0"]
    );
    let code = Test::Token { system: SystemTest::Is("http://loinc.org".into()), code: Some("8002-4".into()) };
    let has = Filter::Has {
        source: ty("Observation"),
        param: param("Observation", "subject"),
        filter: Box::new(Filter::Match { param: param("Observation", "code"), test: code }),
    };
    let by_id = [Sort { by: SortBy::Id, descending: false }];
    let first = page(tenant, "Patient", &has, &by_id, None).await;
    assert_eq!((first.total, ids(&first)[..3].to_vec()), (Some(60), vec!["p0", "p1", "p10"]));
    let second = page(tenant, "Patient", &has, &by_id, first.next.as_deref()).await;
    let third = page(tenant, "Patient", &has, &by_id, second.next.as_deref()).await;
    assert_eq!((third.hits.len(), ids(&third)[19], third.next.is_none()), (20, "p9", true));
    let by_body = tenant.embedded.shared.values(first.hits[2].seq, param("Patient", "_id")).unwrap();
    assert_eq!(by_body, [Value::Token { system: None, code: "p10".into() }]);
    let since = DateTest { comparator: Comparator::Ge, start: START_US + 60_000_000, end: START_US + 60_000_000 };
    let late = page(tenant, "Patient", &Filter::LastUpdated(since), &[], None).await;
    assert_eq!((late.total, late.hits[10].id.as_str()), (Some(11), "p59"));
    let male = Test::Token { system: SystemTest::Any, code: Some("male".into()) };
    let male = Filter::Match { param: param("Patient", "gender"), test: male };
    assert_eq!(tenant.count(&[ty("Patient")], &male).await.unwrap(), 25);
    assert!(tenant.explain(&[ty("Patient")], &has).await.unwrap().contains("found: 60"));
}

/// Each extracted value finds its own resource.
async fn check_own_values(tenant: &Tenant) {
    for (of, id) in [("Patient", "p5"), ("Patient", "p33"), ("Observation", "o20-2")] {
        let stored = tenant.read(ty(of), id).await.unwrap().unwrap();
        let document = Document::parse(&stored.body, &Limits::default()).unwrap();
        let entries = extract(r4(), ty(of), document.root());
        assert!(entries.len() >= 3);
        for entry in entries {
            let test = match &entry.value {
                Value::Token { system, code } => {
                    let system = system.clone().map_or(SystemTest::Absent, SystemTest::Is);
                    Test::Token { system, code: Some(code.clone()) }
                }
                Value::Reference { ty, id } => Test::Reference { ty: Some(*ty), id: id.clone() },
                Value::String { exact, .. } => Test::StringExact(exact.clone()),
                Value::Date { start, end } => {
                    Test::Date(DateTest { comparator: Comparator::Eq, start: *start, end: *end })
                }
                _ => continue,
            };
            let own = Filter::And(vec![Filter::Ids(vec![id.into()]), Filter::Match { param: entry.param, test }]);
            let name = r4().param(entry.param).code;
            assert_eq!(ids(&page(tenant, of, &own, &[], None).await), [id], "{of} {id} by {name}");
        }
    }
}

#[tokio::test]
async fn a_store_finds_what_it_holds_also_after_it_was_closed() {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::new(START_US));
    let (store, tenant) = open(&dir, &clock);
    fill(&tenant, &clock).await;
    check(&tenant).await;
    check_own_values(&tenant).await;
    store.close();
    drop((store, tenant));
    let (store, tenant) = open(&dir, &clock);
    assert_eq!(tenant.stats().await.unwrap().pending, 0);
    check(&tenant).await;
    check_own_values(&tenant).await;
    tenant.doctor(true).unwrap();
    check(&tenant).await;
    store.close();
    for entry in std::fs::read_dir(dir.path().join("tenants/default")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for clear in ["Zymurgy", "zymurgy", "Quentin", "SECRET-3", "Oldtown", "newtown"] {
            let found = bytes.windows(clear.len()).any(|window| window == clear.as_bytes());
            assert!(!found, "{clear} is readable");
        }
    }
}
