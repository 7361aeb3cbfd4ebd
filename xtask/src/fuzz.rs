//! `cargo xtask fuzz TARGET [SECONDS]`: libFuzzer on the stable toolchain.

use crate::{root, succeed};
use anyhow::{Context, Result, ensure};
use std::process::Command;

const TARGETS: [&str; 3] = ["json", "fhirpath", "query"];
/// Coverage instrumentation as libFuzzer wants it; no sanitizer, because the code has no `unsafe`.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=1";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let target = arguments.first().map_or("", String::as_str);
    ensure!(TARGETS.contains(&target), "name a target: {}", TARGETS.join(", "));
    let seconds: u32 = arguments.get(1).map_or(Ok(60), |text| text.parse()).context("SECONDS must be a number")?;
    let dir = root().join("fuzz");
    let triple = "x86_64-unknown-linux-gnu";
    let mut build = Command::new("cargo");
    // Naming the target keeps the flags away from build scripts and procedural macros.
    build.args(["build", "--quiet", "--release", "--bin", target, "--target", triple]).current_dir(&dir);
    succeed("cargo build", build.env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", dir.join("target")))?;
    // A fixed seed: a run of CI takes the same way each time, and a finding can be seen again.
    // New inputs go to a directory of their own, so that the checked-in corpus changes only on purpose.
    let found = dir.join("target/corpus").join(target);
    std::fs::create_dir_all(&found)?;
    let mut fuzzer = Command::new(dir.join("target").join(triple).join("release").join(target));
    fuzzer.arg(format!("-max_total_time={seconds}")).args([
        "-seed=1",
        "-max_len=4096",
        "-timeout=10",
        "-rss_limit_mb=2048",
    ]);
    succeed("the fuzzer", fuzzer.arg(&found).arg(dir.join("corpus").join(target)).current_dir(&dir))
}
