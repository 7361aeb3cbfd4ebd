//! Two-way synchronisation: random histories of edits on both sides over the pure core, and the real engine and dispatcher over
//! a small EMR.

mod deletes;
mod history;
mod site;
#[path = "../../../engine/tests/support/stand.rs"]
mod stand;
mod two_way;
