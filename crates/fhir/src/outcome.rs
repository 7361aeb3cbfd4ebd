//! OperationOutcome: the one shape of every error and warning.

use crate::json::Writer;

/// `OperationOutcome.issue.severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Information,
    Warning,
    Error,
    Fatal,
}

impl Severity {
    pub fn code(self) -> &'static str {
        match self {
            Severity::Information => "information",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Fatal => "fatal",
        }
    }
}

/// One issue. `code` is from the required value set `issue-type`, `expression` a FHIRPath such as `Patient.name[0].family`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    pub severity: Severity,
    pub code: &'static str,
    /// What is wrong and what to do about it. Never contains a value from a resource.
    pub diagnostics: String,
    pub expression: Option<String>,
}

impl Issue {
    pub fn error(code: &'static str, diagnostics: impl Into<String>) -> Issue {
        Issue { severity: Severity::Error, code, diagnostics: diagnostics.into(), expression: None }
    }

    pub fn warning(code: &'static str, diagnostics: impl Into<String>) -> Issue {
        Issue { severity: Severity::Warning, code, diagnostics: diagnostics.into(), expression: None }
    }

    pub fn information(code: &'static str, diagnostics: impl Into<String>) -> Issue {
        Issue { severity: Severity::Information, code, diagnostics: diagnostics.into(), expression: None }
    }

    pub fn at(mut self, expression: impl Into<String>) -> Issue {
        self.expression = Some(expression.into());
        self
    }
}

/// The issues as an OperationOutcome in JSON.
pub fn to_json(issues: &[Issue]) -> Vec<u8> {
    let mut json = Writer::new();
    json.object().member("resourceType").string("OperationOutcome").member("issue").array();
    for issue in issues {
        json.object().member("severity").string(issue.severity.code()).member("code").string(issue.code);
        json.member("diagnostics").string(&issue.diagnostics);
        if let Some(expression) = &issue.expression {
            json.member("expression").array().string(expression).end_array();
        }
        json.end_object();
    }
    json.end_array().end_object();
    json.finish()
}
