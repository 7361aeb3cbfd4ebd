//! Is this a resource that R4 allows? Runs on every write, so it is hand-written and fast.

mod checks;
mod invariants;
mod path;
mod primitive;
mod structure;

use crate::defs::Definitions;
use crate::json::Node;
use crate::outcome::{Issue, Severity};

/// How much is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    Off,
    /// Elements, cardinalities, types, formats, required codes. A reference to a type that its element does not allow is
    /// only a warning: real data has them (Synthea's insurers are patients now and then), and nothing breaks by them.
    Structure,
    /// And the invariants of the specification that are errors; wrong reference targets are errors too.
    #[default]
    Full,
}

/// After so many issues checking stops: a hostile body must not make a huge answer.
pub const ISSUES_MAX: usize = 100;

/// All that is wrong with `resource`, in document order, at most [`ISSUES_MAX`]; empty for a valid one.
///
/// Invariants run only on a resource whose structure is right. Issues name elements and rules, never values.
pub fn validate(defs: &Definitions, resource: Node<'_>, level: Level) -> Vec<Issue> {
    if level == Level::Off {
        return Vec::new();
    }
    let mut issues = structure::check(defs, resource, level == Level::Full);
    if level == Level::Full && issues.iter().all(|issue| issue.severity < Severity::Error) {
        issues.extend(invariants::check(defs, resource));
        issues.truncate(ISSUES_MAX);
    }
    issues
}
