//! A request that was read whole, and its answer.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// A request. Path segments and parameters are decoded.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: bytes::Bytes,
    /// Whether it came through TLS.
    pub(crate) secure: bool,
}

impl Request {
    /// A request that did not come through TLS.
    pub(crate) fn new(method: String, target: &str, headers: HeaderMap, body: bytes::Bytes) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Request { method, path: path.to_owned(), segments, query, headers, body, secure: false }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as a form.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// `http://host`, as the client named it.
    pub(crate) fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.header("host").unwrap_or("localhost"))
    }
}

/// A path segment without percent escapes. A plus stays a plus.
fn decode(segment: &str) -> String {
    let guarded = segment.replace('+', "%2B");
    form_urlencoded::parse(format!("{guarded}=").as_bytes())
        .next()
        .map_or_else(String::new, |(text, _)| text.into_owned())
}

/// An answer, and what was done for it.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Id of what was created or changed.
    pub(crate) committed: Option<String>,
    /// Business key of the body, where the path knows one.
    pub(crate) key: Option<String>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Reply {
        let headers = vec![("content-type", "application/json".to_owned())];
        Reply { status, headers, body: body.to_string().into_bytes(), ..Reply::default() }
    }

    pub(crate) fn fhir(status: u16, body: &Value) -> Reply {
        let headers = vec![("content-type", "application/fhir+json".to_owned())];
        Reply { status, headers, body: body.to_string().into_bytes(), ..Reply::default() }
    }

    pub(crate) fn empty(status: u16) -> Reply {
        Reply { status, ..Reply::default() }
    }

    /// As OpenEMR's API says 401, 403 and 500.
    pub(crate) fn error(status: u16, message: &str) -> Reply {
        let error = match status {
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            _ => "Internal Server Error",
        };
        Reply::json(status, &json!({ "error": error, "message": message, "code": status }))
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn committed(mut self, id: &str) -> Reply {
        self.committed = Some(id.to_owned());
        self
    }

    pub(crate) fn key(mut self, key: Option<String>) -> Reply {
        self.key = key;
        self
    }

    pub(crate) fn header_map(&self) -> HeaderMap {
        let pairs = self
            .headers
            .iter()
            .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?)));
        pairs.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_decoded() {
        let request = Request::new(
            "GET".into(),
            "/apis/default/fhir/Patient/a%20b+c?name=M%C3%BCller&x=1+2",
            HeaderMap::new(),
            bytes::Bytes::new(),
        );
        assert_eq!(request.segments.last().map(String::as_str), Some("a b+c"));
        assert_eq!(request.parameter("name"), Some("Müller"));
        assert_eq!(request.parameter("x"), Some("1 2"));
        assert_eq!(request.path, "/apis/default/fhir/Patient/a%20b+c");
    }
}
