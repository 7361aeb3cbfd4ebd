//! One file per command.

pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod export;
pub(crate) mod load;
pub(crate) mod serve;
pub(crate) mod store;
