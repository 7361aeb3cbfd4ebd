//! `$everything` of a Patient or an Encounter.

use crate::audit::{self, Access};
use crate::search::compartment;
use crate::{Engine, Error, Page, Resource, Session};
use fhir::defs::{self, ParamType, TypeId};
use fhir::outcome::Issue;
use fhir::query::{Comparator, DateTest, Filter, Test};
use fhir::temporal::PartialDateTime;
use std::collections::HashSet;
use store::{SearchRequest, Stored, Tenant};

/// Parameters that say when care happened, the first that a type has counts.
const CARE_DATES: [&str; 8] =
    ["date", "period", "authored", "authoredon", "effective-time", "recorded-date", "onset-date", "created"];

#[derive(Debug, Default)]
struct Wanted {
    since: Option<DateTest>,
    start: Option<DateTest>,
    end: Option<DateTest>,
    types: Option<Vec<TypeId>>,
    count: Option<u32>,
    /// Of all records of the person.
    mdm: bool,
}

impl Engine {
    /// `_since`, `_type`, `_count`, `start`, `end` in `pairs`, and `_mdm=true` for all records of the person, each with what is
    /// about it. The first page begins with the patient or encounter itself, unless
    /// `_type` or `_since` leave it out; then follows its compartment, newest first. `includes` has what the resources of the page
    /// refer to outside the compartment, so that the same Practitioner may come again with a later page. Without `id`: all patients
    /// or encounters with their compartments.
    pub async fn everything(
        &self,
        session: &Session,
        ty: TypeId,
        id: Option<&str>,
        pairs: &[(String, String)],
        cursor: Option<&str>,
    ) -> Result<Page, Error> {
        let name = defs::r4().ty(ty).name;
        let entity = id.map_or_else(|| name.to_owned(), |id| audit::entity(ty, id));
        let mut access = Access::new(session, "$everything", entity).with_query(pairs);
        let tenant = self.admit(&access, Some(ty)).await?;
        let result = self.everything_in(&tenant, &mut access, ty, id, pairs, cursor).await;
        self.note_result(&tenant, &access, &result).await;
        result
    }

    async fn everything_in(
        &self,
        tenant: &Tenant,
        access: &mut Access<'_>,
        ty: TypeId,
        id: Option<&str>,
        pairs: &[(String, String)],
        cursor: Option<&str>,
    ) -> Result<Page, Error> {
        if !matches!(defs::r4().ty(ty).name, "Patient" | "Encounter") {
            return Err(Error::new(404, "not-supported", "$everything is there for Patient and Encounter"));
        }
        let wanted = Wanted::parse(pairs)?;
        if wanted.mdm && (id.is_none() || defs::r4().ty(ty).name != "Patient") {
            return Err(Error::invalid("_mdm goes with one Patient: /Patient/ID/$everything?_mdm=true"));
        }
        let (mut matches, mut ids, mut shown) = (Vec::new(), None, HashSet::new());
        if let Some(id) = id {
            let (all, focuses) = self.focuses(access.session, tenant, ty, id, &wanted).await?;
            access.patient = focuses.first().and_then(|focus| audit::patient_in(ty, id, &focus.body));
            let is_wanted = |focus: &&Stored| wanted.has(ty) && wanted.is_recent(focus.at_us);
            shown.extend(focuses.iter().filter(is_wanted).map(|focus| focus.id.clone()));
            matches.extend(focuses.into_iter().filter(|_| cursor.is_none()));
            ids = Some(all);
        }
        let ids = ids.as_deref();
        let (mut types, mut filter) = wanted.filter(ty, ids, true)?;
        let mut total = None;
        if wanted.reaches_outside(&types) {
            // What is outside is found through all that is inside, wanted or not.
            let (narrow_types, narrow) = (types, filter);
            total = Some(if narrow_types.is_empty() { 0 } else { tenant.count(&narrow_types, &narrow).await? });
            (types, filter) = wanted.filter(ty, ids, false)?;
        }
        let limit = wanted.count.unwrap_or(self.options().page_max).clamp(1, self.options().page_max) as usize;
        let request =
            SearchRequest { types: &types, filter: &filter, sort: &[], cursor, limit, total: total.is_none() };
        let found = tenant.search(&request).await?;
        let is_focus = |hit: &Stored| hit.ty == ty && ids.is_some_and(|ids| ids.contains(&hit.id));
        matches.extend(found.hits.into_iter().filter(|hit| !is_focus(hit)));
        let skip: HashSet<_> = ids.unwrap_or_default().iter().map(|id| (ty, id.clone())).collect();
        let (mut includes, cut) = self.referred(access.session, tenant, &matches, skip).await?;
        includes.retain(|resource| {
            !types.contains(&resource.ty) && wanted.has(resource.ty) && wanted.is_recent(resource.last_updated_us)
        });
        // Left out only here: what they refer to may be wanted.
        matches.retain(|hit| if is_focus(hit) { shown.contains(&hit.id) } else { wanted.has(hit.ty) });
        let mut page = Page {
            matches: matches.into_iter().map(Resource::from).collect(),
            includes,
            total: total.or(found.total).map(|total| total + shown.len() as u64),
            next: found.next,
            previous: found.previous,
            ..Page::default()
        };
        if cut {
            page.warnings
                .push(Issue::warning("incomplete", "some referenced resources were left out: use a smaller _count"));
        }
        Ok(page)
    }

