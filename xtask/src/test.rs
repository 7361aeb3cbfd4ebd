//! `cargo xtask test`: all tests of the workspace; further arguments go to `cargo test`.

use crate::{cargo, succeed};
use anyhow::Result;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    succeed("cargo test", cargo(&["test", "--workspace", "--locked"]).args(arguments))
}
