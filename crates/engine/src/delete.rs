//! Delete by id and by criteria.

use crate::audit::{self, Access};
use crate::conditional::MATCHES_MAX;
use crate::update::{ATTEMPTS_MAX, lost};
use crate::{Change, Engine, Error, Precondition, Resource, Session, Written, prepare};
use fhir::defs::{self, TypeId};
use store::{Batch, Op, Splice, Stored, Tenant, Write};

pub(crate) fn deletion(stored: &Stored) -> Write {
    Write {
        ty: stored.ty,
        id: stored.id.clone(),
        op: Op::Delete,
        expected: stored.version,
        body: Vec::new(),
        splice: Splice::None,
        entries: Vec::new(),
    }
}

impl Engine {
    /// Idempotent: what is not there is deleted ([`Change::Deleted`] without a resource). A conditional delete (`id` `None`) of
    /// several matches deletes all of them in one commit and answers the first.
    pub async fn delete(
        &self,
        session: &Session,
        ty: TypeId,
        id: Option<&str>,
        precondition: &Precondition,
    ) -> Result<Written, Error> {
        let name = defs::r4().ty(ty).name;
        let entity = id.map_or_else(|| name.to_owned(), |id| format!("{name}/{id}"));
        let mut access = Access::new(session, "delete", entity).with_criteria(precondition.criteria.as_deref());
        let tenant = self.admit(&access, Some(ty)).await?;
        let result = self.delete_in(&tenant, &mut access, ty, id, precondition).await;
        self.note_write(&tenant, &access, &result).await;
        result
    }

    async fn delete_in(
        &self,
        tenant: &Tenant,
        access: &mut Access<'_>,
        ty: TypeId,
        id: Option<&str>,
        precondition: &Precondition,
    ) -> Result<Written, Error> {
        let mut attempt = 1;
        loop {
            let doomed = match id {
                Some(id) => self.doomed_by_id(tenant, ty, id, precondition).await?,
                None => self.doomed_by_criteria(tenant, access, ty, precondition).await?,
            };
            match self.delete_all(tenant, access, &doomed).await {
                Err(error) if error.status == 409 && attempt < ATTEMPTS_MAX => attempt += 1,
                result => return result.map_err(|error| lost(error, precondition)),
            }
        }
    }

    async fn doomed_by_id(
        &self,
        tenant: &Tenant,
        ty: TypeId,
        id: &str,
        precondition: &Precondition,
    ) -> Result<Vec<Stored>, Error> {
        prepare::check_client_id(ty, id)?;
        let current = tenant.read(ty, id).await?;
        precondition.check(current.as_ref())?;
        Ok(current.into_iter().filter(|stored| stored.op != Op::Delete).collect())
    }

    async fn doomed_by_criteria(
        &self,
        tenant: &Tenant,
        access: &Access<'_>,
        ty: TypeId,
        precondition: &Precondition,
    ) -> Result<Vec<Stored>, Error> {
        let criteria = precondition.criteria.as_deref().unwrap_or_default();
        let doomed = self.find(access.session, tenant, ty, criteria, MATCHES_MAX + 1).await?;
        if doomed.len() > MATCHES_MAX {
            let text = format!("more than {MATCHES_MAX} resources match: narrow the criteria and repeat");
            return Err(Error::new(412, "too-costly", text));
        }
        precondition.check_each(&doomed)?;
        Ok(doomed)
    }

    async fn delete_all(&self, tenant: &Tenant, access: &mut Access<'_>, doomed: &[Stored]) -> Result<Written, Error> {
        let Some(first) = doomed.first() else { return Ok(Written { change: Change::Deleted, resource: None }) };
        let mut batch = Batch::default();
        for stored in doomed {
            access.touches(stored.ty, &stored.id, audit::patient_in(stored.ty, &stored.id, &stored.body));
            batch.audit.push(self.record(access, 204));
            batch.writes.push(deletion(stored));
        }
        let committed = self.commit(access.session, tenant, batch).await?;
        let resource = Resource {
            ty: first.ty,
            id: first.id.clone(),
            version: first.version + 1,
            last_updated_us: committed.at_us,
            op: Op::Delete,
            json: Vec::new(),
        };
        Ok(Written { change: Change::Deleted, resource: Some(resource) })
    }
}
