//! The settings of one destination.

use crate::destination::Check;
use crate::limit::Limit;
use crate::rule::Rules;
use crate::window::Windows;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub struct Spec {
    /// Lower-case letters, digits and `-`: part of the names of rows.
    pub name: String,
    /// System of the identifier that each resource carries there.
    pub identifier_system: String,
    pub rules: Rules,
    pub limits: Vec<Limit>,
    pub windows: Windows,
    /// Requests on their way at the same time.
    pub concurrency: usize,
    /// A change that fails in ways that pass is given up after this.
    pub deadline: Duration,
    /// Who holds the lease: the name of this process.
    pub owner: String,
    /// An intent that is not done keeps its lease this long without a sign of life.
    pub lease: Duration,
    /// Intents in memory, about; the rest waits in the change log, or on disk behind what cannot go.
    pub lookahead: usize,
    /// Changes up to this one are not delivered: the state when the destination was set up.
    pub from_seq: u64,
    /// Asked before each item that is sent.
    pub check: Option<Arc<dyn Check>>,
}

impl Spec {
    /// Settings that fit most destinations.
    pub fn new(name: &str, rules: Rules, limits: Vec<Limit>) -> Spec {
        Spec {
            name: name.into(),
            identifier_system: "urn:weir".into(),
            rules,
            limits,
            windows: Windows::default(),
            concurrency: 8,
            deadline: Duration::from_secs(7 * 86_400),
            owner: "weir".into(),
            lease: Duration::from_secs(30),
            lookahead: 10_000,
            from_seq: 0,
            check: None,
        }
    }

    pub(crate) fn space(&self, part: &str) -> String {
        format!("delivery/{}/{part}", self.name)
    }
}
