//! What comes with a request: its parameters, its form, and whether a page of this server sent it.

use super::refused::Refused;
use axum::http::{HeaderMap, Uri, header};
use fhir::nearest::hint;

/// Pairs of a query. A name that is not among `known`, or comes twice, is an error.
pub(crate) fn parameters(query: Option<&str>, known: &[&'static str]) -> Result<Vec<(&'static str, String)>, Refused> {
    let mut pairs: Vec<(&'static str, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let Some(found) = known.iter().find(|known| **known == name) else {
            let hint = hint(&name, known.iter().copied());
            return Err(Refused::invalid(format!("unknown parameter {}{hint}", super::short(&name))));
        };
        if pairs.iter().any(|(other, _)| other == found) {
            return Err(Refused::invalid(format!("the parameter {found} is there twice")));
        }
        pairs.push((found, value.into_owned()));
    }
    Ok(pairs)
}

/// Refuses what a page of another site has sent. Programs say nothing about themselves, and pass.
pub(crate) fn check(headers: &HeaderMap, uri: &Uri) -> Result<(), Refused> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_ours = match (text("sec-fetch-site"), text("origin")) {
        // `none`: the person themselves, not a page.
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, Some(origin)) => {
            let host = text(header::HOST.as_str()).or(uri.authority().map(|host| host.as_str()));
            let given = origin.split_once("://").map(|(_, host)| host);
            given.is_some() && given == host
        }
        (None, None) => true,
    };
    match is_ours {
        true => Ok(()),
        false => Err(Refused::forbidden("the request came from a page of another site")),
    }
}

/// Values of a form of this server.
#[derive(Debug)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Checks where it comes from: by the browser's word, and by the token that only our own pages know.
    pub(crate) fn read(headers: &HeaderMap, uri: &Uri, body: &[u8], token: &str) -> Result<Form, Refused> {
        check(headers, uri)?;
        let form = Form(form_urlencoded::parse(body).into_owned().collect());
        match form.get("token") {
            Some(given) if seal::same(given.as_bytes(), token.as_bytes()) => Ok(form),
            _ => Err(Refused::forbidden("the page is from before the server was started: load it again, then repeat")),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a field that can be chosen several times.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(pairs: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        check(&headers, &Uri::from_static("/ops")).is_ok()
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let host = ("host", "weir.example:8080");
        assert!(passes(&[host]));
        assert!(passes(&[host, ("origin", "http://weir.example:8080")]));
        assert!(!passes(&[host, ("origin", "http://evil.example")]));
        assert!(!passes(&[host, ("origin", "http://weir.example:9090")]));
        assert!(!passes(&[host, ("origin", "null")]));
        assert!(passes(&[host, ("sec-fetch-site", "same-origin")]));
        // A proxy may have changed the host; the browser's own word counts.
        assert!(passes(&[host, ("sec-fetch-site", "same-origin"), ("origin", "https://public.example")]));
        for site in ["cross-site", "same-site", ""] {
            assert!(!passes(&[host, ("sec-fetch-site", site), ("origin", "http://weir.example:8080")]), "{site}");
        }
    }

    #[test]
    fn unknown_parameters_are_errors_with_a_hint() {
        let error = parameters(Some("limti=3"), &["state", "limit"]).unwrap_err();
        assert_eq!(error.texts(), ["unknown parameter limti (did you mean limit?)"]);
        assert_eq!(parameters(Some("limit=3"), &["state", "limit"]).unwrap(), [("limit", "3".to_owned())]);
        assert!(parameters(Some("limit=3&limit=4"), &["limit"]).is_err());
    }
}
