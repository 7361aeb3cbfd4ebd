//! Developer commands: `cargo xtask NAME`. One file per command.

mod bench;
mod cdsi;
mod check;
mod defs;
mod docs;
mod fuzz;
mod layers;
mod sim;
mod sizes;
mod test;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

const USAGE: &str = "\
cargo xtask COMMAND

  check                          format, lints, layer rule, links of the docs, rustdoc, file sizes
  test                           all tests of the workspace
  defs [--from DIR] [--check]    distil the FHIR definitions (needs npm), or compare with the checked-in table
  cdsi [--from DIR] [--check]    pack CDC's supporting data from the shared test data, or compare with the checked-in file
  sim crash|dispatcher|delivery|gnu-health|pull|sync
                                 what CI breaks at random, with many more rounds: kills while the server is written to,
                                 histories of the dispatcher in virtual time, kills while it delivers to a failing EMR,
                                 or to a real GNU Health (scripts/gnu-health start),
                                 50,000 patients pulled from a simulated OpenEMR, histories of edits on both sides
  bench NAME.. [--quick] [--json]  measure weir against its targets; without a name it lists its options
  docs                           write the generated parts of docs/reference
  fuzz TARGET [SECONDS]          run a fuzz target: json, fhirpath or query
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let result = match command.as_str() {
        "check" => check::run(),
        "test" => test::run(&rest),
        "defs" => defs::run(&rest),
        "cdsi" => cdsi::run(&rest),
        "bench" => bench::run(&rest),
        "sim" => sim::run(&rest),
        "docs" => docs::write(),
        "fuzz" => fuzz::run(&rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .components()
        .collect::<PathBuf>()
        .canonicalize()
        .unwrap_or_default()
}

/// A cargo command that runs in the root of the repository.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs `command` and turns a bad exit into an error that names `what`.
fn succeed(what: &str, command: &mut Command) -> anyhow::Result<()> {
    let status = command.status()?;
    anyhow::ensure!(status.success(), "{what} failed ({status})");
    Ok(())
}

/// Tracked and new files of the repository whose names end in one of `endings`, relative to the root.
fn files(endings: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()?;
    anyhow::ensure!(output.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    let mut files: Vec<PathBuf> = String::from_utf8(output.stdout)?
        .lines()
        .filter(|name| endings.iter().any(|ending| name.ends_with(ending)))
        .map(PathBuf::from)
        .filter(|path| root().join(path).is_file())
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}
