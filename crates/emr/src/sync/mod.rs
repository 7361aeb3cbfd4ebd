//! Two-way synchronisation with an EMR. `docs/guides/two-way-sync.md` says the rules.
//!
//! The core is pure: [`project`] takes the elements that take part, [`merge`] says what each side should have, [`overlay`] puts it
//! back over the whole resource.

mod canonical;
mod element;
mod key;
mod merge;
mod overlay;
mod pair;
mod precedence;
mod project;

pub use canonical::canonical;
pub use merge::{Base, Conflict, Merged, Overruled, merge};
pub use overlay::overlay;
pub use pair::{Incoming, Outgoing, Pair};
pub use precedence::{Question, Winner, precedence};
pub use project::{Kind, project};
