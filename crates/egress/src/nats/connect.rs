//! The connection to a NATS server.

use crate::{OutletError, Settings};
use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::{ConnectErrorKind, ConnectOptions};

/// A short break heals by itself; after that the follower begins anew.
const RECONNECTS_MAX: usize = 3;

fn options(settings: &Settings) -> Result<ConnectOptions, OutletError> {
    let mut options = ConnectOptions::new()
        .name("weir")
        .connection_timeout(settings.timeout)
        .request_timeout(Some(settings.timeout))
        .max_reconnects(RECONNECTS_MAX)
        .require_tls(settings.url.starts_with("tls://") || !settings.is_local());
    if let Some(ca_file) = &settings.ca_file {
        options = options.add_root_certificates(ca_file.clone());
    }
    let Some(login) = &settings.login else { return Ok(options) };
    let text = login.expose().trim();
    if text.starts_with("-----BEGIN NATS USER JWT-----") {
        // What it says of a wrong file may repeat parts of it.
        return options.credentials(text).map_err(|_| OutletError::Refused("the credentials file is damaged".into()));
    }
    Ok(match text.split_once(':') {
        Some((user, password)) => options.user_and_password(user.into(), password.into()),
        None => options.token(text.into()),
    })
}

pub(super) async fn connect(settings: &Settings) -> Result<Context, OutletError> {
    let client = options(settings)?.connect(&settings.url).await.map_err(|error| {
        let text = format!("no connection to {}: {error}", settings.url);
        match error.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                OutletError::Refused(format!("{text}; is the credentials file right?"))
            }
            ConnectErrorKind::ServerParse => OutletError::Refused(text),
            _ => OutletError::Passing(text),
        }
    })?;
    Ok(ContextBuilder::new().timeout(settings.timeout).ack_timeout(settings.timeout).build(client))
}
