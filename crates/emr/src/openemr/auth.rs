//! Access tokens of OpenEMR. Reads go by a backend service that signs assertions, writes by a service user whose refresh token
//! works once.

use crate::http::{ANSWER_BYTES_MAX, Answer, Client, Lost};
use crate::turns::Turn;
use delivery::{Async, Problem};
use fhir::json;
use fhir::json::Value;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use seal::Secret;
use seal::jwt::SigningKey;
use std::sync::Arc;
use std::time::Duration;
use store::Clock;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Life of an assertion. OpenEMR takes up to a day; it is used at once.
const ASSERTION_LIFE_S: i64 = 240;
/// Life of an access token that does not say how long it lives.
const LIFE_S: i64 = 60;
/// A turn that has waited longer than this for others is given back: used now, it would arrive together with those after it.
const STALE: Duration = Duration::from_millis(20);
/// A token is renewed when so much of its life is over.
const RENEW_AT_PERCENT: i64 = 65;

/// The backend service that reads: `client_credentials` with a signed assertion.
#[derive(Clone, Debug)]
pub struct Reader {
    pub client_id: String,
    pub key: SigningKey,
    /// Such as `system/Patient.read`; OpenEMR gives a token without scopes no data.
    pub scopes: Vec<String>,
}

/// The service user that writes.
#[derive(Clone, Debug)]
pub struct Writer {
    pub client_id: String,
    pub client_secret: Secret,
    pub refresh_token: Secret,
}

/// Where refresh tokens are kept.
pub trait Vault: Send + Sync + std::fmt::Debug {
    /// On disk when it answers. Called before the access token that came with it is used; after a crash the service user of this
    /// client goes on with what was kept last.
    fn keep<'a>(&'a self, client_id: &'a str, refresh_token: &'a Secret) -> Async<'a, Result<(), VaultError>>;
}

#[derive(Debug, thiserror::Error)]
#[error("the refresh token could not be kept: {0}")]
pub struct VaultError(pub String);

/// Why there is no access token.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AuthError {
    /// Somebody has to enrol the service user again; nothing is written until then.
    #[error("the refresh token of the service user is not valid any more: enrol it again")]
    LockedOut,
    /// The client is unknown, was not enabled, or its key is not the one that was registered.
    #[error("the EMR refuses the client: {0}")]
    Refused(String),
    #[error("no access token: {}", .problem.text)]
    Unavailable { problem: Problem, after: Option<Duration> },
    /// The dispatcher ends.
    #[error("stopped before it was sent")]
    Ending,
}

#[derive(Debug)]
enum Credential {
    Reader(Reader),
    /// The service user and those that stand in for it.
    Writers(Vec<Writer>),
}

#[derive(Clone, Debug)]
struct Access {
    token: Secret,
    renew_us: i64,
    expires_us: i64,
}

#[derive(Debug)]
struct Held {
    credential: Credential,
    access: Option<Access>,
    /// A refresh token that is not on disk yet, and the access token that waits for it.
    unkept: Option<(Writer, Access)>,
}

#[derive(Debug)]
struct Inside {
    client: Client,
    token_url: String,
    clock: Arc<dyn Clock>,
    vault: Option<Arc<dyn Vault>>,
    held: Arc<Mutex<Held>>,
}

/// The access tokens of one credential. One renewal at a time.
#[derive(Debug)]
pub(super) struct Tokens(Arc<Inside>);

/// What came of a turn.
#[derive(Debug)]
pub(super) enum Given {
    /// The turn has not been used.
    Token(Secret, Turn),
    /// The turn went into a renewal: another one is needed.
    Renewed,
    /// The turn was given back because it had waited for somebody else's renewal: another one is needed.
    Stale,
}

impl Tokens {
    pub(super) fn reader(client: Client, token_url: String, clock: Arc<dyn Clock>, reader: Reader) -> Tokens {
        Tokens::new(client, token_url, clock, None, Credential::Reader(reader))
    }

    /// `writers`: the service user first, then those that stand in for it when it is locked out.
    pub(super) fn writer(
        client: Client,
        token_url: String,
        clock: Arc<dyn Clock>,
        vault: Arc<dyn Vault>,
        writers: Vec<Writer>,
    ) -> Tokens {
        Tokens::new(client, token_url, clock, Some(vault), Credential::Writers(writers))
    }

    fn new(
        client: Client,
        token_url: String,
        clock: Arc<dyn Clock>,
        vault: Option<Arc<dyn Vault>>,
        credential: Credential,
    ) -> Tokens {
        let held = Arc::new(Mutex::new(Held { credential, access: None, unkept: None }));
        Tokens(Arc::new(Inside { client, token_url, clock, vault, held }))
    }

    /// An access token. `fresh`: the caller has just renewed, so any token that still lives will do.
    ///
    /// The turn is taken before the lock: whoever holds the lock never waits for a turn.
    pub(super) async fn give(&self, turn: Turn, fresh: bool) -> Result<Given, AuthError> {
        let taken = Instant::now();
        let held = self.0.held.clone().lock_owned().await;
        if taken.elapsed() > STALE {
            return Ok(Given::Stale);
        }
        if let Some(token) = self.0.valid(&held, fresh) {
            return Ok(Given::Token(token, turn));
        }
        let inside = self.0.clone();
        // In a task of its own: a renewal that is cut off between answer and disk would lock the service user out.
        let renewed = tokio::spawn(async move { inside.renew(held, turn).await });
        renewed.await.unwrap_or(Err(AuthError::Ending))
    }

    /// The EMR has refused this token.
    pub(super) async fn reject(&self, token: &Secret) {
        let mut held = self.0.held.lock().await;
        if held.access.as_ref().is_some_and(|access| access.token.is(token.expose())) {
            held.access = None;
        }
    }

