//! Strict reading of JSON: every problem is collected with its place, and what is unknown gets a hint.

use engine::Error;
use fhir::json::Node;
use fhir::nearest::hint;
use fhir::outcome::Issue;
use registry::Date;
use std::cell::RefCell;

/// What is wrong with one input.
#[derive(Default)]
pub(crate) struct Problems(RefCell<Vec<Issue>>);

impl Problems {
    /// `text` says what is wrong and what to send; `at` is the member, as `phi.birthDate`.
    pub(crate) fn add(&self, code: &'static str, at: &str, text: impl Into<String>) {
        let text = format!("{at}: {}", text.into());
        self.0.borrow_mut().push(Issue::error(code, text).at(at));
    }

    pub(crate) fn into_result(self) -> Result<(), Error> {
        let issues = self.0.into_inner();
        if issues.is_empty() { Ok(()) } else { Err(Error { status: 422, issues, version: None }) }
    }
}

/// A 422 about one member.
pub(crate) fn refused(at: &str, text: impl Into<String>) -> Error {
    let problems = Problems::default();
    problems.add("value", at, text);
    Error { status: 422, issues: problems.0.into_inner(), version: None }
}

/// The members of an object.
pub(crate) struct Fields<'a, 'p> {
    node: Node<'a>,
    at: String,
    problems: &'p Problems,
}

impl<'a, 'p> Fields<'a, 'p> {
    /// `at`: empty for the body itself. `known`: every member that may be there.
    pub(crate) fn new(node: Node<'a>, at: &str, known: &[&str], problems: &'p Problems) -> Option<Fields<'a, 'p>> {
        if !node.is_object() {
            let at = if at.is_empty() { "body" } else { at };
            problems.add("structure", at, format!("must be an object with {}", known.join(", ")));
            return None;
        }
        let fields = Fields { node, at: at.to_owned(), problems };
        for (name, _) in node.members() {
            if !known.contains(&name.as_ref()) {
                let hint = hint(&name, known.iter().copied());
                // Whatever a stranger calls a member is his text, not ours.
                let place = if at.is_empty() { "body" } else { at };
                let shown: String = name.chars().filter(|letter| letter.is_ascii_alphanumeric()).take(40).collect();
                problems.add("structure", place, format!("unknown member {shown}{hint}: use {}", known.join(", ")));
            }
        }
        Some(fields)
    }

    pub(crate) fn place(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    pub(crate) fn wrong(&self, name: &str, text: impl Into<String>) {
        self.problems.add("value", &self.place(name), text);
    }

    fn get(&self, name: &str) -> Option<Node<'a>> {
        self.node.get(name).filter(|node| !node.is_null())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Trimmed text of at most `max` characters.
    pub(crate) fn text(&self, name: &str, max: usize) -> Option<String> {
        let node = self.get(name)?;
        let Some(text) = node.as_str() else {
            self.wrong(name, "must be text");
            return None;
        };
        let text = text.trim();
        if text.is_empty() || text.chars().count() > max || text.contains(char::is_control) {
            self.wrong(
                name,
                format!("must be 1 to {max} characters without control characters; leave it out if unknown"),
            );
            return None;
        }
        Some(text.to_owned())
    }

    pub(crate) fn required(&self, name: &str, max: usize) -> Option<String> {
        if !self.has(name) {
            self.missing(name);
        }
        self.text(name, max)
    }

    pub(crate) fn missing(&self, name: &str) {
        self.problems.add("required", &self.place(name), "is missing: send it");
    }

    /// A whole day.
    pub(crate) fn date(&self, name: &str) -> Option<Date> {
        let text = self.text(name, 40)?;
        let date = text.parse().ok();
        if date.is_none() {
            self.wrong(name, "must be a whole day that exists, as YYYY-MM-DD");
        }
        date
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        let flag = self.get(name)?.as_bool();
        if flag.is_none() {
            self.wrong(name, "must be true or false");
        }
        flag
    }

    /// One of a few words.
    pub(crate) fn code(&self, name: &str, allowed: &[&'static str]) -> Option<&'static str> {
        let text = self.text(name, 40)?;
        let code = allowed.iter().copied().find(|one| *one == text);
        if code.is_none() {
            self.wrong(name, format!("must be one of {}{}", allowed.join(", "), hint(&text, allowed.iter().copied())));
        }
        code
    }

    pub(crate) fn object(&self, name: &str, known: &[&str]) -> Option<Fields<'a, 'p>> {
        Fields::new(self.get(name)?, &self.place(name), known, self.problems)
    }

    fn items(&self, name: &str, max: usize) -> Vec<Node<'a>> {
        let Some(node) = self.get(name) else { return Vec::new() };
        if !node.is_array() || node.len() > max {
            self.wrong(name, format!("must be a list of at most {max}"));
            return Vec::new();
        }
        node.items().collect()
    }

    pub(crate) fn objects(&self, name: &str, known: &[&str], max: usize) -> Vec<Fields<'a, 'p>> {
        let items = self.items(name, max).into_iter().enumerate();
        items
            .filter_map(|(at, node)| Fields::new(node, &format!("{}[{at}]", self.place(name)), known, self.problems))
            .collect()
    }

    /// A list of ids.
    pub(crate) fn ids(&self, name: &str, max: usize) -> Vec<String> {
        if !self.has(name) {
            self.missing(name);
        }
        let ids: Vec<Option<String>> = self
            .items(name, max)
            .into_iter()
            .map(|node| node.as_str().map(|id| id.trim_start_matches("Patient/").to_owned()).filter(|id| is_id(id)))
            .collect();
        if ids.iter().any(Option::is_none) {
            self.wrong(name, "must be ids of Patients, each 1 to 64 of A-Z a-z 0-9 - .");
        }
        ids.into_iter().flatten().collect()
    }
}

/// Whether it can be an id of FHIR.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}
