//! Search: from decoded parameters to a page, with includes and subsets.

use crate::audit::Access;
use crate::{Engine, Error, Page, Resource, Search, Session, subset, trail};
use fhir::defs::{self, TypeId};
use fhir::index::GOLDEN;
use fhir::query::{self, Context, Filter, Handling, Query, Summary, SystemTest, Test, Total};
use store::{SearchRequest, Tenant};

/// A modifier of weir, as HAPI knows it: the reference or `_id` means all records of the same person.
const EVERY_RECORD: &str = ":mdm";

impl Engine {
    pub async fn search(&self, session: &Session, search: &Search<'_>) -> Result<Page, Error> {
        let access = search_access(session, search);
        let tenant = self.admit(&access, search.ty).await?;
        let result = self.search_in(session, &tenant, search).await;
        self.note_result(&tenant, &access, &result).await;
        result
    }

    async fn search_in(&self, session: &Session, tenant: &Tenant, search: &Search<'_>) -> Result<Page, Error> {
        let expanded = self.expanded(session, search.pairs);
        let search = &Search { pairs: expanded.as_deref().unwrap_or(search.pairs), ..search.clone() };
        let mut query = self.parse_query(session, search)?;
        self.hide_golden(session, search, &mut query)?;
        if let Some(trail) = trail::asked(search)? {
            return self.search_trail(session, tenant, search, query, &trail).await;
        }
        self.search_stored(session, tenant, search, query, search.cursor).await
    }

    /// Parameters with `:mdm` as parameters of all records of the person: `patient:mdm=Patient/1` becomes
    /// `patient=Patient/1,Patient/2`. `None` when there are none.
    fn expanded(&self, session: &Session, pairs: &[(String, String)]) -> Option<Vec<(String, String)>> {
        pairs.iter().any(|(name, _)| name.ends_with(EVERY_RECORD)).then(|| {
            let expand = |(name, value): &(String, String)| match name.strip_suffix(EVERY_RECORD) {
                None => (name.clone(), value.clone()),
                Some(name) => (name.to_owned(), self.every_record(session, value)),
            };
            pairs.iter().map(expand).collect()
        })
    }

    /// Golden records stand beside the records of a person: whoever lists or counts Patients means the records, unless the
    /// query asks for what only golden ones have.
    fn hide_golden(&self, session: &Session, search: &Search<'_>, query: &mut Query) -> Result<(), Error> {
        let is_patient = search.ty.is_some_and(|ty| defs::r4().ty(ty).name == "Patient");
        let asked = |name: &str| ["_id", "_tag", "link"].contains(&name.split(':').next().unwrap_or_default());
        if self.deriver.is_none() || !is_patient || search.pairs.iter().any(|(name, _)| asked(name)) {
            return Ok(());
        }
        let pairs = [("_tag:not".to_owned(), format!("{}|{}", GOLDEN.0, GOLDEN.1))];
        let others = self.parse_query(session, &Search { pairs: &pairs, compartment: None, ..search.clone() })?.filter;
        query.filter = match std::mem::replace(&mut query.filter, Filter::All) {
            Filter::All => others,
            filter => Filter::And(vec![filter, others]),
        };
        Ok(())
    }

    fn every_record(&self, session: &Session, value: &str) -> String {
        let of_one = |value: &str| {
            let (prefix, id) = value.rsplit_once('/').map_or(("", value), |(ty, id)| (&value[..=ty.len()], id));
            self.same_person(session, id).into_iter().map(|id| format!("{prefix}{id}")).collect::<Vec<_>>().join(",")
        };
        value.split(',').map(of_one).collect::<Vec<_>>().join(",")
    }

    fn parse_query(&self, session: &Session, search: &Search<'_>) -> Result<Query, Error> {
        let own_bases = [session.base.clone()];
        let context = Context {
            defs: defs::r4(),
            resource: search.ty,
            handling: if search.lenient { Handling::Lenient } else { Handling::Strict },
            now: self.now_us(),
            own_bases: &own_bases,
        };
        query::parse(context, search.pairs).map_err(|issues| Error::from_issues(400, issues))
    }

