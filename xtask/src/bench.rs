//! `cargo xtask bench NAME..`: builds weir and the driver in `bench/` and lets the driver measure weir.

use crate::{cargo, succeed};
use anyhow::{Context, Result};
use std::path::PathBuf;

/// `--dev` takes the development build: enough to see that the drivers work.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let dev = arguments.iter().any(|argument| argument == "--dev");
    let mut build = cargo(&["build", "--quiet", "--locked", "--package", "weir", "--package", "weir-bench"]);
    if !dev {
        build.arg("--release");
    }
    succeed("building", &mut build)?;
    let target = target_directory()?.join(if dev { "debug" } else { "release" });
    let mut bench = std::process::Command::new(target.join("weir-bench"));
    bench.arg("--weir").arg(target.join("weir")).args(arguments.iter().filter(|argument| *argument != "--dev"));
    succeed("the benchmark", &mut bench)
}

fn target_directory() -> Result<PathBuf> {
    let output = cargo(&["metadata", "--format-version", "1", "--no-deps"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    Ok(metadata["target_directory"].as_str().context("cargo metadata names no target directory")?.into())
}
