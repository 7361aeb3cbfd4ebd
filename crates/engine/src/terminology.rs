//! What the store cannot know: members of Lists, value sets and code hierarchies become plain tests.
//!
//! A value set is a stored ValueSet (its expansion, or its compose without filters other than `concept is-a`) or one behind a required
//! binding of R4. A hierarchy is a stored CodeSystem with nested concepts. Everything else is an error that says what to load.

use crate::search::coding;
use crate::{Engine, Error};
use fhir::defs::{self, ParamId, TypeId};
use fhir::json::{Document, Limits, Node};
use fhir::query::{Filter, TerminologyTest, Test};
use std::collections::BTreeSet;
use std::pin::Pin;
use store::{SearchRequest, Stored, Tenant};

/// Codes that one test may become.
const CODES_MAX: usize = 20_000;
/// Value sets that include value sets.
const DEPTH_MAX: usize = 8;

/// Members of a value set: single codes, and systems with all their codes.
#[derive(Debug, Default)]
struct Members {
    codes: BTreeSet<(String, String)>,
    systems: BTreeSet<String>,
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

impl Engine {
    /// Replaces `InList` and `Terminology` anywhere in the filter.
    pub(crate) fn resolve<'a>(&'a self, tenant: &'a Tenant, types: &'a [TypeId], filter: Filter) -> Boxed<'a, Filter> {
        Box::pin(async move {
            Ok(match filter {
                Filter::And(parts) => Filter::And(self.resolve_all(tenant, types, parts).await?),
                Filter::Or(parts) => Filter::Or(self.resolve_all(tenant, types, parts).await?),
                Filter::Not(inner) => Filter::Not(Box::new(self.resolve(tenant, types, *inner).await?)),
                Filter::Chain { param, target, filter } => {
                    let filter = Box::new(self.resolve(tenant, &[target], *filter).await?);
                    Filter::Chain { param, target, filter }
                }
                Filter::Has { source, param, filter } => {
                    let filter = Box::new(self.resolve(tenant, &[source], *filter).await?);
                    Filter::Has { source, param, filter }
                }
                Filter::InList(id) => self.list_members(tenant, types, &id).await?,
                Filter::Terminology { param, test } => self.codes(tenant, param, test).await?,
                plain => plain,
            })
        })
    }

    async fn resolve_all(&self, tenant: &Tenant, types: &[TypeId], parts: Vec<Filter>) -> Result<Vec<Filter>, Error> {
        let mut resolved = Vec::with_capacity(parts.len());
        for part in parts {
            resolved.push(self.resolve(tenant, types, part).await?);
        }
        Ok(resolved)
    }

    /// Ids of the List's items of these types; items marked deleted do not count.
    async fn list_members(&self, tenant: &Tenant, types: &[TypeId], id: &str) -> Result<Filter, Error> {
        let Some(list) = defs::r4().resource_by_name("List") else { return Ok(Filter::Nothing) };
        let stored = self
            .read_live(tenant, list, id)
            .await
            .map_err(|_| Error::invalid("_list names a List that is not here: check its id"))?;
        let document = Document::parse(&stored.body, &Limits::default())?;
        let entries = document.root().get("entry").into_iter().flat_map(|entries| entries.items());
        let items = entries.filter(|entry| entry.get("deleted").and_then(|deleted| deleted.as_bool()) != Some(true));
        let references = items.filter_map(|entry| entry.path(&["item", "reference"])?.as_str());
        let ids = references.filter_map(|reference| {
            let (ty, id) = crate::prepare::parse_local(&reference)?;
            types.contains(&ty).then_some(id)
        });
        Ok(Filter::Ids(ids.collect()))
    }

    async fn codes(&self, tenant: &Tenant, param: ParamId, test: TerminologyTest) -> Result<Filter, Error> {
        let members = match test {
            TerminologyTest::InValueSet(url) => self.value_set(tenant, url, 0).await?,
            TerminologyTest::Below { system, code } => self.hierarchy(tenant, &system, &code, Direction::Below).await?,
            TerminologyTest::Above { system, code } => self.hierarchy(tenant, &system, &code, Direction::Above).await?,
        };
        if members.codes.len() > CODES_MAX {
            return Err(Error::new(
                403,
                "too-costly",
                format!("more than {CODES_MAX} codes: use a smaller value set or a code further down"),
            ));
        }
        let codes = members.codes.iter().map(|(system, code)| coding(param, system, Some(code)));
        let systems = members.systems.iter().map(|system| coding(param, system, None));
        Ok(Filter::Or(codes.chain(systems).collect()))
    }

    fn value_set<'a>(&'a self, tenant: &'a Tenant, url: String, depth: usize) -> Boxed<'a, Members> {
        Box::pin(async move {
            if depth > DEPTH_MAX {
                return Err(unsupported("value sets include each other too deeply or in a circle"));
            }
            if let Some(stored) = self.by_url(tenant, "ValueSet", &url).await? {
                let document = Document::parse(&stored.body, &Limits::default())?;
                return self.value_set_members(tenant, document.root(), depth).await;
            }
            let plain = url.split('|').next().unwrap_or(&url);
            let Some(known) = defs::r4().value_sets.iter().find(|set| set.url == plain) else {
                return Err(unsupported(
                    "this value set is not known here: store it as a ValueSet with this url first",
                ));
            };
            let codes = known.codes.iter().map(|(system, code)| ((*system).to_owned(), (*code).to_owned()));
            Ok(Members { codes: codes.collect(), systems: BTreeSet::new() })
        })
    }

    async fn value_set_members(&self, tenant: &Tenant, set: Node<'_>, depth: usize) -> Result<Members, Error> {
        let mut members = Members::default();
        if let Some(contains) = set.path(&["expansion", "contains"]) {
            expansion(contains, &mut members);
            return Ok(members);
        }
        for include in set.path(&["compose", "include"]).into_iter().flat_map(|list| list.items()) {
            let part = self.component(tenant, include, depth).await?;
            members.codes.extend(part.codes);
            members.systems.extend(part.systems);
        }
        for exclude in set.path(&["compose", "exclude"]).into_iter().flat_map(|list| list.items()) {
            let part = self.component(tenant, exclude, depth).await?;
            members.systems.retain(|system| !part.systems.contains(system));
            if part.codes.iter().any(|(system, _)| members.systems.contains(system)) {
                return Err(unsupported("the value set takes single codes out of a whole system: store its expansion"));
            }
            members.codes.retain(|code| !part.codes.contains(code) && !part.systems.contains(&code.0));
        }
        Ok(members)
    }

    /// One include or exclude.
    async fn component(&self, tenant: &Tenant, component: Node<'_>, depth: usize) -> Result<Members, Error> {
        let mut members = Members::default();
        let system = component.str("system").map(|system| system.into_owned());
        let value_sets: Vec<String> = component
            .get("valueSet")
            .into_iter()
            .flat_map(|list| list.items())
            .filter_map(|url| Some(url.as_str()?.into_owned()))
            .collect();
        if !value_sets.is_empty() {
            if system.is_some() {
                return Err(unsupported("the value set narrows a system by value sets: store its expansion"));
            }
            for url in value_sets {
                let part = self.value_set(tenant, url, depth + 1).await?;
                members.codes.extend(part.codes);
                members.systems.extend(part.systems);
            }
            return Ok(members);
        }
        let Some(system) = system else { return Ok(members) };
        let mut filters = component.get("filter").into_iter().flat_map(|list| list.items());
        if let Some(filter) = filters.next() {
            let is_a =
                filter.str("property").as_deref() == Some("concept") && filter.str("op").as_deref() == Some("is-a");
            let code = filter.str("value").filter(|_| is_a && filters.next().is_none());
            let Some(code) = code else {
                return Err(unsupported(
                    "the value set has a filter that is not \"concept is-a\": store its expansion",
                ));
            };
            return self.hierarchy(tenant, &system, &code, Direction::Below).await;
        }
        match component.get("concept") {
            None => drop(members.systems.insert(system)),
            Some(concepts) => {
                let codes = concepts.items().filter_map(|concept| Some(concept.str("code")?.into_owned()));
                members.codes.extend(codes.map(|code| (system.clone(), code)));
            }
        }
        Ok(members)
    }

    async fn hierarchy(
        &self,
        tenant: &Tenant,
        system: &str,
        code: &str,
        direction: Direction,
    ) -> Result<Members, Error> {
        let Some(stored) = self.by_url(tenant, "CodeSystem", system).await? else {
            return Err(unsupported("the hierarchy of this system is not known here: store it as a CodeSystem first"));
        };
        let document = Document::parse(&stored.body, &Limits::default())?;
        let mut found = BTreeSet::new();
        if let Some(concepts) = document.root().get("concept") {
            walk(concepts, code, direction, &mut Vec::new(), &mut found);
        }
        Ok(Members {
            codes: found.into_iter().map(|code| (system.to_owned(), code)).collect(),
            systems: BTreeSet::new(),
        })
    }

    /// The newest resource with this canonical URL (`|version` is ignored), or with this relative reference.
    async fn by_url(&self, tenant: &Tenant, ty: &str, url: &str) -> Result<Option<Stored>, Error> {
        let defs = defs::r4();
        let Some(ty) = defs.resource_by_name(ty) else { return Ok(None) };
        if let Some((named, id)) = crate::prepare::parse_local(url) {
            return if named == ty { Ok(self.read_live(tenant, ty, &id).await.ok()) } else { Ok(None) };
        }
        let Some(param) = defs.param_by_code(ty, "url") else { return Ok(None) };
        let url = url.split('|').next().unwrap_or(url);
        let filter = Filter::Match { param, test: Test::Uri(url.to_owned()) };
        let types = [ty];
        let request = SearchRequest { types: &types, filter: &filter, sort: &[], cursor: None, limit: 1, total: false };
        Ok(tenant.search(&request).await?.hits.pop())
    }
}

