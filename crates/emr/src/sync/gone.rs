//! Deletions: ours that are on their way there, and theirs that are found here.

use super::apply::{Sync, parse};
use super::merge::{Base, Conflict};
use super::pair::{Pair, is_withdrawn, seen, without_status};
use super::project::project;
use super::pulled::{Applied, Pulled, Tombstone};
use super::task;
use delivery::{Delivered, Remote};
use engine::{Error, Keep, Precondition};
use fhir::defs::{TypeId, r4};
use fhir::json::Value;
use store::Op;

impl Sync {
    /// Ours was deleted. Unless theirs has changed since, or is back after its deletion, that is on its way there.
    pub(super) async fn deleted_here(
        &self,
        pulled: &Pulled,
        key: &str,
        pair: &Pair,
        theirs: &Value,
        local: &Value,
    ) -> Result<Applied, Error> {
        let shown = project(self.settings.kind, pulled.ty, local, local);
        let was_removed = self.rows.delivered(key).await?.is_some_and(|there| there.deleted);
        let base = pair.base_of(&shown);
        let is_same = match is_withdrawn(local) {
            true => was_removed || without_status(&shown) == without_status(&base.theirs),
            false => !was_removed && shown == base.theirs,
        };
        let conflicts = if is_same {
            Vec::new()
        } else {
            let path = r4().ty(pulled.ty).name.to_owned();
            vec![Conflict { path, ours: None, theirs: Some(local.clone()) }]
        };
        if !conflicts.is_empty() {
            task::conflict(&self.engine, &self.session, &self.settings.name, key, &conflicts).await?;
        }
        let base = Base { theirs: shown, ..base };
        let next = Pair { base, sent: None, seen: seen(theirs), ..pair.clone() };
        self.rows.feed.keep(Keep { state: self.rows.pair_rows(key, &next), ..Keep::default() }).await?;
        Ok(Applied::Merged { wrote: false, conflicts: conflicts.len() })
    }

    /// Theirs is gone; the caller holds the lock of `id`.
    pub(super) async fn gone(&self, ty: TypeId, key: &str, id: &str) -> Result<Applied, Error> {
        let pair = self.pair(ty, key, &Remote::default()).await?;
        let current = self.rows.feed.current(ty, id).await?.filter(|current| current.resource.op != Op::Delete);
        let Some(ours) = current.as_ref().and_then(|current| parse(&current.resource.json)).filter(|_| !pair.gone)
        else {
            return Ok(Applied::Gone);
        };
        let kind = self.settings.kind;
        let mut left = ours.clone();
        let precondition = Precondition::default();
        if pair.ours_changed(kind, ty, &ours) {
            // We have changed what they have removed.
            let conflict = Conflict { path: r4().ty(ty).name.to_owned(), ours: Some(ours.clone()), theirs: None };
            task::conflict(&self.engine, &self.session, &self.settings.name, key, &[conflict]).await?;
        } else if self.settings.tombstone == Tombstone::Inactive && r4().ty(ty).element("active").is_some() {
            left.set("active", false);
        }
        // First of all delivery must not bring it back.
        let there =
            Delivered { remote: pair.remote.clone(), deleted: true, group: key.to_owned(), ..Delivered::default() };
        let there = match self.rows.delivered(key).await? {
            Some(known) => Delivered { deleted: true, hash: 0, ..known },
            None => there,
        };
        let mut state = self.rows.pair_rows(key, &pair.without_them(kind, ty, &left));
        state.push(self.rows.idmap_row(key, &there));
        self.rows
            .feed
            .keep(Keep { state, audit: vec![self.record("sync-gone", key, None)], ..Keep::default() })
            .await?;
        if left != ours {
            self.engine.update(&self.session, ty, Some(id), left.to_string().as_bytes(), &precondition).await?;
        } else if self.settings.tombstone == Tombstone::Delete && !pair.ours_changed(kind, ty, &ours) {
            self.engine.delete(&self.session, ty, Some(id), &precondition).await?;
        }
        Ok(Applied::Gone)
    }
}
