//! The way in for commands on the machine of a running server: its API and its [`Task`]s over a Unix socket in the data
//! directory. Whoever may write to that directory may use it; nobody else can reach it.

use crate::task::{Done, Task};
use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use engine::Engine;
use registry::Registry;
use std::path::{Path, PathBuf};
use store::Store;
use tokio::net::UnixListener;

pub(crate) const TASK_PATH: &str = "/control/task";

pub(crate) fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Takes the socket away when the server stops.
pub(crate) fn unbind(data_dir: &Path) {
    if let Err(error) = std::fs::remove_file(socket(data_dir)) {
        tracing::warn!(error = %error, "cannot remove the control socket");
    }
}

/// Listens in the data directory, which this process owns: a socket that is there was left by a server that died.
pub(crate) fn bind(data_dir: &Path) -> Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    let path = socket(data_dir);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", path.display()));
        }
        _ => {}
    }
    let listener = UnixListener::bind(&path).with_context(|| {
        format!("cannot listen on {}\nhint: the path of the data directory may have 90 bytes at most", path.display())
    })?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// `api` (made without a token) and the tasks.
pub(crate) fn router(store: Store, engine: Engine, registry: Registry, api: Router) -> Router {
    Router::new().route(TASK_PATH, post(perform)).with_state((store, engine, registry)).merge(api)
}

type Parts = (Store, Engine, Registry);

async fn perform(State((store, engine, registry)): State<Parts>, body: String) -> Response {
    let outcome = tokio::task::spawn_blocking(move || -> Result<Done> {
        let task: Task = serde_json::from_str(&body).context("not a task of this version of weir")?;
        task.run(&store, || Ok((engine, registry)), true)
    });
    match outcome.await {
        Ok(Ok(done)) => serde_json::to_string(&done).unwrap_or_default().into_response(),
        Ok(Err(error)) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{error:#}")).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the task ended abnormally").into_response(),
    }
}
