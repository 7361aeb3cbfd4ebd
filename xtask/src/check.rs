//! `cargo xtask check`: the gates of CI that need no test run.

use crate::{cargo, docs, layers, sizes, succeed};
use anyhow::Result;
use std::time::Instant;

type Gate = (&'static str, fn() -> Result<()>);

const GATES: &[Gate] = &[
    ("format", format),
    ("layers", layers::check),
    ("sizes", sizes::check),
    ("links", docs::check),
    ("lints", lints),
    ("rustdoc", rustdoc),
];

/// Runs every gate, also after a failure, and then says which failed.
pub(crate) fn run() -> Result<()> {
    let mut failed = Vec::new();
    for (name, gate) in GATES {
        let begin = Instant::now();
        match gate() {
            Ok(()) => eprintln!("ok      {name} ({:.1} s)", begin.elapsed().as_secs_f32()),
            Err(error) => {
                eprintln!("FAILED  {name}: {error:#}");
                failed.push(*name);
            }
        }
    }
    anyhow::ensure!(failed.is_empty(), "failed gates: {}", failed.join(", "));
    Ok(())
}

fn format() -> Result<()> {
    succeed("cargo fmt --check", &mut cargo(&["fmt", "--all", "--check"]))
}

fn lints() -> Result<()> {
    succeed(
        "cargo clippy",
        &mut cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    )
}

fn rustdoc() -> Result<()> {
    succeed(
        "cargo doc",
        cargo(&["doc", "--quiet", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"),
    )
}
