//! `cargo xtask sim crash --rounds N --seed S`: the crash test of `crates/weir/tests/crash.rs` with many rounds.

use crate::{cargo, succeed};
use anyhow::{Context, Result};

const USAGE: &str = "usage: cargo xtask sim crash [--rounds N] [--seed S]";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    anyhow::ensure!(arguments.first().is_some_and(|name| name == "crash"), USAGE);
    let mut command = cargo(&["test", "--locked", "--package", "weir", "--test", "crash", "--", "--nocapture"]);
    command.env("WEIR_CRASH_ROUNDS", "1000");
    let mut rest = arguments[1..].iter();
    while let Some(flag) = rest.next() {
        let value = rest.next().with_context(|| format!("{flag} needs a number"))?;
        let _: u64 = value.parse().with_context(|| format!("{flag} needs a number"))?;
        match flag.as_str() {
            "--rounds" => command.env("WEIR_CRASH_ROUNDS", value),
            "--seed" => command.env("WEIR_CRASH_SEED", value),
            _ => anyhow::bail!("unknown flag {flag}\n{USAGE}"),
        };
    }
    succeed("the crash test", &mut command)
}
