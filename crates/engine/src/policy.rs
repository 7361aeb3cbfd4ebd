//! Who may do what. Today one rule: the local admin may do everything in the tenant of the session.
//!
//! Every interaction passes [`crate::Engine::admit`], which asks the policy and then opens the session's own tenant; there is
//! no other way from the engine to a [`Tenant`]. Roles and scopes come as further rules of [`Policy`].

use crate::audit::Access;
use crate::{Engine, Error, Role, Session};
use fhir::defs::TypeId;
use store::{Tenant, TenantId};

/// Tenant that exists without having been made by an operator.
const DEFAULT_TENANT: &str = "default";

#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    admin: Role,
}

impl Policy {
    pub(crate) fn local_admin() -> Policy {
        Policy { admin: Role::Admin }
    }

    /// `ty` is `None` for interactions with the whole system.
    pub(crate) fn allows(&self, session: &Session, _interaction: &str, _ty: Option<TypeId>) -> bool {
        session.who.role == self.admin && !session.who.id.is_empty()
    }
}

impl Engine {
    /// The door. A refusal leaves an audit record as well.
    pub(crate) async fn admit(&self, access: &Access<'_>, ty: Option<TypeId>) -> Result<Tenant, Error> {
        let tenant = self.tenant(access.session)?;
        if self.inner.policy.allows(access.session, access.interaction, ty) {
            return Ok(tenant);
        }
        let text = format!("this principal may not {}: sign in with a role that may", access.interaction);
        let refusal = Error::new(403, "forbidden", text);
        self.note(&tenant, access, refusal.status).await;
        Err(refusal)
    }

    /// The session's tenant. A name that no operator has made a tenant of is an error and makes no directory.
    pub(crate) fn tenant(&self, session: &Session) -> Result<Tenant, Error> {
        let id = &session.tenant;
        if !self.inner.known.contains(&self.inner.store, id)? {
            return Err(store::StoreError::UnknownTenant.into());
        }
        Ok(self.inner.store.tenant(id)?)
    }
}

/// Tenants known to exist, so that the directory is read once per tenant and not once per request.
#[derive(Debug, Default)]
pub(crate) struct KnownTenants(std::sync::Mutex<std::collections::HashSet<TenantId>>);

impl KnownTenants {
    fn contains(&self, store: &store::Store, id: &TenantId) -> Result<bool, Error> {
        let mut known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if id.0 == DEFAULT_TENANT || known.contains(id) {
            return Ok(true);
        }
        let exists = store.tenants()?.contains(id);
        if exists {
            known.insert(id.clone());
        }
        Ok(exists)
    }
}
