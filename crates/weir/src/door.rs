//! Where documents are written: the store that this process has open, or a running server.

use crate::client::Client;
use crate::wiring;
use engine::{Engine, Precondition};
use fhir::json::{Document, Limits};
use reqwest::Method;

#[derive(Clone)]
pub(crate) enum Door {
    Engine(Engine),
    /// At its FHIR base.
    Server(Client),
}

/// What became of a document.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) written: u64,
    pub(crate) refused: Vec<String>,
}

impl Door {
    /// Transactions and batches run as they are; other Bundles entry by entry; single resources keep their id.
    pub(crate) async fn write(&self, bytes: &[u8]) -> Result<Outcome, String> {
        let document = Document::parse(bytes, &Limits::default()).map_err(|error| error.to_string())?;
        let root = document.root();
        if root.str("resourceType").is_none_or(|name| name != "Bundle") {
            self.single(&document).await?;
            return Ok(Outcome { written: 1, refused: Vec::new() });
        }
        let entries = || root.get("entry").into_iter().flat_map(|entry| entry.each());
        if root.str("type").is_some_and(|kind| kind == "transaction" || kind == "batch") {
            let answer = self.bundle(bytes).await?;
            return Ok(outcomes(&answer, entries().count() as u64));
        }
        let mut outcome = Outcome::default();
        let bodies: Vec<&str> = entries().filter_map(|entry| Some(entry.get("resource")?.raw())).collect();
        for body in bodies {
            let document = Document::parse(body.as_bytes(), &Limits::default()).map_err(|error| error.to_string())?;
            match self.single(&document).await {
                Ok(()) => outcome.written += 1,
                Err(reason) => outcome.refused.push(reason),
            }
        }
        Ok(outcome)
    }

    /// Runs a batch or transaction and answers its response.
    pub(crate) async fn bundle(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Door::Engine(engine) => {
                let answer = engine.bundle(&wiring::local_session("load"), bytes).await;
                answer.map(|answer| answer.json).map_err(|error| error.to_string())
            }
            Door::Server(client) => client.send(Method::POST, "", bytes).await.map_err(|error| format!("{error:#}")),
        }
    }

    async fn single(&self, document: &Document) -> Result<(), String> {
        let root = document.root();
        let name = root.str("resourceType").ok_or("no resourceType")?.into_owned();
        let defs = fhir::defs::r4();
        let ty = defs.resource_by_name(&name).ok_or_else(|| {
            let hint = fhir::nearest::hint(&name, defs.resources().map(|ty| defs.ty(ty).name));
            format!("unknown resource type{hint}")
        })?;
        let id = root.str("id").map(|id| id.into_owned());
        let body = root.raw().as_bytes();
        match self {
            Door::Engine(engine) => {
                let (session, precondition) = (wiring::local_session("load"), Precondition::default());
                let written = match &id {
                    Some(id) => engine.update(&session, ty, Some(id), body, &precondition).await,
                    None => engine.create(&session, ty, body, &precondition).await,
                };
                written.map(drop).map_err(|error| error.to_string())
            }
            Door::Server(client) => {
                let sent = match &id {
                    Some(id) if fhir::index::is_id(id) => {
                        client.send(Method::PUT, &format!("/{name}/{id}"), body).await
                    }
                    Some(_) => return Err("id is not a FHIR id: 1 to 64 of A-Z a-z 0-9 - .".into()),
                    None => client.send(Method::POST, &format!("/{name}"), body).await,
                };
                sent.map(drop).map_err(|error| format!("{error:#}"))
            }
        }
    }
}

/// Entries of a response whose status is not a success.
fn outcomes(json: &[u8], entries: u64) -> Outcome {
    let mut refused = Vec::new();
    if let Ok(document) = Document::parse(json, &Limits { bytes_max: usize::MAX, ..Limits::default() }) {
        for (at, entry) in document.root().get("entry").into_iter().flat_map(|entry| entry.each()).enumerate() {
            let Some(response) = entry.get("response") else { continue };
            if response.str("status").is_some_and(|status| !status.starts_with('2')) {
                let text =
                    response.path(&["outcome", "issue"]).and_then(|issues| issues.each().next()?.str("diagnostics"));
                refused.push(format!("entry {at}: {}", text.unwrap_or_default()));
            }
        }
    }
    Outcome { written: entries - refused.len() as u64, refused }
}
