//! The OpenEMR connector from its settings, and where its refresh tokens are kept.

use crate::cmd::emr::READER_TYPES;
use crate::config::destination::Destination;
use crate::wiring::{SystemClock, secret};
use anyhow::{Context, Result, ensure};
use delivery::Async;
use emr::OpenEmr;
use emr::openemr::enroll::reader_scopes;
use emr::openemr::{Credentials, Reader, Settings, Vault, VaultError, Writer};
use engine::{Feed, Keep};
use seal::Secret;
use seal::jwt::SigningKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::StateChange;

pub(crate) async fn connector(
    destination: &Destination,
    client: emr::Client,
    quiesce: Duration,
    feed: Feed,
) -> Result<OpenEmr> {
    let keys = &destination.openemr;
    let settings = Settings {
        site: keys.site.clone(),
        quiesce,
        zone: destination.zone()?,
        facility: keys.facility.clone(),
        billing_facility: keys.billing_facility.clone(),
        category: keys.category.clone(),
        document_path: keys.document_path.clone(),
        staff: keys.staff.clone(),
        sender: keys.sender.clone(),
        ..Settings::new(&destination.url)
    };
    for (name, value) in [("client_id", &keys.client_id), ("writer_client_id", &keys.writer_client_id)] {
        ensure!(!value.is_empty(), "openemr.{name} is empty\nhint: enrol weir at the OpenEMR first, see the guide");
    }
    let pem = secret(&keys.key_file).context("openemr.key_file")?;
    let key = SigningKey::from_pem(pem.expose()).context("openemr.key_file")?;
    // Those that were registered: one that was not would fail every request for a token.
    let scopes = reader_scopes(READER_TYPES);
    let reader = Reader { client_id: keys.client_id.clone(), key, scopes };
    let mut vault = KeptTokens { feed, space: format!("emr/{}", destination.name), firsts: BTreeMap::new() };
    let mut writers =
        vec![vault.writer("", &keys.writer_client_id, &keys.writer_secret_file, &keys.refresh_token_file).await?];
    if !keys.spare_client_id.is_empty() {
        let files = (&keys.spare_secret_file, &keys.spare_refresh_token_file);
        writers.push(vault.writer("spare_", &keys.spare_client_id, files.0, files.1).await?);
    }
    let credentials = Credentials { reader, writers, vault: Arc::new(vault) };
    Ok(OpenEmr::new(settings, credentials, client, Arc::new(SystemClock)))
}

fn fingerprint(token: &Secret) -> String {
    seal::fingerprint(token.expose().as_bytes())
}

/// Refresh tokens among the kept state of the tenant, where they are sealed.
#[derive(Debug)]
struct KeptTokens {
    feed: Feed,
    space: String,
    /// By client, the fingerprint of the token of its file: kept ones that descend from another one count no more.
    firsts: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    first: String,
    token: String,
}

impl KeptTokens {
    /// A service user with its newest refresh token. `prefix`: of its keys in the configuration.
    async fn writer(&mut self, prefix: &str, client_id: &str, secret_file: &Path, token_file: &Path) -> Result<Writer> {
        let first = secret(token_file).with_context(|| format!("openemr.{prefix}refresh_token_file"))?;
        let key = if prefix.is_empty() { "writer_secret_file" } else { "spare_secret_file" };
        let client_secret = secret(secret_file).with_context(|| format!("openemr.{key}"))?;
        self.firsts.insert(client_id.to_owned(), fingerprint(&first));
        let refresh_token = self.newest(client_id).await?.unwrap_or(first);
        Ok(Writer { client_id: client_id.to_owned(), client_secret, refresh_token })
    }

    async fn newest(&self, client_id: &str) -> Result<Option<Secret>> {
        let Some(row) = self.feed.state(&self.space, client_id).await? else { return Ok(None) };
        let kept: Kept = serde_json::from_slice(&row).context("a kept refresh token")?;
        Ok((self.firsts.get(client_id) == Some(&kept.first)).then(|| Secret::new(kept.token)))
    }
}

impl Vault for KeptTokens {
    fn keep<'a>(&'a self, client_id: &'a str, refresh_token: &'a Secret) -> Async<'a, Result<(), VaultError>> {
        Box::pin(async move {
            let first = self.firsts.get(client_id).cloned().unwrap_or_default();
            let kept = Kept { first, token: refresh_token.expose().to_owned() };
            let value = serde_json::to_vec(&kept).map_err(|error| VaultError(error.to_string()))?;
            let change = StateChange { space: self.space.clone(), key: client_id.to_owned(), value: Some(value) };
            let keep = Keep { state: vec![change], ..Keep::default() };
            self.feed.keep(keep).await.map_err(|error| VaultError(error.to_string()))
        })
    }
}
