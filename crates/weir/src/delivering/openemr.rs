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
    let first = secret(&keys.refresh_token_file).context("openemr.refresh_token_file")?;
    let vault = KeptTokens { feed, space: format!("emr/{}", destination.name), first: fingerprint(&first) };
    let writer = Writer {
        client_id: keys.writer_client_id.clone(),
        client_secret: secret(&keys.writer_secret_file).context("openemr.writer_secret_file")?,
        refresh_token: vault.newest(&keys.writer_client_id).await?.unwrap_or(first),
    };
    let credentials = Credentials { reader, writers: vec![writer], vault: Arc::new(vault) };
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
    /// Fingerprint of the token of the file: kept ones that descend from another one count no more.
    first: String,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    first: String,
    token: String,
}

impl KeptTokens {
    async fn newest(&self, client_id: &str) -> Result<Option<Secret>> {
        let Some(row) = self.feed.state(&self.space, client_id).await? else { return Ok(None) };
        let kept: Kept = serde_json::from_slice(&row).context("a kept refresh token")?;
        Ok((kept.first == self.first).then(|| Secret::new(kept.token)))
    }
}

impl Vault for KeptTokens {
    fn keep<'a>(&'a self, client_id: &'a str, refresh_token: &'a Secret) -> Async<'a, Result<(), VaultError>> {
        Box::pin(async move {
            let kept = Kept { first: self.first.clone(), token: refresh_token.expose().to_owned() };
            let value = serde_json::to_vec(&kept).map_err(|error| VaultError(error.to_string()))?;
            let change = StateChange { space: self.space.clone(), key: client_id.to_owned(), value: Some(value) };
            let keep = Keep { state: vec![change], ..Keep::default() };
            self.feed.keep(keep).await.map_err(|error| VaultError(error.to_string()))
        })
    }
}
