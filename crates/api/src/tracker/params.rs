//! Strict reading of a query string.

use crate::error::Failure;
use axum::http::StatusCode;
use fhir::nearest::hint;
use fhir::outcome::Issue;
use registry::Date;

/// The parameters of a request, each at most once.
pub(crate) struct Params<'a>(&'a [(String, String)]);

pub(crate) fn wrong(name: &str, text: &str) -> Failure {
    Failure::issues(StatusCode::BAD_REQUEST, &[Issue::error("invalid", format!("{name}: {text}")).at(name)])
}

impl<'a> Params<'a> {
    pub(crate) fn new(pairs: &'a [(String, String)], known: &[&str]) -> Result<Params<'a>, Failure> {
        for (at, (name, _)) in pairs.iter().enumerate().filter(|(_, (name, _))| name != "_pretty") {
            if !known.contains(&name.as_str()) {
                let hint = hint(name, known.iter().copied());
                let takes = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let name: String = name.chars().take(64).collect();
                let text = format!("unknown parameter {name}{hint}: this path takes {takes}");
                return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid", text));
            }
            if pairs[..at].iter().any(|(other, _)| other == name) {
                return Err(wrong(name, "is there twice: send it once"));
            }
        }
        Ok(Params(pairs))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub(crate) fn date(&self, name: &str) -> Result<Option<Date>, Failure> {
        let date = |text: &str| text.parse().map_err(|_| wrong(name, "must be a whole day that exists, as YYYY-MM-DD"));
        self.get(name).map(date).transpose()
    }

    /// A count from 1 to `max`.
    pub(crate) fn count(&self, name: &str, default: usize, max: usize) -> Result<usize, Failure> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let count = text.parse().ok().filter(|count| (1..=max).contains(count));
        count.ok_or_else(|| wrong(name, &format!("must be a whole number from 1 to {max}")))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(wrong(name, "must be true or false")),
        }
    }

    pub(crate) fn code(&self, name: &str, allowed: &[&str]) -> Result<Option<String>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        if !allowed.contains(&text) {
            let hint = hint(text, allowed.iter().copied());
            return Err(wrong(name, &format!("must be one of {}{hint}", allowed.join(", "))));
        }
        Ok(Some(text.to_owned()))
    }
}
