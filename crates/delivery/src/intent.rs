//! What is to be done at a destination, and how far it is. One intent per resource with unsent changes.

use serde::{Deserialize, Serialize};

/// The state of an intent. `Pending` ones need no row of their own: the change log is their row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Pending,
    /// Written before the first byte leaves. Found after a crash it becomes `Probe`.
    InFlight,
    /// Failed in a way that passes; tried again at `not_before_us`.
    Retry,
    /// Nobody knows whether it arrived: looked up at `not_before_us` before anything else.
    Probe,
    /// Refused for good, until its resource changes or an operator replays it. Blocks its patient and nobody else.
    Dead,
}

/// Why the last attempt failed. Carries no content of the resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// HTTP status, 0 when there was no answer.
    pub status: u16,
    pub text: String,
}

impl Problem {
    pub fn new(status: u16, text: impl Into<String>) -> Problem {
        Problem { status, text: text.into() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The change that asked for it: its place in the order. What is sent is the resource as it is then.
    pub no: u64,
    /// `Type/id`.
    pub key: String,
    /// `Patient/id`, or the key itself: intents of one group go one after the other.
    pub group: String,
    pub state: State,
    pub attempts: u32,
    pub not_before_us: i64,
    /// When it was seen first, for its age and its deadline.
    pub since_us: i64,
    /// The change whose content is being sent, or was when the process died.
    pub sending: u64,
    /// A creation of unknown outcome has not been cleared up: it may be there, whatever has been tried since.
    #[serde(default)]
    pub uncertain: bool,
    /// Of its rule when it was made; lower goes first.
    #[serde(default = "priority")]
    pub priority: u8,
    /// Looks at the destination after an unknown outcome that found nothing.
    pub probes: u32,
    pub problem: Option<Problem>,
}

/// Of rows that name none.
fn priority() -> u8 {
    crate::rule::PRIORITY
}

impl Intent {
    pub(crate) fn new(no: u64, key: String, group: String, since_us: i64, priority: u8) -> Intent {
        Intent {
            no,
            key,
            group,
            state: State::Pending,
            attempts: 0,
            not_before_us: i64::MIN,
            since_us,
            sending: 0,
            uncertain: false,
            priority,
            probes: 0,
            problem: None,
        }
    }

    /// Makes it a new one: its tries do not count any more.
    pub(crate) fn revive(&mut self) {
        self.state = State::Pending;
        self.attempts = 0;
        self.probes = 0;
    }

    /// Its row among the kept state: numbers of equal length sort.
    pub(crate) fn row(no: u64) -> String {
        format!("{no:016x}")
    }
}

/// What is known of a resource at the destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// Its id there; empty when it has none.
    pub id: String,
    /// Further ids that its kind of destination needs, such as OpenEMR's `pid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<(String, String)>,
}

/// The row of a resource that has been delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    pub remote: Remote,
    /// Changes up to this one are there.
    pub seq: u64,
    pub group: String,
    pub deleted: bool,
    /// Hash of what was written last: what comes back from the destination unchanged is an echo.
    pub hash: u64,
}
