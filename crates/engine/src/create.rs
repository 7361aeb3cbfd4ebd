//! Create, with or without If-None-Exist.

use crate::audit::Access;
use crate::prepare::{BodyId, Prepared};
use crate::{Change, Engine, Error, Precondition, Resource, Session, Written};
use fhir::defs::{self, TypeId};
use store::{Batch, Op, Stored, Tenant};

impl Engine {
    /// `body`: JSON from outside. Answers [`Change::Created`], or [`Change::Existed`] when If-None-Exist found one match;
    /// 412 when it found several.
    pub async fn create(
        &self,
        session: &Session,
        ty: TypeId,
        body: &[u8],
        precondition: &Precondition,
    ) -> Result<Written, Error> {
        let mut access = Access::new(session, "create", defs::r4().ty(ty).name.to_owned())
            .with_criteria(precondition.criteria.as_deref());
        let tenant = self.admit(&access, Some(ty)).await?;
        let result = self.create_in(&tenant, &mut access, ty, body, precondition).await;
        self.note_write(&tenant, &access, &result).await;
        result
    }

    async fn create_in(
        &self,
        tenant: &Tenant,
        access: &mut Access<'_>,
        ty: TypeId,
        body: &[u8],
        precondition: &Precondition,
    ) -> Result<Written, Error> {
        let session = access.session;
        let _guard = match &precondition.criteria {
            None => None,
            Some(criteria) => {
                let guard = self.hold(session, ty, criteria).await;
                if let Some(stored) = self.find_one(session, tenant, ty, criteria).await?.at_most_one()? {
                    access.touches(ty, &stored.id, None);
                    return Ok(Written { change: Change::Existed, resource: Some(stored.into()) });
                }
                Some(guard)
            }
        };
        let prepared = self.prepare(session, ty, &self.new_id(), BodyId::Ignored, body)?;
        self.commit_one(tenant, access, prepared, 0, Op::Create).await
    }

    /// Commits one version and its audit record, and answers what a reader will see.
    pub(crate) async fn commit_one(
        &self,
        tenant: &Tenant,
        access: &mut Access<'_>,
        prepared: Prepared,
        expected: u64,
        op: Op,
    ) -> Result<Written, Error> {
        access.touches(prepared.ty, &prepared.id, prepared.patient.clone());
        let mut stored = Stored {
            seq: 0,
            ty: prepared.ty,
            id: prepared.id.clone(),
            version: expected + 1,
            at_us: 0,
            op,
            body: prepared.body.clone(),
            splice: prepared.splice,
        };
        // `expected` counts deletions: a resource that comes back from one is created, but not at version 1.
        let (change, status) = if op == Op::Create { (Change::Created, 201) } else { (Change::Updated, 200) };
        let batch = Batch {
            writes: vec![prepared.write(expected, op)],
            audit: vec![self.record(access, status)],
            ..Batch::default()
        };
        let committed = self.commit(access.session, tenant, batch).await?;
        stored.at_us = committed.at_us;
        Ok(Written { change, resource: Some(Resource::from(stored)) })
    }
}
