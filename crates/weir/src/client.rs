//! HTTP to a running weir or any other FHIR server.

use anyhow::{Context, Result, bail};
use fhir::json::{Document, Limits};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use std::path::Path;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a server that says "later" is asked again.
const ATTEMPTS: u32 = 20;
const WAIT_MAX: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// Without a slash at the end.
    base: String,
    /// The whole `Authorization` header.
    authorization: Option<String>,
}

impl Client {
    /// `base` is a FHIR base such as `https://fhir.example.org/fhir`; `token_file` holds a bearer token, `ca_file` certificates
    /// in PEM that are trusted besides the system's.
    pub(crate) fn remote(base: &str, token_file: Option<&Path>, ca_file: Option<&Path>) -> Result<Client> {
        let is_http = base.starts_with("http://") || base.starts_with("https://");
        anyhow::ensure!(is_http, "{base} is no address of a FHIR server\nhint: such as http://127.0.0.1:8080/fhir");
        let token = token_file.map(crate::wiring::secret).transpose()?;
        let authorization = token.map(|token| format!("Bearer {}", token.expose()));
        let mut http = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT);
        if let Some(path) = ca_file {
            http = http.tls_certs_merge(authorities(path)?);
        }
        let http = http.build()?;
        Ok(Client { http, base: base.trim_end_matches('/').to_owned(), authorization })
    }

    /// The server that holds `data_dir` open.
    pub(crate) fn local(data_dir: &Path) -> Result<Client> {
        let socket = crate::control::socket(data_dir);
        anyhow::ensure!(
            socket.exists(),
            "{} is in use by another weir process that is no server\nhint: wait for it to end",
            data_dir.display()
        );
        let http = reqwest::Client::builder().unix_socket(socket).build()?;
        Ok(Client { http, base: "http://localhost".into(), authorization: None })
    }

    /// The same server, below `path`.
    pub(crate) fn below(mut self, path: &str) -> Client {
        self.base.push_str(path);
        self
    }

    /// Creates a resource and answers its id.
    pub(crate) async fn create(&self, name: &str, body: &[u8]) -> Result<String> {
        let headers = self.exchange(Method::POST, &format!("/{name}"), body).await?.1;
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).context("no Location")?;
        let (_, rest) = location.rsplit_once(&format!("{name}/")).context("a Location without an id")?;
        Ok(rest.split('/').next().unwrap_or_default().to_owned())
    }

    /// Sends `body` to `path` and answers the body of a success. While the server says that it is full (429, or 503 before
    /// it began), the request is repeated as the server asks.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        Ok(self.exchange(method, path, body).await?.0)
    }

    async fn exchange(&self, method: Method, path: &str, body: &[u8]) -> Result<(Vec<u8>, HeaderMap)> {
        for attempt in 1.. {
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.base)).body(body.to_vec());
            request = request.header(CONTENT_TYPE, "application/fhir+json").header(ACCEPT, "application/fhir+json");
            request = request.header("Prefer", "return=minimal");
            if let Some(authorization) = &self.authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            // Its own message would repeat the URL, and with it ids.
            let answer =
                request.send().await.map_err(reqwest::Error::without_url).context("the server does not answer")?;
            let status = answer.status();
            let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let headers = answer.headers().clone();
            let answer = answer.bytes().await.map_err(reqwest::Error::without_url)?;
            match (status, seconds) {
                (status, _) if status.is_success() => return Ok((answer.to_vec(), headers)),
                (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(seconds))
                    if attempt < ATTEMPTS =>
                {
                    tokio::time::sleep(Duration::from_secs(seconds).min(WAIT_MAX)).await;
                }
                _ => bail!("{}: {}", status.as_u16(), reason(&answer)),
            }
        }
        unreachable!("the last attempt returns")
    }
}

/// The certificates in a PEM file.
fn authorities(path: &Path) -> Result<Vec<reqwest::Certificate>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&text).unwrap_or_default();
    anyhow::ensure!(
        !certificates.is_empty(),
        "{} holds no certificate\nhint: a PEM file has lines with BEGIN CERTIFICATE",
        path.display()
    );
    Ok(certificates)
}

/// What an OperationOutcome says, or the start of a text.
fn reason(answer: &[u8]) -> String {
    let limits = Limits { bytes_max: usize::MAX, ..Limits::default() };
    let outcome = Document::parse(answer, &limits).ok();
    let issues = outcome.as_ref().and_then(|outcome| outcome.root().get("issue"));
    let diagnostics: Vec<String> = issues
        .into_iter()
        .flat_map(|issues| issues.each())
        .filter_map(|issue| Some(issue.str("diagnostics")?.into_owned()))
        .collect();
    match diagnostics.is_empty() {
        true => String::from_utf8_lossy(&answer[..answer.len().min(300)]).into_owned(),
        false => diagnostics.join("; "),
    }
}
