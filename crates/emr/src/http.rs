//! Requests to an EMR. Each waits for its turn first, and what its failure means for the request is told exactly.

use crate::alerts::{Called, Witness};
use crate::turns::Turns;
use delivery::Problem;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, RequestBuilder};
use std::time::Duration;
use tokio::time::Instant;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Answers to writes that are longer than this are lost: they are for ids and messages.
pub(crate) const ANSWER_BYTES_MAX: usize = 4 << 20;
/// What is said of an answer that is longer than it may be.
pub(crate) const TOO_LONG: &str = "the answer is too long";
/// A `Retry-After` of a server that is out of its mind.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// An HTTP client for one EMR. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    inner: reqwest::Client,
    witness: Option<Witness>,
}

/// The one constructor of HTTP clients for EMRs. `timeout` bounds a whole request.
pub fn client(timeout: Duration) -> reqwest::Result<Client> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        // An EMR that redirects a write is set up wrong; following would lose the method.
        .redirect(reqwest::redirect::Policy::none());
    Ok(Client { inner: builder.build()?, witness: None })
}

impl Client {
    /// `witness` sees all calls from now on.
    pub fn seen_by(self, witness: Witness) -> Client {
        Client { witness: Some(witness), ..self }
    }

    pub(crate) fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.inner.request(method, url)
    }

    /// Sends and reads an answer of `bytes_max` at most. The caller holds a turn.
    pub(crate) async fn exchange(&self, request: RequestBuilder, bytes_max: usize) -> Result<Answer, Lost> {
        self.witnessed(request, bytes_max, &[401, 403]).await
    }

    /// A request for a token: a refusal is one of who we are, whatever its status.
    pub(crate) async fn authenticate(&self, request: RequestBuilder, bytes_max: usize) -> Result<Answer, Lost> {
        self.witnessed(request, bytes_max, &[400, 401, 403]).await
    }

    async fn witnessed(&self, request: RequestBuilder, bytes_max: usize, refusals: &[u16]) -> Result<Answer, Lost> {
        let begun = Instant::now();
        let answer = exchange(request, bytes_max).await;
        if let Some(witness) = &self.witness {
            let called = match answer.as_ref().map(|answer| answer.status) {
                Ok(status) if refusals.contains(&status) => Called::Unauthorised,
                // What a request asked for wrongly says nothing about the EMR.
                Ok(status) if status < 500 && status != 408 && status != 429 => Called::Succeeded,
                _ => Called::Failed,
            };
            witness.called(begun.elapsed(), called);
        }
        answer
    }
}

/// How a connector shows who it is.
#[derive(Clone, Debug)]
pub enum Auth {
    None,
    /// A fixed bearer token.
    Bearer(seal::Secret),
}

/// A base URL and what requests to it carry.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    /// Without a slash at its end.
    base: String,
    auth: Auth,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// What it asks for in `Retry-After`, in seconds.
    pub retry_after: Option<Duration>,
}

/// No whole answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The request cannot have reached the server.
    NotSent(Problem),
    /// It may have.
    Unknown(Problem),
    /// The dispatcher is ending: nothing was sent.
    Ending,
}

impl Http {
    pub fn new(client: Client, base: &str, auth: Auth) -> Http {
        Http { client, base: base.trim_end_matches('/').to_owned(), auth }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request for JSON; `path` begins with a slash.
    pub fn request(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> RequestBuilder {
        let mut request = self.client.request(method, &format!("{}{path}", self.base));
        request = request.header(ACCEPT, "application/fhir+json");
        if let Auth::Bearer(token) = &self.auth {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        match body {
            Some(body) => request.header(CONTENT_TYPE, "application/fhir+json").body(body),
            None => request,
        }
    }

    /// Waits for its turn, sends, and reads the answer.
    pub async fn send(&self, turns: &dyn Turns, request: RequestBuilder) -> Result<Answer, Lost> {
        let Some(turn) = turns.next().await else { return Err(Lost::Ending) };
        let answer = self.client.exchange(request, ANSWER_BYTES_MAX).await;
        drop(turn);
        answer
    }
}

async fn exchange(request: RequestBuilder, bytes_max: usize) -> Result<Answer, Lost> {
    // The error's own text would repeat the URL, and with it ids.
    let mut response = request.send().await.map_err(|error| {
        let text = || Problem::new(0, reason(&error));
        // Before the connection stands, nothing of the request can have left.
        if error.is_connect() || error.is_builder() { Lost::NotSent(text()) } else { Lost::Unknown(text()) }
    })?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= bytes_max => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(Lost::Unknown(Problem::new(status, TOO_LONG))),
            Ok(None) => break,
            Err(error) => return Err(Lost::Unknown(Problem::new(status, reason(&error)))),
        }
    }
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    Ok(Answer { status, headers, body, retry_after })
}

fn reason(error: &reqwest::Error) -> &'static str {
    match () {
        () if error.is_timeout() => "no answer in time",
        () if error.is_connect() => "no connection",
        () => "the connection broke",
    }
}
