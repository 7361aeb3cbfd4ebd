//! Two-way synchronisation with an EMR. `docs/guides/two-way-sync.md` says the rules.
//!
//! The core is pure: [`project`] takes the elements that take part, [`merge`] says what each side should have, [`overlay`] puts it
//! back over the whole resource, [`Pair`] remembers. [`Sync`] applies what is pulled, [`Synced`] looks before it writes, and
//! [`SyncCheck`] keeps echoes and what would be refused from being sent.

mod apply;
mod book;
mod canonical;
mod element;
mod gone;
mod key;
mod merge;
mod overlay;
mod pair;
mod precedence;
mod project;
mod pulled;
mod quality;
mod references;
mod synced;
mod task;

pub use apply::{Settings, Sync};
pub use canonical::canonical;
pub use merge::{Base, Conflict, Merged, Overruled, merge};
pub use overlay::overlay;
pub use pair::{Incoming, Outgoing, Pair};
pub use precedence::{Question, Winner, precedence};
pub use project::{Kind, project};
pub use pulled::{Applied, BusinessIdentifier, Finder, Match, Pulled, Tombstone};
pub use quality::{Finding, Quality};
pub use synced::{Reader, SyncCheck, Synced};
pub use task::SYNC_SYSTEM;
