//! Update by id and by criteria, and the preconditions that writes share.

use crate::audit::Access;
use crate::prepare::{self, BodyId, Prepared};
use crate::{Change, Engine, Error, IfMatch, Precondition, Session, Written};
use fhir::defs::{self, TypeId};
use fhir::json::{Document, Limits};
use store::{Op, Stored, Tenant};

/// Times a write without If-Match is tried again when others write the same resource.
pub(crate) const ATTEMPTS_MAX: usize = 8;

impl Precondition {
    /// Checks `If-Match` and `If-None-Match: *` against the current state.
    pub(crate) fn check(&self, current: Option<&Stored>) -> Result<(), Error> {
        let live = current.filter(|stored| stored.op != Op::Delete);
        if let Some(wanted) = &self.if_match
            && live.is_none_or(|stored| !wanted.allows(stored.version))
        {
            return Err(Error::stale(live.map_or(0, |stored| stored.version)));
        }
        if self.must_not_exist
            && let Some(stored) = live
        {
            let text = "the resource exists: repeat without If-None-Match to replace it";
            return Err(Error::new(412, "conflict", text).with_version(stored.version));
        }
        Ok(())
    }

    /// [`Precondition::check`] for what criteria found: with `If-Match` there must be something.
    pub(crate) fn check_each(&self, found: &[Stored]) -> Result<(), Error> {
        if found.is_empty() {
            return self.check(None);
        }
        found.iter().try_for_each(|stored| self.check(Some(stored)))
    }

    /// The client named a version: when another is current, trying again cannot help.
    pub(crate) fn names_version(&self) -> bool {
        matches!(self.if_match, Some(IfMatch::Versions(_)))
    }
}

/// Version that a write replaces, and whether it makes the resource anew.
pub(crate) fn successor(current: Option<&Stored>) -> (u64, Op) {
    match current {
        None => (0, Op::Create),
        Some(stored) if stored.op == Op::Delete => (stored.version, Op::Create),
        Some(stored) => (stored.version, Op::Update),
    }
}

/// What a lost race means: 409 to try again, or 412 to a client that named its version.
pub(crate) fn lost(error: Error, precondition: &Precondition) -> Error {
    match error.version {
        Some(version) if error.status == 409 && precondition.names_version() => Error::stale(version),
        _ => error,
    }
}

impl Engine {
    /// `id` is `None` for a conditional update. Creates the resource when there is none under this id. The same content as
    /// the current version writes nothing and answers [`Change::Unchanged`].
    pub async fn update(
        &self,
        session: &Session,
        ty: TypeId,
        id: Option<&str>,
        body: &[u8],
        precondition: &Precondition,
    ) -> Result<Written, Error> {
        let name = defs::r4().ty(ty).name;
        let entity = id.map_or_else(|| name.to_owned(), |id| format!("{name}/{id}"));
        let mut access = Access::new(session, "update", entity).with_criteria(precondition.criteria.as_deref());
        let tenant = self.admit(&access, Some(ty)).await?;
        let result = match id {
            Some(id) => self.update_by_id(&tenant, &mut access, ty, id, body, precondition).await,
            None => self.update_by_criteria(&tenant, &mut access, ty, body, precondition).await,
        };
        self.note_write(&tenant, &access, &result).await;
        result
    }

    async fn update_by_id(
        &self,
        tenant: &Tenant,
        access: &mut Access<'_>,
        ty: TypeId,
        id: &str,
        body: &[u8],
        precondition: &Precondition,
    ) -> Result<Written, Error> {
        prepare::check_client_id(ty, id)?;
        let prepared = self.prepare(access.session, ty, id, BodyId::MustMatch, body)?;
        self.replace(tenant, access, &prepared, precondition).await
    }

    /// No match: creates, under the id in the body when it has one. One match: replaces it; an id in the body must be its id.
    async fn update_by_criteria(
        &self,
        tenant: &Tenant,
        access: &mut Access<'_>,
        ty: TypeId,
        body: &[u8],
        precondition: &Precondition,
    ) -> Result<Written, Error> {
        let session = access.session;
        let criteria = precondition.criteria.as_deref().unwrap_or_default();
        let document = Document::parse(body, &Limits::default())?;
        let own_id = document.root().str("id").map(|id| id.into_owned());
        let _guard = self.hold(session, ty, criteria).await;
        let found = self.find_one(session, tenant, ty, criteria).await?.at_most_one()?;
        let id = conditional_id(ty, found.as_ref(), own_id.as_deref(), || self.new_id())?;
        let prepared = self.prepare_document(session, ty, &id, BodyId::Ignored, &document)?;
        self.replace(tenant, access, &prepared, precondition).await
    }

    async fn replace(
        &self,
        tenant: &Tenant,
        access: &mut Access<'_>,
        prepared: &Prepared,
        precondition: &Precondition,
    ) -> Result<Written, Error> {
        access.touches(prepared.ty, &prepared.id, prepared.patient.clone());
        let mut attempt = 1;
        loop {
            let current = tenant.read(prepared.ty, &prepared.id).await?;
            precondition.check(current.as_ref())?;
            let (expected, op) = successor(current.as_ref());
            if let Some(stored) = current.filter(|stored| op == Op::Update && stored.body == prepared.body) {
                return Ok(Written { change: Change::Unchanged, resource: Some(stored.into()) });
            }
            match self.commit_one(tenant, access, prepared.clone(), expected, op).await {
                Err(error) if error.status == 409 && attempt < ATTEMPTS_MAX => attempt += 1,
                result => return result.map_err(|error| lost(error, precondition)),
            }
        }
    }
}

/// The id that a conditional update writes to.
pub(crate) fn conditional_id(
    ty: TypeId,
    found: Option<&Stored>,
    own_id: Option<&str>,
    new_id: impl FnOnce() -> String,
) -> Result<String, Error> {
    match (found, own_id) {
        (Some(stored), Some(own)) if own != stored.id => {
            let place = format!("{}.id", defs::r4().ty(ty).name);
            Err(Error::invalid("the criteria match a resource with another id: leave the id out").at(&place))
        }
        (Some(stored), _) => Ok(stored.id.clone()),
        (None, Some(own)) => {
            prepare::check_client_id(ty, own)?;
            Ok(own.to_owned())
        }
        (None, None) => Ok(new_id()),
    }
}
