//! One site of an OpenEMR: its three doors, and who knocks.

use super::auth::{AuthError, Given, Reader, Tokens, Vault, Writer};
use crate::http::{ANSWER_BYTES_MAX, Answer, Client, Lost};
use crate::turns::Turns;
use delivery::{Outcome, Problem};
use fhir::json::Value;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};
use std::sync::Arc;
use store::Clock;

/// Turns that a request may use up for renewals before it is given up.
const RENEWALS_MAX: usize = 3;

/// By whose right a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Nobody,
    /// The backend service: reads by FHIR.
    Reader,
    /// The service user: writes, and everything of the REST API.
    Writer,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Lost(Lost),
    Auth(AuthError),
}

impl Failure {
    /// What it means for a write.
    pub(super) fn of_write(self) -> Outcome {
        match self {
            Failure::Lost(lost) => crate::outcome::of_lost(lost),
            Failure::Auth(error) => of_auth(error),
        }
    }

    /// What it means for a read on the way to a write: nothing has been written.
    pub(super) fn of_read(self) -> Outcome {
        match self.of_write() {
            Outcome::Unknown(problem) => Outcome::Retry { problem, after: None },
            other => other,
        }
    }

    pub(super) fn problem(self) -> Problem {
        match self.of_read() {
            Outcome::Retry { problem, .. } | Outcome::Refused(problem) => problem,
            _ => Problem::default(),
        }
    }
}

fn of_auth(error: AuthError) -> Outcome {
    let text = error.to_string();
    match error {
        AuthError::LockedOut | AuthError::Refused(_) => {
            Outcome::Retry { problem: Problem::new(401, text), after: None }
        }
        AuthError::Unavailable { problem, after } => {
            Outcome::Retry { problem: Problem::new(problem.status, text), after }
        }
        AuthError::Ending => Outcome::Retry { problem: Problem::new(0, text), after: None },
    }
}

#[derive(Debug)]
pub(super) struct Site {
    client: Client,
    fhir: String,
    rest: String,
    reader: Tokens,
    writer: Tokens,
}

pub(super) fn root(base: &str) -> &str {
    base.trim_end_matches('/')
}

/// The token endpoint of a site.
pub(super) fn token_url(base: &str, site: &str) -> String {
    format!("{}/oauth2/{site}/token", root(base))
}

impl Site {
    pub(super) fn new(
        client: Client,
        base: &str,
        site: &str,
        clock: Arc<dyn Clock>,
        reader: Reader,
        writers: Vec<Writer>,
        vault: Arc<dyn Vault>,
    ) -> Site {
        let root = root(base);
        let token_url = token_url(base, site);
        Site {
            fhir: format!("{root}/apis/{site}/fhir"),
            rest: format!("{root}/apis/{site}/api"),
            reader: Tokens::reader(client.clone(), token_url.clone(), clock.clone(), reader),
            writer: Tokens::writer(client.clone(), token_url, clock, vault, writers),
            client,
        }
    }

    pub(super) fn fhir_base(&self) -> &str {
        &self.fhir
    }

    pub(super) async fn is_locked_out(&self) -> bool {
        self.writer.is_locked_out().await
    }

    /// A request to the FHIR API; `path` begins with a slash.
    pub(super) fn fhir(&self, method: Method, path: &str, body: Option<&Value>) -> RequestBuilder {
        let request = self.client.request(method, &format!("{}{path}", self.fhir));
        with_json(request, "application/fhir+json", body)
    }

    /// A request to the REST API; `path` begins with a slash.
    pub(super) fn rest(&self, method: Method, path: &str, body: Option<&Value>) -> RequestBuilder {
        let request = self.client.request(method, &format!("{}{path}", self.rest));
        with_json(request, "application/json", body)
    }

    pub(super) async fn send(&self, turns: &dyn Turns, who: Who, request: RequestBuilder) -> Result<Answer, Failure> {
        self.send_long(turns, who, request, ANSWER_BYTES_MAX).await
    }

    /// Waits for its turn, shows the token, sends, and reads the answer. After a 401 the token is renewed once.
    pub(super) async fn send_long(
        &self,
        turns: &dyn Turns,
        who: Who,
        request: RequestBuilder,
        bytes_max: usize,
    ) -> Result<Answer, Failure> {
        let tokens = match who {
            Who::Nobody => None,
            Who::Reader => Some(&self.reader),
            Who::Writer => Some(&self.writer),
        };
        let (mut renewals, mut rejected) = (0, false);
        loop {
            let mut turn = turns.next().await.ok_or(Failure::Lost(Lost::Ending))?;
            let copy = request.try_clone();
            let Some(mut attempt) = copy else {
                return Err(Failure::Lost(Lost::NotSent(Problem::new(0, "no request"))));
            };
            let mut shown = None;
            if let Some(tokens) = tokens {
                match tokens.give(turn, renewals > 0).await.map_err(Failure::Auth)? {
                    Given::Token(token, unused) => {
                        attempt = attempt.bearer_auth(token.expose());
                        shown = Some(token);
                        turn = unused;
                    }
                    Given::Stale => continue,
                    Given::Renewed if renewals < RENEWALS_MAX => {
                        renewals += 1;
                        continue;
                    }
                    Given::Renewed => {
                        let problem = Problem::new(401, "access tokens expire before they can be used");
                        return Err(Failure::Auth(AuthError::Unavailable { problem, after: None }));
                    }
                }
            }
            let answer = self.client.exchange(attempt, bytes_max).await;
            drop(turn);
            match (answer, tokens, shown) {
                (Ok(answer), Some(tokens), Some(token)) if answer.status == 401 => {
                    tokens.reject(&token).await;
                    if rejected {
                        return Ok(answer);
                    }
                    rejected = true;
                }
                (answer, ..) => return answer.map_err(Failure::Lost),
            }
        }
    }
}

fn with_json(request: RequestBuilder, media_type: &'static str, body: Option<&Value>) -> RequestBuilder {
    let request = request.header(ACCEPT, media_type);
    match body {
        Some(body) => request.header(CONTENT_TYPE, media_type).body(body.to_string().into_bytes()),
        None => request,
    }
}
