//! Ordering a result: by walking the sorted keys of a parameter until the page is full, or by reading the few values.

use super::exec::Exec;
use crate::StoreError;
use crate::index::key::{self, QUANTITY_GROUP, kind};
use crate::index::view::{Cursor, Range};
use fhir::defs::{ParamId, TypeId};
use fhir::index::Entry;
use fhir::query::{Sort, SortBy};
use roaring::RoaringBitmap;

/// Results up to this size may be sorted by reading their bodies.
const SORT_BODIES_MAX: u64 = 1000;

/// The kinds of keys by which resources are sorted, with what follows the kind before the sorted bytes.
const SORTED: [(u8, &[u8]); 10] = [
    (kind::STRING, &[]),
    (kind::TOKEN, &[]),
    (kind::DATE, &[0]),
    (kind::DATE, &[1]),
    (kind::NUMBER, &[0]),
    (kind::NUMBER, &[1]),
    (kind::REFERENCE, &[]),
    (kind::URI, &[]),
    (kind::URL, &[]),
    (kind::IDENTIFIER, &[]),
];

/// The bytes of a key by which resources are compared; `None` for kinds that have no order.
fn sort_bytes(key: &[u8]) -> Option<&[u8]> {
    let value = key.get(3..)?;
    match key[2] {
        kind::STRING => Some(&value[..value.iter().position(|byte| *byte == 0).unwrap_or(value.len())]),
        kind::TOKEN | kind::IDENTIFIER => Some(&value[..key::code_part_len(value)]),
        kind::DATE | kind::NUMBER => value.get(1..9),
        kind::QUANTITY => key.get(QUANTITY_GROUP + 1..QUANTITY_GROUP + 9),
        kind::REFERENCE | kind::URI | kind::URL => Some(value),
        _ => None,
    }
}

impl Exec<'_> {
    /// The ordinals `skip..skip + take` of `set` in the order of `sorts`; ties are newest first.
    pub(crate) fn order(
        &self,
        set: &RoaringBitmap,
        types: &[TypeId],
        sorts: &[Sort],
        skip: u64,
        take: usize,
    ) -> Result<Vec<u32>, StoreError> {
        let Some((sort, rest)) = sorts.split_first() else { return Ok(by_ordinal(set, true, skip, take)) };
        let params: Vec<(ParamId, Option<TypeId>)> = match &sort.by {
            SortBy::LastUpdated => return Ok(by_ordinal(set, sort.descending, skip, take)),
            SortBy::Param(param) => vec![(*param, None)],
            SortBy::Id => {
                let of_type = |ty: &TypeId| self.view.index.id_param(*ty).map(|param| (param, Some(*ty)));
                types.iter().filter_map(of_type).collect()
            }
        };
        let mut page = Page { exec: self, types, rest, skip, take, found: Vec::with_capacity(take.min(1024)) };
        let ranges = self.sorted_ranges(&params)?;
        if set.len() <= SORT_BODIES_MAX {
            let mut keys = 0;
            for range in &ranges {
                keys += self.view.estimate(range)?.keys;
            }
            if self.prefers_bodies(set.len(), keys) {
                self.note(|| format!("sort {} by bodies", set.len()));
                self.order_by_bodies(set, &params, sort.descending, &mut page)?;
                return Ok(page.found);
            }
        }
        self.note(|| format!("sort {} by walking keys", set.len()));
        self.order_by_keys(set, &ranges, sort.descending, &mut page)?;
        Ok(page.found)
    }

    fn sorted_ranges(&self, params: &[(ParamId, Option<TypeId>)]) -> Result<Vec<Range>, StoreError> {
        let mut ranges = Vec::new();
        for (param, _) in params {
            for (kind, class) in SORTED {
                ranges.push(Range::prefix([key::head(*param, kind).as_slice(), class].concat()));
            }
            for group in self.view.groups(&key::head(*param, kind::QUANTITY), QUANTITY_GROUP)? {
                ranges.extend([0u8, 1].map(|class| Range::prefix([group.as_slice(), &[class]].concat())));
            }
        }
        Ok(ranges)
    }

    fn order_by_bodies(
        &self,
        set: &RoaringBitmap,
        params: &[(ParamId, Option<TypeId>)],
        descending: bool,
        page: &mut Page<'_, '_>,
    ) -> Result<(), StoreError> {
        let mut keyed: Vec<(Vec<u8>, u32)> = Vec::with_capacity(set.len() as usize);
        let mut missing = RoaringBitmap::new();
        for ordinal in set {
            let mut best: Option<Vec<u8>> = None;
            for (param, ty) in params {
                if ty.is_some_and(|ty| !self.view.live(ty).contains(ordinal)) {
                    continue;
                }
                for value in self.resources.values(u64::from(ordinal), *param)? {
                    key::entry_keys(self.view.keys(), &Entry { param: *param, value }, &mut |key| {
                        let Some(bytes) = sort_bytes(key) else { return };
                        let better = best.as_deref().is_none_or(|best| (bytes < best) != descending && bytes != best);
                        if better {
                            best = Some(bytes.to_vec());
                        }
                    });
                }
            }
            match best {
                Some(best) => keyed.push((best, ordinal)),
                None => {
                    missing.insert(ordinal);
                }
            }
        }
        keyed.sort_unstable();
        let mut groups: Vec<&[(Vec<u8>, u32)]> = keyed.chunk_by(|a, b| a.0 == b.0).collect();
        if descending {
            groups.reverse();
        }
        for group in groups {
            let ordinals: Vec<u32> = group.iter().map(|(_, ordinal)| *ordinal).collect();
            if page.add(&ordinals)? {
                return Ok(());
            }
        }
        page.add_set(&missing).map(|_| ())
    }

    fn order_by_keys(
        &self,
        set: &RoaringBitmap,
        ranges: &[Range],
        descending: bool,
        page: &mut Page<'_, '_>,
    ) -> Result<(), StoreError> {
        let mut walks = Vec::new();
        for range in ranges {
            for source in 0..self.view.sources() {
                let cursor = self.view.cursor(source, range, descending)?;
                if cursor.key().is_some() {
                    walks.push(cursor);
                }
            }
        }
        let mut remaining = set.clone();
        let mut group = Vec::new();
        let mut bytes = Vec::new();
        while !remaining.is_empty() && !walks.is_empty() {
            next_bytes(&walks, descending, &mut bytes);
            group.clear();
            for walk in &mut walks {
                while walk.key().and_then(sort_bytes) == Some(&bytes) {
                    walk.posting().for_each_in(&remaining, |ordinal| group.push(ordinal));
                    walk.advance()?;
                }
            }
            walks.retain(|walk| walk.key().is_some());
            group.sort_unstable();
            group.dedup();
            for ordinal in &group {
                remaining.remove(*ordinal);
            }
            if !group.is_empty() && page.add(&group)? {
                return Ok(());
            }
        }
        page.add_set(&remaining).map(|_| ())
    }
}

