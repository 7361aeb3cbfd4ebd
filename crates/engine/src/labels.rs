//! `$meta` of a type or of the whole system: the profiles, security labels and tags in use there.

use crate::audit::Access;
use crate::{Engine, Error, Session};
use fhir::defs::{self, TypeId};
use fhir::json;
use fhir::json::{Document, Limits, Value};
use fhir::query::Filter;
use std::collections::BTreeMap;
use store::{SearchRequest, Tenant};

/// Most resources that one answer reads: the index knows codes by their hash only.
const LABELLED_MAX: u64 = 100_000;
/// Resources read at a time.
const CHUNK: usize = 1_000;

/// Lists of a meta, the parameter that finds them, and the values found, by what makes two the same.
type Found = [(&'static str, &'static str, BTreeMap<(String, String), Value>); 3];

impl Engine {
    /// Answers Parameters with a meta that has each profile, security label and tag once. `ty` `None`: of all types.
    pub async fn labels(&self, session: &Session, ty: Option<TypeId>) -> Result<Vec<u8>, Error> {
        let entity = ty.map_or("", |ty| defs::r4().ty(ty).name);
        let access = Access::new(session, "$meta", entity.to_owned());
        let tenant = self.admit(&access, ty).await?;
        let result = labels_in(&tenant, ty).await;
        self.note_result(&tenant, &access, &result).await;
        result
    }
}

async fn labels_in(tenant: &Tenant, ty: Option<TypeId>) -> Result<Vec<u8>, Error> {
    let types: Vec<TypeId> = ty.map_or_else(|| defs::r4().resources().collect(), |ty| vec![ty]);
    let mut found: Found = [("profile", "_profile"), ("security", "_security"), ("tag", "_tag")]
        .map(|(list, code)| (list, code, BTreeMap::new()));
    let filter = labelled(&types, &found);
    if tenant.count(&types, &filter).await? > LABELLED_MAX {
        let text = format!("more than {LABELLED_MAX} resources have labels: ask for one type, or search by _tag");
        return Err(Error::new(400, "too-costly", text));
    }
    let mut cursor = None;
    loop {
        let cursor_now = cursor.as_deref();
        let request =
            SearchRequest { types: &types, filter: &filter, sort: &[], cursor: cursor_now, limit: CHUNK, total: false };
        let page = tenant.search(&request).await?;
        for stored in &page.hits {
            collect(&stored.body, &mut found)?;
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let mut meta = json!({});
    for (list, _, values) in found.into_iter().filter(|(_, _, values)| !values.is_empty()) {
        meta.set(list, Value::Array(values.into_values().collect()));
    }
    Ok(crate::meta::answer(meta))
}

/// Resources with a profile, a security label or a tag.
fn labelled(types: &[TypeId], found: &Found) -> Filter {
    let params = types.iter().flat_map(|ty| found.iter().map(|(_, code, _)| defs::r4().param_by_code(*ty, code)));
    Filter::Or(params.flatten().map(|param| Filter::Not(Box::new(Filter::Missing(param)))).collect())
}

fn collect(body: &[u8], found: &mut Found) -> Result<(), Error> {
    let document = Document::parse(body, &Limits::default())?;
    let Some(meta) = document.root().get("meta") else { return Ok(()) };
    for (list, _, values) in found {
        for item in meta.get(list).into_iter().flat_map(|list| list.items()) {
            let member = |name| item.str(name).unwrap_or_default().into_owned();
            let key = match item.as_str() {
                Some(profile) => (profile.into_owned(), String::new()),
                None => (member("system"), member("code")),
            };
            values.entry(key).or_insert_with(|| Value::from(item));
        }
    }
    Ok(())
}
