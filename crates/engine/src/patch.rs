//! Patch by id and by criteria: JSON Patch and FHIRPath Patch.

use crate::audit::Access;
use crate::prepare::{self, BodyId, Prepared};
use crate::update::{ATTEMPTS_MAX, lost};
use crate::{Change, Engine, Error, Patch, Precondition, Session, Written};
use fhir::defs::{self, TypeId};
use fhir::json::{Document, Limits, Value};
use fhir::patch::{PatchError, fhirpath_patch, json_patch};
use store::{Op, Stored, Tenant};

impl From<PatchError> for Error {
    fn from(error: PatchError) -> Error {
        match error {
            PatchError::TestFailed { .. } => Error::new(
                422,
                "processing",
                format!("{error}: nothing was changed; read the resource and make the patch anew"),
            ),
            PatchError::Shape(_) | PatchError::Operation { .. } => {
                Error::new(400, "invalid", format!("patch: {error}"))
            }
            PatchError::TooLarge => Error::new(413, "too-long", error.to_string()),
            PatchError::Place { .. } | PatchError::Path { .. } => {
                Error::new(422, "processing", format!("patch: {error}"))
            }
        }
    }
}

impl Engine {
    /// `id` is `None` for a conditional patch, which needs exactly one match. The result is validated like an update; it
    /// cannot change the type or the id.
    pub async fn patch(
        &self,
        session: &Session,
        ty: TypeId,
        id: Option<&str>,
        patch: Patch<'_>,
        precondition: &Precondition,
    ) -> Result<Written, Error> {
        let name = defs::r4().ty(ty).name;
        let entity = id.map_or_else(|| name.to_owned(), |id| format!("{name}/{id}"));
        let mut access = Access::new(session, "patch", entity).with_criteria(precondition.criteria.as_deref());
        let tenant = self.admit(&access, Some(ty)).await?;
        let result = self.patch_in(&tenant, &mut access, ty, id, patch, precondition).await;
        self.note_write(&tenant, &access, &result).await;
        result
    }

    async fn patch_in(
        &self,
        tenant: &Tenant,
        access: &mut Access<'_>,
        ty: TypeId,
        id: Option<&str>,
        patch: Patch<'_>,
        precondition: &Precondition,
    ) -> Result<Written, Error> {
        let operations = Operations::parse(patch)?;
        let mut attempt = 1;
        loop {
            let stored = self.patch_target(access.session, tenant, ty, id, precondition).await?;
            precondition.check(Some(&stored))?;
            let prepared = self.patched(access.session, &stored, &operations)?;
            access.touches(ty, &stored.id, prepared.patient.clone());
            if prepared.body == stored.body {
                return Ok(Written { change: Change::Unchanged, resource: Some(stored.into()) });
            }
            match self.commit_one(tenant, access, prepared, stored.version, Op::Update).await {
                Err(error) if error.status == 409 && attempt < ATTEMPTS_MAX => attempt += 1,
                result => return result.map_err(|error| lost(error, precondition)),
            }
        }
    }

    pub(crate) async fn patch_target(
        &self,
        session: &Session,
        tenant: &Tenant,
        ty: TypeId,
        id: Option<&str>,
        precondition: &Precondition,
    ) -> Result<Stored, Error> {
        let Some(id) = id else {
            let criteria = precondition.criteria.as_deref().unwrap_or_default();
            let found = self.find_one(session, tenant, ty, criteria).await?.at_most_one()?;
            return found.ok_or_else(|| Error::not_found(defs::r4().ty(ty).name));
        };
        prepare::check_client_id(ty, id)?;
        self.read_live(tenant, ty, id).await
    }

    /// The resource after the patch, checked.
    pub(crate) fn patched(
        &self,
        session: &Session,
        stored: &Stored,
        operations: &Operations,
    ) -> Result<Prepared, Error> {
        // A patch sees what a reader sees, meta included.
        let document = Document::parse(&stored.json(), &Limits::default())?;
        let mut text = Vec::new();
        operations.apply(&Value::from(document.root()))?.write(&mut text);
        self.prepare(session, stored.ty, &stored.id, BodyId::MustMatch, &text)
    }
}

/// A parsed patch.
#[derive(Debug)]
pub(crate) enum Operations {
    Json(Document),
    FhirPath(Document),
}

impl Operations {
    pub(crate) fn parse(patch: Patch<'_>) -> Result<Operations, Error> {
        Ok(match patch {
            Patch::Json(body) => Operations::Json(Document::parse(body, &Limits::default())?),
            Patch::FhirPath(body) => Operations::FhirPath(Document::parse(body, &Limits::default())?),
        })
    }

    fn apply(&self, resource: &Value) -> Result<Value, Error> {
        Ok(match self {
            Operations::Json(patch) => json_patch(resource, patch.root())?,
            Operations::FhirPath(parameters) => fhirpath_patch(defs::r4(), resource, parameters.root())?,
        })
    }
}
