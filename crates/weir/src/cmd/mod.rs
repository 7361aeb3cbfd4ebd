//! One file per command.

pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod emr;
pub(crate) mod export;
pub(crate) mod identity;
pub(crate) mod load;
pub(crate) mod outbox;
pub(crate) mod reference;
pub(crate) mod serve;
pub(crate) mod store;
pub(crate) mod tracker;

use std::path::{Path, PathBuf};

/// `path` as another process sees it.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    Ok(std::path::absolute(path)?)
}