    /// Whether no refresh token is left.
    pub(super) async fn is_locked_out(&self) -> bool {
        matches!(&self.0.held.lock().await.credential, Credential::Writers(writers) if writers.is_empty())
    }
}

impl Inside {
    /// The access token, unless it is to be renewed.
    fn valid(&self, held: &Held, fresh: bool) -> Option<Secret> {
        let now = self.clock.now_us();
        let until = |access: &Access| if fresh { access.expires_us } else { access.renew_us };
        held.access.as_ref().filter(|access| now < until(access)).map(|access| access.token.clone())
    }

    async fn renew(&self, mut held: OwnedMutexGuard<Held>, turn: Turn) -> Result<Given, AuthError> {
        if held.unkept.is_some() {
            // Nothing is asked for before what came last is on disk.
            self.keep(&mut held).await?;
            return Ok(Given::Stale);
        }
        held.access = None;
        let form = self.form(&held.credential)?;
        let request = self.client.request(Method::POST, &self.token_url).header(ACCEPT, "application/json");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let answer = self.client.authenticate(request, ANSWER_BYTES_MAX).await;
        drop(turn);
        self.take(&mut held, answer).await?;
        Ok(Given::Renewed)
    }

    fn form(&self, credential: &Credential) -> Result<String, AuthError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        match credential {
            Credential::Reader(reader) => {
                let assertion = assertion(reader, &self.token_url, self.clock.now_us() / 1_000_000)?;
                form.append_pair("grant_type", "client_credentials");
                form.append_pair("client_assertion_type", ASSERTION_TYPE);
                form.append_pair("client_assertion", &assertion);
                form.append_pair("scope", &reader.scopes.join(" "));
            }
            Credential::Writers(writers) => {
                let writer = writers.first().ok_or(AuthError::LockedOut)?;
                form.append_pair("grant_type", "refresh_token");
                form.append_pair("client_id", &writer.client_id);
                form.append_pair("client_secret", writer.client_secret.expose());
                form.append_pair("refresh_token", writer.refresh_token.expose());
            }
        }
        Ok(form.finish())
    }

    /// Takes the answer of the token endpoint in.
    async fn take(&self, held: &mut Held, answer: Result<Answer, Lost>) -> Result<(), AuthError> {
        let answer = answer.map_err(|lost| match lost {
            Lost::NotSent(problem) | Lost::Unknown(problem) => AuthError::Unavailable { problem, after: None },
            Lost::Ending => AuthError::Ending,
        })?;
        let body = Value::parse(&String::from_utf8_lossy(&answer.body)).unwrap_or_default();
        let token = body.str("access_token").filter(|_| answer.status == 200);
        let Some(token) = token else { return Err(self.refused(held, &answer, &body)) };
        let life_s = body.get("expires_in").and_then(|life| life.scalar()?.parse().ok());
        let life_us = life_s.unwrap_or(LIFE_S).clamp(1, 86_400) * 1_000_000;
        let now = self.clock.now_us();
        let renew_us = now + life_us / 100 * RENEW_AT_PERCENT;
        let access = Access { token: Secret::new(token.to_owned()), renew_us, expires_us: now + life_us };
        let writer = match &mut held.credential {
            Credential::Reader(_) => None,
            Credential::Writers(writers) => writers.first_mut(),
        };
        match (writer, body.str("refresh_token")) {
            (Some(writer), Some(refresh)) => {
                writer.refresh_token = Secret::new(refresh.to_owned());
                held.access = None;
                held.unkept = Some((writer.clone(), access));
                self.keep(held).await
            }
            _ => {
                held.access = Some(access);
                Ok(())
            }
        }
    }

    /// Puts a new refresh token on disk; only then its access token may be used.
    async fn keep(&self, held: &mut Held) -> Result<(), AuthError> {
        let (Some((writer, access)), Some(vault)) = (&held.unkept, &self.vault) else { return Ok(()) };
        vault.keep(&writer.client_id, &writer.refresh_token).await.map_err(|error| {
            tracing::error!(error = %error, "a new refresh token is only in memory");
            AuthError::Unavailable { problem: Problem::new(0, error.to_string()), after: None }
        })?;
        held.access = Some(access.clone());
        held.unkept = None;
        Ok(())
    }

    fn refused(&self, held: &mut Held, answer: &Answer, body: &Value) -> AuthError {
        let error = body.str("error").filter(|code| is_code(code)).unwrap_or_default();
        if let (Credential::Writers(writers), "invalid_grant") = (&mut held.credential, error) {
            if !writers.is_empty() {
                writers.remove(0);
            }
            let spare = writers.len();
            tracing::error!(spare, "OpenEMR refuses the refresh token of the service user: enrol it again");
            return match spare {
                0 => AuthError::LockedOut,
                _ => AuthError::Unavailable {
                    problem: Problem::new(401, "a spare service user takes over"),
                    after: None,
                },
            };
        }
        let problem = Problem::new(answer.status, error);
        match answer.status {
            400 | 401 | 403 if !error.is_empty() => AuthError::Refused(error.to_owned()),
            _ => AuthError::Unavailable { problem, after: answer.retry_after },
        }
    }
}

/// Codes of OAuth errors; anything else might be content.
pub(super) fn is_code(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn assertion(reader: &Reader, token_url: &str, now_s: i64) -> Result<String, AuthError> {
    let mut id = [0; 16];
    seal::system_random(&mut id);
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let claims = json!({
        "iss": reader.client_id.as_str(),
        "sub": reader.client_id.as_str(),
        "aud": token_url,
        "jti": id,
        "iat": now_s,
        "exp": now_s + ASSERTION_LIFE_S
    });
    reader.key.sign(&claims.to_string()).map_err(|error| AuthError::Refused(error.to_string()))
}
