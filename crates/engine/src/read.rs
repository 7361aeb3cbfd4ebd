//! Read and vread.

use crate::audit::{self, Access};
use crate::{Engine, Error, Resource, Session, trail};
use fhir::defs::{self, TypeId};
use store::{Op, Stored, Tenant};

impl From<Stored> for Resource {
    fn from(stored: Stored) -> Resource {
        let json = if stored.op == Op::Delete { Vec::new() } else { stored.json() };
        Resource {
            ty: stored.ty,
            id: stored.id,
            version: stored.version,
            last_updated_us: stored.at_us,
            op: stored.op,
            json,
        }
    }
}

impl Engine {
    /// The current version. 404 when there never was one, 410 when it is deleted.
    pub async fn read(&self, session: &Session, ty: TypeId, id: &str) -> Result<Resource, Error> {
        let mut access = Access::new(session, "read", audit::entity(ty, id));
        let tenant = self.admit(&access, Some(ty)).await?;
        let result = match trail::number(ty, id) {
            Some(no) => self.read_trail(&tenant, ty, no).await,
            None => self.read_live(&tenant, ty, id).await.map(|stored| {
                access.patient = audit::patient_in(ty, id, &stored.body);
                stored.into()
            }),
        };
        self.note_result(&tenant, &access, &result).await;
        result
    }

    /// One version. 410 when that version is a deletion.
    pub async fn vread(&self, session: &Session, ty: TypeId, id: &str, version: u64) -> Result<Resource, Error> {
        let mut access = Access::new(session, "vread", format!("{}/_history/{version}", audit::entity(ty, id)));
        let tenant = self.admit(&access, Some(ty)).await?;
        let result = match trail::number(ty, id) {
            Some(no) if version == 1 => self.read_trail(&tenant, ty, no).await,
            Some(_) => Err(Error::not_found("AuditEvent")),
            None => {
                let stored = tenant.read_version(ty, id, version).await.map_err(Error::from);
                stored.and_then(|stored| live(ty, stored)).map(|stored| {
                    access.patient = audit::patient_in(ty, id, &stored.body);
                    stored.into()
                })
            }
        };
        self.note_result(&tenant, &access, &result).await;
        result
    }

    /// The current version for the engine's own use: no audit record.
    pub(crate) async fn read_live(&self, tenant: &Tenant, ty: TypeId, id: &str) -> Result<Stored, Error> {
        live(ty, tenant.read(ty, id).await?)
    }
}

fn live(ty: TypeId, stored: Option<Stored>) -> Result<Stored, Error> {
    let name = defs::r4().ty(ty).name;
    match stored {
        None => Err(Error::not_found(name)),
        Some(stored) if stored.op == Op::Delete => Err(Error::gone(name, stored.version)),
        Some(stored) => Ok(stored),
    }
}
