//! Who is who: the key of a tenant's tokens.

use super::Done;
use anyhow::{Result, anyhow};
use engine::{Engine, Session};
use registry::Registry;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::TenantId;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) tenant: String,
    pub(crate) what: What,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum What {
    RotateKey,
}

/// What a task works with.
struct At<'a> {
    engine: &'a Engine,
    registry: &'a Registry,
    session: Session,
}

/// The engine's errors are no `std::error::Error`.
fn told<T>(result: Result<T, engine::Error>) -> Result<T> {
    result.map_err(|error| anyhow!("{error}"))
}

impl Identity {
    pub(crate) fn run(&self, engine: &Engine, registry: &Registry) -> Result<Done> {
        let session = Session { tenant: TenantId(self.tenant.clone()), ..crate::wiring::local_session("tracker") };
        let at = At { engine, registry, session };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match &self.what {
                What::RotateKey => rotate_key(&at).await,
            }
        })
    }
}

async fn rotate_key(at: &At<'_>) -> Result<Done> {
    let rotated = told(at.registry.rotate_key(at.engine, &at.session).await)?;
    Ok(Done {
        json: vec![json!({ "key": rotated.key, "records": rotated.records })],
        lines: vec![format!(
            "key {} is in force for {} records; the one before it is deleted",
            rotated.key, rotated.records
        )],
        success: true,
    })
}
