//! `_include` and `_revinclude`, with `:iterate` and `*`.

use crate::prepare::localize;
use crate::{Engine, Error, Resource, Session};
use fhir::defs::{self, ParamId, ParamType, TypeId};
use fhir::index::{Value, extract_param};
use fhir::json::{Document, Limits};
use fhir::outcome::Issue;
use fhir::query::{Filter, Include, Test};
use std::collections::{BTreeSet, HashSet};
use store::{Op, SearchRequest, Stored, Tenant};

/// Rounds of `:iterate`.
const ROUNDS_MAX: usize = 16;

impl Engine {
    /// Resources that the includes add to `matches`, each once. Stops at [`crate::Options::includes_max`] with a warning.
    pub(crate) async fn includes(
        &self,
        session: &Session,
        tenant: &Tenant,
        includes: &[Include],
        matches: &[Stored],
        warnings: &mut Vec<Issue>,
    ) -> Result<Vec<Resource>, Error> {
        if includes.is_empty() || matches.is_empty() {
            return Ok(Vec::new());
        }
        let mut gathering = Gathering {
            base: &session.base,
            tenant,
            seen: matches.iter().map(|stored| (stored.ty, stored.id.clone())).collect(),
            found: Vec::new(),
            max: self.options().includes_max,
            cut: false,
        };
        gathering.round(includes.iter(), matches).await?;
        let mut from = 0;
        for _ in 1..ROUNDS_MAX {
            let frontier = gathering.found[from..].to_vec();
            from = gathering.found.len();
            if frontier.is_empty() {
                break;
            }
            gathering.round(includes.iter().filter(|include| include.iterate), &frontier).await?;
        }
        if gathering.cut {
            let text = format!(
                "more than {} resources to include: the rest was left out; ask for a smaller _count",
                gathering.max
            );
            warnings.push(Issue::warning("incomplete", text));
        }
        Ok(gathering.found.into_iter().map(Resource::from).collect())
    }

    /// Current resources that `from` refers to and that are not in `from`: for `$everything`.
    pub(crate) async fn referred(
        &self,
        session: &Session,
        tenant: &Tenant,
        from: &[Stored],
        skip: HashSet<(TypeId, String)>,
    ) -> Result<(Vec<Resource>, bool), Error> {
        let mut gathering = Gathering {
            base: &session.base,
            tenant,
            seen: skip,
            found: Vec::new(),
            max: self.options().includes_max,
            cut: false,
        };
        for stored in from {
            gathering.seen.insert((stored.ty, stored.id.clone()));
        }
        let any = |ty| Include { reverse: false, iterate: false, param: None, source: ty, target: None };
        let types: BTreeSet<TypeId> = from.iter().map(|stored| stored.ty).collect();
        let includes: Vec<Include> = types.into_iter().map(any).collect();
        gathering.round(includes.iter(), from).await?;
        Ok((gathering.found.into_iter().map(Resource::from).collect(), gathering.cut))
    }
}

struct Gathering<'a> {
    base: &'a str,
    tenant: &'a Tenant,
    seen: HashSet<(TypeId, String)>,
    found: Vec<Stored>,
    max: usize,
    cut: bool,
}

impl Gathering<'_> {
    async fn round(&mut self, includes: impl Iterator<Item = &Include>, frontier: &[Stored]) -> Result<(), Error> {
        for include in includes {
            let mut params = reference_params(include);
            if include.reverse {
                // `Source:*` has many that cannot point to what was found.
                let types: BTreeSet<TypeId> = frontier.iter().map(|stored| stored.ty).collect();
                params.retain(|param| {
                    let targets = &defs::r4().param(*param).targets;
                    targets.is_empty() || targets.iter().any(|target| types.contains(target))
                });
                self.referring(include, &params, frontier).await?;
            } else {
                self.referred(include, &params, frontier).await?;
            }
        }
        Ok(())
    }

    async fn referred(&mut self, include: &Include, params: &[ParamId], frontier: &[Stored]) -> Result<(), Error> {
        for stored in frontier.iter().filter(|stored| stored.ty == include.source) {
            for (ty, id) in targets(self.base, stored, params)? {
                if include.target.is_some_and(|target| target != ty) || self.seen.contains(&(ty, id.clone())) {
                    continue;
                }
                let current = self.tenant.read(ty, &id).await?;
                self.add(current.into_iter().filter(|stored| stored.op != Op::Delete));
            }
        }
        Ok(())
    }

    async fn referring(&mut self, include: &Include, params: &[ParamId], frontier: &[Stored]) -> Result<(), Error> {
        let wanted = frontier.iter().filter(|stored| include.target.is_none_or(|target| target == stored.ty));
        let tests: Vec<Filter> = wanted
            .flat_map(|stored| {
                params.iter().map(|param| Filter::Match {
                    param: *param,
                    test: Test::Reference { ty: Some(stored.ty), id: stored.id.clone() },
                })
            })
            .collect();
        if tests.is_empty() {
            return Ok(());
        }
        let types = [include.source];
        // Those that are seen already take places as well.
        let limit = self.max + self.seen.len() + 1;
        let filter = Filter::Or(tests);
        let request = SearchRequest { types: &types, filter: &filter, sort: &[], cursor: None, limit, total: false };
        let hits = self.tenant.search(&request).await?.hits;
        self.add(hits.into_iter());
        Ok(())
    }

    fn add(&mut self, stored: impl Iterator<Item = Stored>) {
        for stored in stored {
            if !self.seen.contains(&(stored.ty, stored.id.clone())) {
                if self.found.len() >= self.max {
                    self.cut = true;
                    return;
                }
                self.seen.insert((stored.ty, stored.id.clone()));
                self.found.push(stored);
            }
        }
    }
}

fn reference_params(include: &Include) -> Vec<ParamId> {
    let defs = defs::r4();
    match include.param {
        Some(param) => vec![param],
        None => {
            let all = defs.params_of(include.source);
            all.filter(|param| defs.param(*param).ty == ParamType::Reference).collect()
        }
    }
}

/// What `params` of the resource refer to, on this server.
fn targets(base: &str, stored: &Stored, params: &[ParamId]) -> Result<Vec<(TypeId, String)>, Error> {
    let document = Document::parse(&stored.body, &Limits::default())?;
    let mut targets = Vec::new();
    for param in params {
        for mut value in extract_param(defs::r4(), *param, document.root()) {
            localize(base, &mut value);
            if let Value::Reference { ty, id } = value {
                targets.push((ty, id));
            }
        }
    }
    Ok(targets)
}
