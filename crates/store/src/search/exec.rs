//! From a filter to the set of ordinals that pass it.

use super::Resources;
use super::leaf::Leaf;
use crate::StoreError;
use crate::index::key;
use crate::index::posting::Collected;
use crate::index::view::{Estimate, Range, View};
use fhir::defs::{ParamId, TypeId};
use fhir::index::Entry;
use fhir::query::{Comparator, DateTest, Filter};
use parking_lot::Mutex;
use roaring::RoaringBitmap;
use std::ops::RangeInclusive;

/// No filter is checked on more bodies than this.
pub(crate) const BODIES_MAX: u64 = 256;

/// Evaluates filters at one snapshot.
pub(crate) struct Exec<'a> {
    pub(crate) view: &'a View<'a>,
    pub(crate) resources: &'a dyn Resources,
    /// Lines for `explain`, with the depth at which they belong.
    pub(crate) trace: Option<Mutex<Trace>>,
}

#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) depth: usize,
    pub(crate) lines: Vec<String>,
}

impl Exec<'_> {
    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            let mut trace = trace.lock();
            let line = format!("{}{}", "  ".repeat(trace.depth), line());
            trace.lines.push(line);
        }
    }

    /// Whether reading `bodies` bodies is quicker than scanning `keys` keys.
    pub(crate) fn prefers_bodies(&self, bodies: u64, keys: u64) -> bool {
        bodies.saturating_mul(self.view.index.limits.keys_per_body) < keys
    }

    /// Resources of type `scope`, current at the snapshot, that pass `filter`.
    pub(crate) fn matching(&self, filter: &Filter, scope: TypeId) -> Result<RoaringBitmap, StoreError> {
        let live = self.view.live(scope);
        if live.is_empty() {
            return Ok(RoaringBitmap::new());
        }
        let set = self.eval(filter, scope)?;
        // A parameter belongs to one type; nothing of it is left to take out where all versions are current.
        let all_pass = matches!(filter, Filter::Match { .. }) && self.view.is_all_live(scope);
        Ok(if all_pass { set } else { set & &*live })
    }

    /// May contain ordinals that are not current or of another type.
    fn eval(&self, filter: &Filter, scope: TypeId) -> Result<RoaringBitmap, StoreError> {
        if let Some(trace) = &self.trace {
            trace.lock().depth += 1;
        }
        let set = self.eval_inner(filter, scope)?;
        if let Some(trace) = &self.trace {
            trace.lock().depth -= 1;
        }
        self.note(|| format!("{}: {}", name(filter), set.len()));
        Ok(set)
    }

    fn eval_inner(&self, filter: &Filter, scope: TypeId) -> Result<RoaringBitmap, StoreError> {
        match filter {
            Filter::All => Ok((*self.view.live(scope)).clone()),
            Filter::Nothing => Ok(RoaringBitmap::new()),
            Filter::And(filters) => self.and(filters, scope),
            Filter::Or(filters) => {
                let mut all = RoaringBitmap::new();
                for filter in filters {
                    all |= self.eval(filter, scope)?;
                }
                Ok(all)
            }
            Filter::Not(filter) => Ok(&*self.view.live(scope) - self.eval(filter, scope)?),
            Filter::Match { param, test } => self.leaf(&Leaf::plan(self.view, *param, test)?),
            Filter::Missing(param) => Ok(&*self.view.live(scope) - self.view.present(*param)?),
            Filter::Chain { param, target, filter } => self.chain(*param, *target, filter),
            Filter::Has { source, param, filter } => self.has(*source, *param, filter, scope),
            Filter::Ids(ids) => {
                let mut collected = Collected::default();
                for id in ids {
                    let hash = key::id_hash(self.view.keys(), id);
                    self.view.get(&key::id_key(scope, hash), &mut collected)?;
                }
                Ok(collected.finish(self.view.snapshot))
            }
            Filter::LastUpdated(test) => self.last_updated(test, scope),
            Filter::InList(_) | Filter::Terminology { .. } => {
                Err(StoreError::Limit("lists and value sets are resolved before a search"))
            }
        }
    }

    fn leaf(&self, leaf: &Leaf) -> Result<RoaringBitmap, StoreError> {
        let mut collected = Collected::default();
        for range in &leaf.ranges {
            self.view.collect(range, |key| leaf.accepts(key), &mut collected)?;
        }
        Ok(collected.finish(self.view.snapshot))
    }

    fn and(&self, filters: &[Filter], scope: TypeId) -> Result<RoaringBitmap, StoreError> {
        let mut steps = filters.iter().map(|filter| self.step(filter, scope)).collect::<Result<Vec<_>, _>>()?;
        self.join_intervals(&mut steps)?;
        steps.sort_by_key(|step| step.estimate.rows);
        let mut result: Option<RoaringBitmap> = None;
        for step in steps {
            let next = match result {
                None => self.first_step(&step, scope)?,
                Some(found) if found.is_empty() => found,
                Some(found) => self.next_step(found, &step, scope)?,
            };
            result = Some(next);
        }
        Ok(result.unwrap_or_else(|| (*self.view.live(scope)).clone()))
    }

    /// Puts `date=ge…&date=lt…` into one step over the keys between, when no resource has several dates there. Those that
    /// have may pass by different values.
    fn join_intervals(&self, steps: &mut Vec<Step<'_>>) -> Result<(), StoreError> {
        let mut at = 0;
        while at < steps.len() {
            let mut next = at + 1;
            while next < steps.len() {
                let both = match (&steps[at].leaf, &steps[next].leaf) {
                    (Some((a, first)), Some((b, second))) if a == b => {
                        Leaf::both(first, second).map(|(kind, both)| (*a, kind, both))
                    }
                    _ => None,
                };
                let Some((param, kind, both)) = both else {
                    next += 1;
                    continue;
                };
                let several = Range::point(key::several_key(param, kind));
                if self.view.estimate(&several)?.rows > 0 {
                    return Ok(());
                }
                steps[at].estimate = self.estimate_leaf(&both)?;
                steps[at].leaf = Some((param, both));
                steps.remove(next);
            }
            at += 1;
        }
        Ok(())
    }

    fn estimate_leaf(&self, leaf: &Leaf) -> Result<Estimate, StoreError> {
        let mut estimate = Estimate::default();
        for range in &leaf.ranges {
            estimate += self.view.estimate(range)?;
        }
        Ok(estimate)
    }

    fn step<'f>(&self, filter: &'f Filter, scope: TypeId) -> Result<Step<'f>, StoreError> {
        if let Filter::Match { param, test } = filter {
            let leaf = Leaf::plan(self.view, *param, test)?;
            let estimate = self.estimate_leaf(&leaf)?;
            return Ok(Step { filter, leaf: Some((*param, leaf)), estimate });
        }
        Ok(Step { filter, leaf: None, estimate: self.estimate(filter, scope)? })
    }

    fn estimate(&self, filter: &Filter, scope: TypeId) -> Result<Estimate, StoreError> {
        Ok(match filter {
            Filter::Ids(ids) => Estimate { keys: ids.len() as u64, rows: ids.len() as u64 },
            Filter::Nothing => Estimate::default(),
            Filter::Or(filters) => {
                let mut sum = Estimate::default();
                for filter in filters {
                    sum += self.step(filter, scope)?.estimate;
                }
                sum
            }
            Filter::And(filters) => {
                let mut least = Estimate { keys: u64::MAX, rows: u64::MAX };
                for filter in filters {
                    let estimate = self.step(filter, scope)?.estimate;
                    if estimate.rows < least.rows {
                        least = estimate;
                    }
                }
                least
            }
            // Joins last: they cost the same whatever has been found before.
            Filter::Chain { .. } | Filter::Has { .. } => Estimate { keys: u64::MAX / 4, rows: u64::MAX / 4 },
            _ => Estimate { keys: 0, rows: self.view.live(scope).len() },
        })
    }

    fn first_step(&self, step: &Step<'_>, scope: TypeId) -> Result<RoaringBitmap, StoreError> {
        match &step.leaf {
            Some((_, leaf)) => {
                let set = self.leaf(leaf)?;
                self.note(|| format!("  {}: {}", name(step.filter), set.len()));
                Ok(set)
            }
            None => self.eval(step.filter, scope),
        }
    }

    fn next_step(&self, found: RoaringBitmap, step: &Step<'_>, scope: TypeId) -> Result<RoaringBitmap, StoreError> {
        match (&step.leaf, step.filter) {
            (Some((param, leaf)), _) => {
                let live = found & &*self.view.live(scope);
                if live.len() <= BODIES_MAX && self.prefers_bodies(live.len(), step.estimate.keys) {
                    let kept = self.check_bodies(&live, *param, leaf)?;
                    self.note(|| format!("  {} on {} bodies: {}", name(step.filter), live.len(), kept.len()));
                    return Ok(kept);
                }
                Ok(live & self.first_step(step, scope)?)
            }
            (None, Filter::All) => Ok(found),
            (None, Filter::Not(filter)) => Ok(found - self.eval(filter, scope)?),
            (None, filter) => Ok(found & self.eval(filter, scope)?),
        }
    }

    /// Those of `candidates` that have a matching value, read from their bodies.
    fn check_bodies(
        &self,
        candidates: &RoaringBitmap,
        param: ParamId,
        leaf: &Leaf,
    ) -> Result<RoaringBitmap, StoreError> {
        let mut kept = RoaringBitmap::new();
        for ordinal in candidates {
            let mut matches = false;
            for value in self.resources.values(u64::from(ordinal), param)? {
                let entry = Entry { param, value };
                key::entry_keys(self.view.keys(), &entry, &mut |key| matches |= leaf.matches(key));
            }
            if matches {
                kept.insert(ordinal);
            }
        }
        Ok(kept)
    }

    fn last_updated(&self, test: &DateTest, scope: TypeId) -> Result<RoaringBitmap, StoreError> {
        let until = |at_us: i64| -> Result<u32, StoreError> {
            Ok(u32::try_from(self.resources.seq_at(at_us)?).unwrap_or(u32::MAX).min(self.view.snapshot))
        };
        let before_start = until(test.start.saturating_sub(1))?;
        let until_end = until(test.end)?;
        let keep: RangeInclusive<u32> = match test.comparator {
            Comparator::Eq | Comparator::Ap | Comparator::Ne => before_start + 1..=until_end,
            Comparator::Lt | Comparator::Eb => 0..=before_start,
            Comparator::Gt | Comparator::Sa => until_end + 1..=u32::MAX,
            Comparator::Le => 0..=until_end,
            Comparator::Ge => before_start + 1..=u32::MAX,
        };
        let mut set = (*self.view.live(scope)).clone();
        if test.comparator == Comparator::Ne {
            set.remove_range(keep);
        } else {
            set.remove_range(..*keep.start());
            set.remove_range((std::ops::Bound::Excluded(*keep.end()), std::ops::Bound::Unbounded));
        }
        Ok(set)
    }
}

struct Step<'f> {
    filter: &'f Filter,
    leaf: Option<(ParamId, Leaf)>,
    estimate: Estimate,
}

/// For `explain`: what a filter is, without its values.
fn name(filter: &Filter) -> String {
    match filter {
        Filter::All => "all".to_owned(),
        Filter::Nothing => "nothing".to_owned(),
        Filter::And(filters) => format!("and of {}", filters.len()),
        Filter::Or(filters) => format!("or of {}", filters.len()),
        Filter::Not(_) => "not".to_owned(),
        Filter::Match { param, .. } => format!("match param {}", param.0),
        Filter::Missing(param) => format!("missing param {}", param.0),
        Filter::Chain { param, .. } => format!("chain by param {}", param.0),
        Filter::Has { param, .. } => format!("has by param {}", param.0),
        Filter::Ids(ids) => format!("{} ids", ids.len()),
        Filter::LastUpdated(_) => "last updated".to_owned(),
        Filter::InList(_) => "list".to_owned(),
        Filter::Terminology { .. } => "terminology".to_owned(),
    }
}
