//! What can be delivered to: the contract of a connector.

use crate::gate::Calls;
use crate::intent::{Problem, Remote};
use fhir::json::Value;
use std::pin::Pin;
use std::time::Duration;

/// A future that a trait object answers.
pub type Async<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connector to one destination. Before each request that it makes, tokens and searches included, it waits for
/// [`Calls::next`]: that is how the rate is kept.
pub trait Destination: Send + Sync + std::fmt::Debug {
    /// Writes or deletes the resource.
    fn deliver<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Outcome>;

    /// After a creation whose outcome is unknown: is it there, by its identifier? [`Found::No`] allows to write it again.
    /// Not asked for changes and deletions, which are repeated after [`Destination::quiesce`].
    fn probe<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Found>;

    /// How long a request may still take effect after its connection has died.
    fn quiesce(&self) -> Duration;

    /// How often [`Destination::probe`] must find nothing before it is believed.
    fn probes(&self) -> u32 {
        2
    }

    /// Whether a resource of this type may be changed there once it exists.
    fn kind(&self) -> &'static str;
}

/// A resource on its way.
#[derive(Clone, Debug)]
pub struct Item {
    /// `Type/id` here.
    pub key: String,
    /// The resource type.
    pub name: String,
    /// `None` for a deletion. References are those of the destination; `id` and `meta` are taken out.
    pub body: Option<Value>,
    /// What is known of it at the destination.
    pub remote: Option<Remote>,
    /// What is known there of resources that the body refers to, by their key here.
    pub related: Vec<(String, Remote)>,
    /// The business key that it carries there: the same at each attempt, never that of another resource.
    pub identifier: Identifier,
    /// Our version whose content it is.
    pub version: u64,
}

/// Looks at each item before a call is taken for it: data-quality rules, and what need not be sent.
pub trait Check: Send + Sync + std::fmt::Debug {
    fn check<'a>(&'a self, item: &'a Item) -> Async<'a, Result<Verdict, engine::Error>>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Send,
    /// It is there already: what it would change came from there.
    Nothing,
    /// It would be refused there, or must not go: dead at once, with this text for people.
    Refuse(Problem),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    pub system: String,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is there.
    Done(Remote),
    /// Not written, for a reason that passes. `after`: what the destination asked for. Status 409: the reason is on our side and
    /// says nothing about the destination's health.
    Retry { problem: Problem, after: Option<Duration> },
    /// Not written, and never will be as it is.
    Refused(Problem),
    /// Perhaps written.
    Unknown(Problem),
    /// What it was to change is not there any more: it is created again.
    Gone(Problem),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Yes(Remote),
    No,
    Unknown(Problem),
}
