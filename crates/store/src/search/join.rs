//! Chains and `_has`: from resources to those that refer to them, and back. Ids are joined by their hashes, which stand
//! in the same order in the keys of references and of ids: few are looked up one by one, many are merged in one scan.

use super::exec::{BODIES_MAX, Exec};
use crate::StoreError;
use crate::index::key::{self, kind};
use crate::index::posting::{Collected, Members};
use crate::index::view::Range;
use fhir::defs::{ParamId, TypeId};
use fhir::index::Value;
use fhir::query::Filter;
use roaring::RoaringBitmap;

impl Exec<'_> {
    /// Resources whose `param` refers to a `target` that passes `filter`.
    pub(super) fn chain(&self, param: ParamId, target: TypeId, filter: &Filter) -> Result<RoaringBitmap, StoreError> {
        let targets = self.matching(filter, target)?;
        let hashes = self.view.id_hashes(&targets)?;
        self.by_hashes(&reference_prefix(param, target), &hashes)
    }

    /// Resources of type `scope` to which the `param` of a `source` that passes `filter` refers.
    pub(super) fn has(
        &self,
        source: TypeId,
        param: ParamId,
        filter: &Filter,
        scope: TypeId,
    ) -> Result<RoaringBitmap, StoreError> {
        let sources = self.matching(filter, source)?;
        if sources.is_empty() {
            return Ok(sources);
        }
        let range = Range::prefix(reference_prefix(param, scope));
        let keys = self.view.estimate(&range)?.keys;
        let mut hashes = Vec::new();
        if sources.len() <= BODIES_MAX && self.prefers_bodies(sources.len(), keys) {
            for ordinal in &sources {
                for value in self.resources.values(u64::from(ordinal), param)? {
                    if let Value::Reference { ty, id } = value
                        && ty == scope
                    {
                        hashes.push(key::id_hash(self.view.keys(), &id));
                    }
                }
            }
        } else {
            let members = Members::new(&sources);
            self.view.scan(&range, |key, posting| {
                if posting.intersects(&members) {
                    hashes.extend(key.last_chunk::<8>());
                }
            })?;
        }
        hashes.sort_unstable();
        hashes.dedup();
        let id_prefix = &key::id_key(scope, key::NO_HASH);
        self.by_hashes(&id_prefix[..id_prefix.len() - 8], &hashes)
    }

    /// Ordinals of the keys `prefix` + hash; `hashes` are sorted.
    fn by_hashes(&self, prefix: &[u8], hashes: &[[u8; 8]]) -> Result<RoaringBitmap, StoreError> {
        let mut collected = Collected::default();
        if hashes.is_empty() {
            return Ok(RoaringBitmap::new());
        }
        let range = Range::prefix(prefix.to_vec());
        let lookups = hashes.len() as u64 * self.view.sources() as u64;
        if lookups * self.view.index.limits.keys_per_lookup < self.view.estimate(&range)?.keys {
            for hash in hashes {
                self.view.get(&[prefix, hash].concat(), &mut collected)?;
            }
            return Ok(collected.finish(self.view.snapshot));
        }
        let mut at = 0;
        self.view.scan(&range, |key, posting| {
            let Some(hash) = key.last_chunk::<8>() else { return };
            // Each table and segment begins again with the smallest.
            if at > 0 && hashes[at - 1] >= *hash {
                at = 0;
            }
            while at < hashes.len() && hashes[at] < *hash {
                at += 1;
            }
            if hashes.get(at) == Some(hash) {
                posting.add_to(&mut collected);
            }
        })?;
        Ok(collected.finish(self.view.snapshot))
    }
}

fn reference_prefix(param: ParamId, target: TypeId) -> Vec<u8> {
    let mut prefix = key::head(param, kind::REFERENCE);
    prefix.extend(target.0.to_be_bytes());
    prefix
}
