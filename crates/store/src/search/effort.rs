//! Which searches may take long, guessed from the filter and the number of resources alone: a guess must cost nothing.

use crate::embedded::Shared;
use crate::index::Index;
use fhir::defs::TypeId;
use fhir::query::{Filter, Sort, SortBy, SystemTest, Test};

/// So many resources to look at, or their keys, take about a millisecond.
const LONG: u64 = 50_000;

/// Whether a search may keep its thread for more than a millisecond or so.
pub(crate) fn may_take_long(shared: &Shared, types: &[TypeId], filter: &Filter, sort: &[Sort]) -> bool {
    long(shared.index(), types, filter, sort)
}

fn long(index: &Index, types: &[TypeId], filter: &Filter, sort: &[Sort]) -> bool {
    let sorts = sort.iter().any(|sort| !matches!(sort.by, SortBy::LastUpdated));
    let looked_at = |ty: &TypeId| effort(index, filter, *ty) + if sorts { index.count(*ty) } else { 0 };
    types.iter().map(looked_at).sum::<u64>() >= LONG
}

/// Resources or keys that are looked at one by one, at most.
fn effort(index: &Index, filter: &Filter, scope: TypeId) -> u64 {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => filters.iter().map(|filter| effort(index, filter, scope)).sum(),
        Filter::Not(filter) => effort(index, filter, scope),
        Filter::Chain { target, filter, .. } => index.count(*target) + effort(index, filter, *target),
        Filter::Has { source, filter, .. } => index.count(*source) + effort(index, filter, *source),
        Filter::Match { test, .. } if scans(test) => index.count(scope),
        _ => 0,
    }
}

/// Whether a test reads all keys of its parameter. Ranges of dates and numbers do not: summaries stand for most of them.
fn scans(test: &Test) -> bool {
    match test {
        Test::StringContains(_) | Test::Near { .. } | Test::Token { system: SystemTest::Is(_), code: None } => true,
        Test::Composite(tests) => tests.iter().any(scans),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::embedded::Applied;
    use crate::index::memory::{MemoryStorage, TestKeys};
    use fhir::defs::ParamId;
    use std::sync::Arc;

    #[test]
    fn only_what_looks_at_much_is_long() {
        let keys = Arc::new(TestKeys(1));
        let index = Index::open(Arc::new(MemoryStorage::default()), keys, 1, 1 << 20).unwrap();
        let (patient, observation) = (TypeId(1), TypeId(2));
        let version = |seq: u64| Applied {
            seq,
            ty: patient,
            id: seq.to_string(),
            op: Op::Create,
            prev: 0,
            at_us: 0,
            entries: Vec::new(),
        };
        let all: Vec<Applied> = (1..=LONG).map(version).collect();
        index.insert(&all);
        let of = |test: Test| Filter::Match { param: ParamId(1), test };
        let contains = of(Test::StringContains("x".into()));
        let chain = |target| Filter::Chain { param: ParamId(2), target, filter: Box::new(Filter::All) };
        let by_name = [Sort { by: SortBy::Param(ParamId(1)), descending: false }];
        let newest = [Sort { by: SortBy::LastUpdated, descending: true }];
        assert!(long(&index, &[patient], &contains, &[]) && long(&index, &[observation], &chain(patient), &[]));
        assert!(long(&index, &[patient], &Filter::All, &by_name));
        assert!(!long(&index, &[observation], &contains, &[]) && !long(&index, &[patient], &chain(observation), &[]));
        assert!(!long(&index, &[patient], &of(Test::StringStarts("x".into())), &newest));
    }
}
