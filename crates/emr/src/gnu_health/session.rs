//! The one door to a GNU Health, and the session of the service user behind it.

use super::answer::{self, Failure};
use crate::http::{ANSWER_BYTES_MAX, Answer, Client, Lost};
use crate::turns::{Turn, Turns};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use delivery::{Outcome, Problem};
use fhir::json;
use fhir::json::Value;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use seal::Secret;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A turn that has waited longer than this for others is given back: used now, it would arrive together with those after it.
const STALE: Duration = Duration::from_millis(20);

#[derive(Clone, Debug)]
struct Session {
    /// The header by which it is shown.
    shown: Secret,
    /// The user's company, which Tryton expects with each call; unknown until it has been asked for.
    context: Option<Value>,
}

#[derive(Debug)]
pub(super) struct Door {
    client: Client,
    url: String,
    login: String,
    password: Secret,
    session: Mutex<Option<Session>>,
}

/// What came of a turn.
enum Given {
    /// The turn has not been used.
    Session(Session, Turn),
    /// The turn went into the session, or was given back: another one is needed.
    Again,
}

impl Door {
    pub(super) fn new(client: Client, base: &str, database: &str, login: String, password: Secret) -> Door {
        let url = format!("{}/{database}/", base.trim_end_matches('/'));
        Door { client, url, login, password, session: Mutex::new(None) }
    }

    /// Calls a method of a model; the context is added to its parameters. After a session has expired it logs in again, once.
    pub(super) async fn call(&self, turns: &dyn Turns, method: &str, parameters: &[Value]) -> Result<Value, Failure> {
        let mut expired = false;
        loop {
            let turn = turns.next().await.ok_or_else(|| Failure::lost(Lost::Ending))?;
            let (session, turn) = match self.session(turn).await? {
                Given::Session(session, turn) => (session, turn),
                Given::Again => continue,
            };
            let mut parameters = parameters.to_vec();
            parameters.push(session.context.clone().unwrap_or_default());
            let answer = self.post(Some(&session), &format!("model.{method}"), parameters).await;
            drop(turn);
            let answer = answer.map_err(Failure::lost)?;
            if answer.status == 401 {
                self.forget(&session).await;
                if !expired {
                    expired = true;
                    continue;
                }
            }
            return answer::result(&answer);
        }
    }

    /// The session, made if there is none. The turn is taken before the lock: whoever holds the lock never waits for a turn.
    async fn session(&self, turn: Turn) -> Result<Given, Failure> {
        let taken = Instant::now();
        let mut held = self.session.lock().await;
        if taken.elapsed() > STALE {
            return Ok(Given::Again);
        }
        match &*held {
            Some(session) if session.context.is_some() => return Ok(Given::Session(session.clone(), turn)),
            Some(session) => {
                let session = session.clone();
                let asked = self.context(&session).await;
                drop(turn);
                *held = match asked {
                    Ok(context) => Some(Session { context: Some(context), ..session }),
                    Err(failure) => {
                        *held = None;
                        return Err(failure);
                    }
                };
            }
            None => {
                let made = self.log_in().await;
                drop(turn);
                *held = Some(made?);
            }
        }
        Ok(Given::Again)
    }

    async fn log_in(&self) -> Result<Session, Failure> {
        let secrets = json!({ "password": self.password.expose() });
        let parameters = vec![self.login.as_str().into(), secrets, "en".into()];
        let request = self.request(None, "common.db.login", parameters);
        let answer = self.client.authenticate(request, ANSWER_BYTES_MAX).await;
        let answer = answer.map_err(|lost| Failure::Other(Failure::lost(lost).of_read()))?;
        let refused = |text| Failure::Other(Outcome::Retry { problem: Problem::new(answer.status, text), after: None });
        match answer.status {
            200 => {}
            401 | 403 => return Err(refused("GNU Health refuses the login of the service user")),
            429 => return Err(refused("GNU Health has locked the service user out for a while after failed logins")),
            _ => return Err(Failure::Other(Failure::Other(crate::outcome::of_failure(&answer)).of_read())),
        }
        let result = answer::result(&answer).map_err(|failure| Failure::Other(failure.of_read()))?;
        let key = result.items().get(1).and_then(Value::as_str);
        let (user, key) = result.items().first().and_then(answer::number).zip(key).ok_or_else(|| {
            // Such as a second factor that it asks for.
            refused("the login of the service user needs more than a password")
        })?;
        let shown = STANDARD.encode(format!("{}:{user}:{key}", self.login));
        Ok(Session { shown: Secret::new(format!("Session {shown}")), context: None })
    }

    /// What Tryton's own clients send with each call. Messages are to be in English: the connector reads some of them.
    async fn context(&self, session: &Session) -> Result<Value, Failure> {
        let parameters = vec![Value::Bool(true), json!({})];
        let answer = self.post(Some(session), "model.res.user.get_preferences", parameters).await;
        let answer = answer.map_err(|lost| Failure::Other(Failure::lost(lost).of_read()))?;
        let preferences = answer::result(&answer).map_err(|failure| Failure::Other(failure.of_read()))?;
        let mut context = json!({ "language": "en" });
        if let Some(company) = preferences.get("company").and_then(answer::number) {
            context.set("company", company);
        }
        Ok(context)
    }

    /// GNU Health has refused this session.
    async fn forget(&self, session: &Session) {
        let mut held = self.session.lock().await;
        if held.as_ref().is_some_and(|held| held.shown.is(session.shown.expose())) {
            *held = None;
        }
    }

    async fn post(&self, session: Option<&Session>, method: &str, parameters: Vec<Value>) -> Result<Answer, Lost> {
        self.client.exchange(self.request(session, method, parameters), ANSWER_BYTES_MAX).await
    }

    fn request(&self, session: Option<&Session>, method: &str, parameters: Vec<Value>) -> reqwest::RequestBuilder {
        let body = json!({ "id": 1, "method": method, "params": Value::Array(parameters) });
        let request = self.client.request(Method::POST, &self.url).header(CONTENT_TYPE, "application/json");
        let request = match session {
            Some(session) => request.header(AUTHORIZATION, session.shown.expose()),
            None => request,
        };
        request.body(body.to_string().into_bytes())
    }
}