fn next_bytes(walks: &[Cursor], descending: bool, bytes: &mut Vec<u8>) {
    let all = walks.iter().filter_map(|walk| walk.key().and_then(sort_bytes));
    let next = if descending { all.max() } else { all.min() };
    bytes.clear();
    bytes.extend_from_slice(next.unwrap_or_default());
}

/// Collects a page from groups of ordinals that are equal so far.
struct Page<'a, 'b> {
    exec: &'a Exec<'b>,
    types: &'a [TypeId],
    rest: &'a [Sort],
    skip: u64,
    take: usize,
    found: Vec<u32>,
}

impl Page<'_, '_> {
    /// `group` is ascending. Answers whether the page is full.
    fn add(&mut self, group: &[u32]) -> Result<bool, StoreError> {
        if self.skip >= group.len() as u64 {
            self.skip -= group.len() as u64;
        } else if let [ordinal] = group {
            self.found.push(*ordinal);
        } else {
            self.add_set(&RoaringBitmap::from_sorted_iter(group.iter().copied()).unwrap_or_default())?;
        }
        Ok(self.found.len() >= self.take)
    }

    fn add_set(&mut self, group: &RoaringBitmap) -> Result<bool, StoreError> {
        if self.skip >= group.len() {
            self.skip -= group.len();
        } else {
            let take = self.take - self.found.len();
            self.found.extend(self.exec.order(group, self.types, self.rest, self.skip, take)?);
            self.skip = 0;
        }
        Ok(self.found.len() >= self.take)
    }
}

fn by_ordinal(set: &RoaringBitmap, descending: bool, skip: u64, take: usize) -> Vec<u32> {
    let end = skip.saturating_add(take as u64).min(set.len());
    let nth = |n: u64| u32::try_from(if descending { set.len() - 1 - n } else { n }).ok();
    (skip.min(end)..end).filter_map(|n| set.select(nth(n)?)).collect()
}