    pub(crate) fn page_size(&self, count: Option<u32>) -> usize {
        count.unwrap_or(self.options().page_default).min(self.options().page_max) as usize
    }

    /// The page of stored resources at `cursor`.
    pub(crate) async fn search_stored(
        &self,
        session: &Session,
        tenant: &Tenant,
        search: &Search<'_>,
        mut query: Query,
        cursor: Option<&str>,
    ) -> Result<Page, Error> {
        let mut types = query.types.clone();
        if types.is_empty() {
            types = search.ty.map_or_else(|| defs::r4().resources().collect(), |ty| vec![ty]);
        }
        let mut filter = self.resolve(tenant, &types, std::mem::replace(&mut query.filter, Filter::All)).await?;
        if let Some((owner, id)) = search.compartment {
            let inside = compartment(owner, Some(id), &mut types)?;
            filter = Filter::And(vec![inside, filter]);
        }
        let limit = self.page_size(query.count);
        if query.summary == Summary::Count || limit == 0 {
            let total = Some(tenant.count(&types, &filter).await?);
            return Ok(Page { total, warnings: query.warnings.clone(), query: Some(query), ..Page::default() });
        }
        let total = query.total != Total::None;
        let request = SearchRequest { types: &types, filter: &filter, sort: &query.sort, cursor, limit, total };
        let found = tenant.search(&request).await?;
        let mut page = Page {
            total: found.total,
            next: found.next,
            previous: found.previous,
            warnings: std::mem::take(&mut query.warnings),
            ..Page::default()
        };
        page.includes = self.includes(session, tenant, &query.includes, &found.hits, &mut page.warnings).await?;
        page.matches = found.hits.into_iter().map(Resource::from).collect();
        subset::apply(&query, &mut page)?;
        page.query = Some(query);
        Ok(page)
    }
}

fn search_access<'a>(session: &'a Session, search: &Search<'_>) -> Access<'a> {
    let name = search.ty.map_or("", |ty| defs::r4().ty(ty).name);
    let mut access = match search.compartment {
        Some((owner, id)) => {
            let owner = crate::audit::entity(owner, id);
            let entity = if name.is_empty() { owner.clone() } else { format!("{owner}/{name}") };
            let mut access = Access::new(session, "search-compartment", entity);
            access.patient = owner.starts_with("Patient/").then_some(owner);
            access
        }
        None if name.is_empty() => Access::new(session, "search-system", String::new()),
        None => Access::new(session, "search-type", name.to_owned()),
    };
    access = access.with_query(search.pairs);
    access
}

/// Members of the compartment of `owner` (of any owner when `id` is `None`); keeps those of `types` that have such members.
pub(crate) fn compartment(owner: TypeId, id: Option<&str>, types: &mut Vec<TypeId>) -> Result<Filter, Error> {
    let defs = defs::r4();
    let name = defs.ty(owner).name;
    let Some(definition) = defs.compartment(owner) else {
        let text = format!("{name} is no compartment: use Patient, Encounter, Practitioner, RelatedPerson or Device");
        return Err(Error::new(404, "not-supported", text));
    };
    let asked_one = types.len() == 1;
    types.retain(|ty| definition.members.iter().any(|(member, params)| member == ty && !params.is_empty()));
    if types.is_empty() && asked_one {
        return Err(Error::new(404, "not-supported", format!("this type has no place in the {name} compartment")));
    }
    let members = definition.members.iter().filter(|(member, _)| types.contains(member));
    let params = members.flat_map(|(_, params)| params.iter().copied());
    Ok(Filter::Or(
        params
            .map(|param| match id {
                Some(id) => Filter::Match { param, test: Test::Reference { ty: Some(owner), id: id.to_owned() } },
                None => Filter::Not(Box::new(Filter::Missing(param))),
            })
            .collect(),
    ))
}

/// A token test for one code of one system.
pub(crate) fn coding(param: fhir::defs::ParamId, system: &str, code: Option<&str>) -> Filter {
    let system = if system.is_empty() { SystemTest::Any } else { SystemTest::Is(system.to_owned()) };
    Filter::Match { param, test: Test::Token { system, code: code.map(str::to_owned) } }
}