    /// The resource whose everything is asked for, with `_mdm` all records of the person; and their ids.
    async fn focuses(
        &self,
        session: &Session,
        tenant: &Tenant,
        ty: TypeId,
        id: &str,
        wanted: &Wanted,
    ) -> Result<(Vec<String>, Vec<Stored>), Error> {
        let mut focuses = vec![self.read_live(tenant, ty, id).await?];
        let mut ids = vec![id.to_owned()];
        if wanted.mdm {
            for other in self.same_person(session, id).into_iter().filter(|other| other != id) {
                // One that was deleted just now leaves the person.
                if let Ok(focus) = self.read_live(tenant, ty, &other).await {
                    focuses.push(focus);
                    ids.push(other);
                }
            }
        }
        Ok((ids, focuses))
    }
}

impl Wanted {
    fn parse(pairs: &[(String, String)]) -> Result<Wanted, Error> {
        let mut wanted = Wanted::default();
        for (name, value) in pairs {
            match name.as_str() {
                "_since" => wanted.since = Some(date(name, value, Comparator::Ge)?),
                "start" => wanted.start = Some(date(name, value, Comparator::Ge)?),
                "end" => wanted.end = Some(date(name, value, Comparator::Le)?),
                "_count" => {
                    let count = value.parse();
                    wanted.count = Some(count.map_err(|_| Error::invalid("_count must be a whole number"))?);
                }
                "_type" => {
                    let types = value.split(',').map(|name| {
                        defs::r4()
                            .resource_by_name(name)
                            .ok_or_else(|| Error::invalid("_type names no R4 resource type: check the spelling"))
                    });
                    wanted.types.get_or_insert_default().extend(types.collect::<Result<Vec<_>, _>>()?);
                }
                "_mdm" => {
                    wanted.mdm = match value.as_str() {
                        "true" => true,
                        "false" => false,
                        _ => return Err(Error::invalid("_mdm must be true or false")),
                    }
                }
                "_format" | "_pretty" => {}
                _ => {
                    return Err(Error::invalid(
                        "unknown parameter: $everything takes _since, _type, _count, start, end and _mdm",
                    ));
                }
            }
        }
        Ok(wanted)
    }

    fn has(&self, ty: TypeId) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(&ty))
    }

    fn is_recent(&self, at_us: i64) -> bool {
        self.since.as_ref().is_none_or(|since| at_us >= since.start)
    }

    /// Whether a wanted type is none of `types`, those of the compartment.
    fn reaches_outside(&self, types: &[TypeId]) -> bool {
        self.types.as_ref().is_some_and(|wanted| wanted.iter().any(|ty| !types.contains(ty)))
    }

    /// Types and filter of the compartment, or with `only_wanted` of its wanted part.
    fn filter(&self, owner: TypeId, ids: Option<&[String]>, only_wanted: bool) -> Result<(Vec<TypeId>, Filter), Error> {
        let defs = defs::r4();
        let Some(definition) = defs.compartment(owner) else {
            return Err(Error::new(404, "not-supported", "this type has no compartment"));
        };
        let members = definition.members.iter().filter(|(_, params)| !params.is_empty());
        let mut types: Vec<TypeId> = members.map(|(ty, _)| *ty).filter(|ty| !only_wanted || self.has(*ty)).collect();
        let mut parts = Vec::new();
        for ty in &types {
            let inside = match ids {
                None => compartment(owner, None, &mut vec![*ty])?,
                Some(ids) => {
                    let of_one = |id: &String| compartment(owner, Some(id), &mut vec![*ty]);
                    Filter::Or(ids.iter().map(of_one).collect::<Result<_, _>>()?)
                }
            };
            parts.push(Filter::And(std::iter::once(inside).chain(self.care_dates(*ty)).collect()));
        }
        if ids.is_none() && (!only_wanted || self.has(owner)) {
            if !types.contains(&owner) {
                types.push(owner);
            }
            // Every resource of the owner's type: whether it has an identifier or not.
            let any = defs.param_by_code(owner, "identifier").map(|param| {
                let missing = Filter::Missing(param);
                Filter::Or(vec![Filter::Not(Box::new(missing.clone())), missing])
            });
            parts.extend(any);
        }
        let mut filter = Filter::Or(parts);
        if let Some(since) = &self.since {
            filter = Filter::And(vec![filter, Filter::LastUpdated(since.clone())]);
        }
        Ok((types, filter))
    }

    /// A resource without a care date belongs to every period.
    fn care_dates(&self, ty: TypeId) -> Vec<Filter> {
        let defs = defs::r4();
        let dates = CARE_DATES.iter().filter_map(|code| defs.param_by_code(ty, code));
        let Some(param) = dates.into_iter().find(|param| defs.param(*param).ty == ParamType::Date) else {
            return Vec::new();
        };
        let tests = [&self.start, &self.end].into_iter().flatten();
        tests
            .map(|test| {
                let test = Filter::Match { param, test: Test::Date(test.clone()) };
                Filter::Or(vec![test, Filter::Missing(param)])
            })
            .collect()
    }
}

fn date(name: &str, value: &str, comparator: Comparator) -> Result<DateTest, Error> {
    let (start, end) = PartialDateTime::parse(value)
        .ok_or_else(|| Error::invalid(format!("{name} must be a date such as 2026-11-24")))?
        .range_us();
    Ok(DateTest { comparator, start, end })
}
