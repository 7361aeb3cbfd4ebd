//! Which versions are current, now and at every snapshot that a page link may still carry.

use fhir::defs::TypeId;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    pub(crate) types: BTreeMap<u16, TypeLive>,
}

/// Ordinals of one resource type.
#[derive(Clone, Debug, Default)]
pub(crate) struct TypeLive {
    /// Current and not deleted.
    pub(crate) live: Arc<RoaringBitmap>,
    /// All versions, deletes included: the type's history.
    pub(crate) all: Arc<RoaringBitmap>,
    /// `(ordinal, ordinal that replaced it)`, in the order of the second.
    pub(crate) superseded: Vec<(u32, u32)>,
}

impl Live {
    /// Records a version. `previous` is the one it replaces.
    pub(crate) fn insert(&mut self, ty: TypeId, ordinal: u32, deleted: bool, previous: Option<u32>) {
        let of_type = self.types.entry(ty.0).or_default();
        Arc::make_mut(&mut of_type.all).insert(ordinal);
        let live = Arc::make_mut(&mut of_type.live);
        if previous.is_some_and(|previous| live.remove(previous)) {
            of_type.superseded.extend(previous.map(|previous| (previous, ordinal)));
        }
        if !deleted {
            live.insert(ordinal);
        }
    }

    /// Versions of a type that were current at `snapshot`.
    pub(crate) fn at(&self, ty: TypeId, snapshot: u32) -> Arc<RoaringBitmap> {
        let Some(of_type) = self.types.get(&ty.0) else { return Arc::default() };
        let later = of_type.superseded.partition_point(|(_, by)| *by <= snapshot);
        if later == of_type.superseded.len() && of_type.live.max().is_none_or(|max| max <= snapshot) {
            return of_type.live.clone();
        }
        let mut live = (*of_type.live).clone();
        live.remove_range(snapshot.saturating_add(1)..);
        live.extend(of_type.superseded[later..].iter().map(|(old, _)| *old).filter(|old| *old <= snapshot));
        Arc::new(live)
    }

    /// Whether no version of a type was ever replaced or is a deletion: then each is current at every snapshot that has it.
    pub(crate) fn is_all_live(&self, ty: TypeId) -> bool {
        self.types.get(&ty.0).is_some_and(|of_type| of_type.live.len() == of_type.all.len())
    }

    /// All versions of a type up to `snapshot`.
    pub(crate) fn versions(&self, ty: TypeId, snapshot: u32) -> RoaringBitmap {
        let mut all = self.types.get(&ty.0).map(|of_type| (*of_type.all).clone()).unwrap_or_default();
        all.remove_range(snapshot.saturating_add(1)..);
        all
    }

    /// The state as it was at `snapshot`.
    pub(crate) fn as_of(&self, snapshot: u32) -> Live {
        let types = self.types.iter().map(|(ty, of_type)| {
            let superseded = of_type.superseded.iter().copied().filter(|(_, by)| *by <= snapshot).collect();
            let live = self.at(TypeId(*ty), snapshot);
            (*ty, TypeLive { live, all: Arc::new(self.versions(TypeId(*ty), snapshot)), superseded })
        });
        Live { types: types.collect() }
    }

    /// Forgets what no snapshot from `horizon` on can need.
    pub(crate) fn forget_before(&mut self, horizon: u32) {
        for of_type in self.types.values_mut() {
            let gone = of_type.superseded.partition_point(|(_, by)| *by <= horizon);
            of_type.superseded.drain(..gone);
        }
    }

    pub(crate) fn superseded_len(&self) -> usize {
        self.types.values().map(|of_type| of_type.superseded.len()).sum()
    }

    /// Ordinals that no search can find any more.
    pub(crate) fn dead(&self) -> RoaringBitmap {
        let mut dead = RoaringBitmap::new();
        for of_type in self.types.values() {
            let mut of_type_dead = &*of_type.all - &*of_type.live;
            for (old, _) in &of_type.superseded {
                of_type_dead.remove(*old);
            }
            dead |= of_type_dead;
        }
        dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_snapshot_sees_its_versions() {
        let mut live = Live::default();
        let ty = TypeId(3);
        live.insert(ty, 1, false, None);
        live.insert(ty, 2, false, None);
        live.insert(ty, 3, false, Some(1));
        live.insert(ty, 4, true, Some(2));
        live.insert(ty, 5, false, Some(4));
        let at = |live: &Live, snapshot| live.at(ty, snapshot).iter().collect::<Vec<_>>();
        assert_eq!(at(&live, 1), [1]);
        assert_eq!(at(&live, 2), [1, 2]);
        assert_eq!(at(&live, 3), [2, 3]);
        assert_eq!(at(&live, 4), [3]);
        assert_eq!(at(&live, 5), [3, 5]);
        assert_eq!(at(&live.as_of(3), 2), [1, 2]);
        assert_eq!(live.dead().iter().collect::<Vec<_>>(), [4]);
        live.forget_before(3);
        assert_eq!(live.dead().iter().collect::<Vec<_>>(), [1, 4]);
        assert_eq!(at(&live, 3), [2, 3]);
        assert_eq!(live.versions(ty, 4).len(), 4);
    }
}