fn unsupported(text: &str) -> Error {
    Error::new(400, "not-supported", text)
}

fn expansion(contains: Node<'_>, members: &mut Members) {
    for item in contains.items() {
        let selectable = item.get("abstract").and_then(|value| value.as_bool()) != Some(true);
        if let Some(code) = item.str("code").filter(|_| selectable) {
            let system = item.str("system").unwrap_or_default().into_owned();
            members.codes.insert((system, code.into_owned()));
        }
        if let Some(inner) = item.get("contains") {
            expansion(inner, members);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Above,
    Below,
}

/// `path` holds the codes above `concepts`. The code itself counts in both directions.
fn walk(concepts: Node<'_>, wanted: &str, direction: Direction, path: &mut Vec<String>, found: &mut BTreeSet<String>) {
    for concept in concepts.items() {
        let Some(code) = concept.str("code") else { continue };
        let hit = code == wanted;
        let inside = path.iter().any(|above| above == wanted);
        path.push(code.into_owned());
        match direction {
            Direction::Above if hit => found.extend(path.iter().cloned()),
            Direction::Below if hit || inside => found.extend(path.last().cloned()),
            _ => {}
        }
        if let Some(inner) = concept.get("concept") {
            walk(inner, wanted, direction, path, found);
        }
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hierarchy_is_walked_in_both_directions() {
        let text = br#"[{"code":"a","concept":[{"code":"b","concept":[{"code":"c"}]},{"code":"d"}]},{"code":"e"}]"#;
        let document = Document::parse(text, &Limits::default()).unwrap();
        let codes = |code: &str, direction| {
            let mut found = BTreeSet::new();
            walk(document.root(), code, direction, &mut Vec::new(), &mut found);
            found.into_iter().collect::<String>()
        };
        assert_eq!(codes("b", Direction::Below), "bc");
        assert_eq!(codes("a", Direction::Below), "abcd");
        assert_eq!(codes("c", Direction::Above), "abc");
        assert_eq!(codes("z", Direction::Below), "");
    }

    #[test]
    fn an_expansion_is_read_with_its_nested_codes() {
        let text =
            br#"[{"abstract":true,"system":"s","code":"x","contains":[{"system":"s","code":"y"}]},{"code":"z"}]"#;
        let document = Document::parse(text, &Limits::default()).unwrap();
        let mut members = Members::default();
        expansion(document.root(), &mut members);
        let expected = [("".to_owned(), "z".to_owned()), ("s".to_owned(), "y".to_owned())];
        assert_eq!(members.codes, BTreeSet::from(expected));
    }
}
