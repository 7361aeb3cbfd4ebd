//! Which form the client wants, and in which form it sends.

use crate::error::Failure;
use axum::http::{HeaderMap, StatusCode, header};

const FHIR_JSON: &str = "application/fhir+json; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
const NOT_XML: &str = "weir speaks FHIR JSON only: ask for application/fhir+json";

/// The media type to name in Content-Type. `_format` counts before Accept, as the specification says.
pub(crate) fn wanted(headers: &HeaderMap, pairs: &[(String, String)]) -> Result<&'static str, Failure> {
    let last = |name: &str| pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    match last("_format") {
        Some(format) => media(format).ok_or_else(not_acceptable),
        None => accepted(headers),
    }
}

fn not_acceptable() -> Failure {
    Failure::new(StatusCode::NOT_ACCEPTABLE, "not-supported", NOT_XML)
}

fn media(name: &str) -> Option<&'static str> {
    // A `+` that was not percent-encoded arrives as a space.
    match name.split(';').next().unwrap_or("").trim().replace(' ', "+").as_str() {
        "json" | "application/fhir+json" | "application/json+fhir" => Some(FHIR_JSON),
        "application/json" | "text/json" => Some(JSON),
        "*/*" | "application/*" | "" => Some(FHIR_JSON),
        _ => None,
    }
}

fn accepted(headers: &HeaderMap) -> Result<&'static str, Failure> {
    let mut any = false;
    for value in headers.get_all(header::ACCEPT) {
        let Ok(text) = value.to_str() else { continue };
        for item in text.split(',') {
            any = true;
            let refused = item.split(';').skip(1).any(|part| matches!(part.trim(), "q=0" | "q=0.0"));
            // Browsers ask for HTML; they get JSON, which they can show.
            let item = if item.trim().starts_with("text/html") { "application/json" } else { item };
            if let Some(media) = media(item).filter(|_| !refused) {
                return Ok(media);
            }
        }
    }
    if any { Err(not_acceptable()) } else { Ok(FHIR_JSON) }
}

/// What a Content-Type says about a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Unsaid,
    Json,
    JsonPatch,
    Form,
    Other,
}

/// The kind of a body that is UTF-8, as all must be.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<Sent, Failure> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Sent::Unsaid) };
    let text = value.to_str().unwrap_or("?");
    let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
    let charset = parameters.to_ascii_lowercase().replace(['"', ' '], "");
    if charset.contains("charset=") && !charset.contains("charset=utf-8") {
        let text = "bodies must be UTF-8";
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", text));
    }
    Ok(match name.trim().to_ascii_lowercase().as_str() {
        "application/fhir+json" | "application/json" | "application/json+fhir" | "text/json" => Sent::Json,
        "application/json-patch+json" => Sent::JsonPatch,
        "application/x-www-form-urlencoded" => Sent::Form,
        _ => Sent::Other,
    })
}

/// For bodies that are a resource.
pub(crate) fn expect_json(headers: &HeaderMap) -> Result<(), Failure> {
    match content_type(headers)? {
        Sent::Unsaid | Sent::Json => Ok(()),
        _ => Err(Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-supported",
            "send the body as application/fhir+json",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(accept: Option<&str>, format: Option<&str>) -> Result<&'static str, u16> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        let pairs: Vec<_> = format.map(|format| ("_format".to_owned(), format.to_owned())).into_iter().collect();
        wanted(&headers, &pairs).map_err(|failure| failure.into_answer().status.as_u16())
    }

    #[test]
    fn json_is_given_and_xml_is_refused() {
        assert_eq!(ask(None, None), Ok(FHIR_JSON));
        assert_eq!(ask(Some("*/*"), None), Ok(FHIR_JSON));
        assert_eq!(ask(Some("application/fhir+xml, application/json;q=0.5"), None), Ok(JSON));
        assert_eq!(ask(Some("text/html,application/xhtml+xml"), None), Ok(JSON));
        assert_eq!(ask(Some("application/fhir+xml"), None), Err(406));
        assert_eq!(ask(Some("application/fhir+json;q=0"), None), Err(406));
        assert_eq!(ask(Some("application/fhir+xml"), Some("json")), Ok(FHIR_JSON));
        assert_eq!(ask(None, Some("application/fhir json")), Ok(FHIR_JSON));
        assert_eq!(ask(None, Some("xml")), Err(406));
    }
}
