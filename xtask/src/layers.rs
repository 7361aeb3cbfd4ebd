//! The layer rule of ARCHITECTURE.md, read from `cargo metadata`: an arrow may only point to a lower row.

use crate::{cargo, root};
use anyhow::{Context, Result};
use serde_json::Value;

/// Crates by row. A crate may depend on crates of smaller rows only.
const ROWS: &[(u8, &[&str])] = &[
    (0, &["fhir", "hl7v2", "vaccines", "telemetry", "seal"]),
    // The simulator stands beside the house: low enough for the demo and for tests to use it, with nothing of the house below it.
    (1, &["store", "identity", "emr-sim"]),
    (2, &["engine"]),
    (3, &["delivery", "intake", "registry", "care", "egress"]),
    // Connectors are what delivery delivers by.
    (4, &["emr"]),
    (5, &["api", "web"]),
    (6, &["weir"]),
    // Tools: nothing may depend on them.
    (7, &["xtask", "weir-bench"]),
];

/// Third-party crates that have one home, so that the job stays there too.
const HOMES: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("aws-lc-rs", &["seal", "emr-sim"]),
    ("axum", &["api", "web", "weir", "emr-sim"]),
    ("clap", &["weir", "emr-sim"]),
    ("anyhow", &["weir", "xtask", "weir-bench"]),
];

/// Crates above row 0 that are as pure as those in it.
const PURE: &[&str] = &["identity"];

/// What a pure crate must not use: it has no sockets, no disk, no threads of its own.
const NOT_PURE: &[&str] = &["tokio", "hyper", "axum", "rusqlite", "tempfile", "tracing-subscriber"];

fn row(name: &str) -> Option<u8> {
    ROWS.iter().find(|(_, crates)| crates.contains(&name)).map(|(row, _)| *row)
}

pub(crate) fn check() -> Result<()> {
    let output = cargo(&["metadata", "--format-version", "1", "--no-deps"]).output()?;
    anyhow::ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let list = std::fs::read_to_string(root().join("docs/dependencies.md")).context("docs/dependencies.md")?;
    let problems = problems(&metadata, &list);
    for problem in &problems {
        eprintln!("  {problem}");
    }
    anyhow::ensure!(problems.is_empty(), "{} forbidden or unexplained dependencies", problems.len());
    Ok(())
}

/// Everything that is wrong with the dependencies in `metadata`; `list` is the text of docs/dependencies.md.
fn problems(metadata: &Value, list: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(own) = row(name) else {
            problems.push(format!("crate `{name}` has no row in xtask/src/layers.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().map_or(&[][..], Vec::as_slice) {
            let on = dependency["name"].as_str().unwrap_or_default();
            let dev = dependency["kind"].as_str() == Some("dev");
            if let Some(problem) = arrow(name, own, on, dev, list) {
                problems.push(problem);
            }
        }
    }
    problems
}

/// What is wrong with the dependency of `name` (in row `own`) on `on`, if anything.
fn arrow(name: &str, own: u8, on: &str, dev: bool, list: &str) -> Option<String> {
    if on == "emr-sim" && !dev && !["weir", "xtask", "weir-bench"].contains(&name) {
        return Some(format!("`{name}` may use `emr-sim` in its tests only"));
    }
    if let Some(other) = row(on) {
        return (other >= own).then(|| format!("`{name}` (row {own}) must not depend on `{on}` (row {other})"));
    }
    if !list.contains(&format!("| `{on}` |")) {
        return Some(format!("`{on}`, used by `{name}`, has no line in docs/dependencies.md"));
    }
    if dev {
        return None;
    }
    if let Some((_, homes)) = HOMES.iter().find(|(crate_name, homes)| *crate_name == on && !homes.contains(&name)) {
        return Some(format!("`{on}` belongs to {homes:?}, not to `{name}`"));
    }
    ((own == 0 || PURE.contains(&name)) && NOT_PURE.contains(&on))
        .then(|| format!("`{name}` is pure and must not use `{on}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata(name: &str, on: &str) -> Value {
        json!({ "packages": [{ "name": name, "dependencies": [{ "name": on, "kind": null }] }] })
    }

    #[test]
    fn arrows_point_down_only() {
        assert_eq!(problems(&metadata("engine", "store"), ""), Vec::<String>::new());
        assert_eq!(problems(&metadata("store", "engine"), "").len(), 1);
        assert_eq!(problems(&metadata("fhir", "seal"), "").len(), 1);
        assert_eq!(problems(&metadata("mystery", "fhir"), "").len(), 1);
        assert_eq!(problems(&metadata("weir", "emr-sim"), ""), Vec::<String>::new());
        assert_eq!(problems(&metadata("delivery", "emr-sim"), "").len(), 1);
    }

    #[test]
    fn third_party_crates_need_a_line_and_have_a_home() {
        let list = "| `rusqlite` | why |\n| `tokio` | why |";
        assert_eq!(problems(&metadata("store", "rusqlite"), list), Vec::<String>::new());
        assert_eq!(problems(&metadata("api", "rusqlite"), list).len(), 1);
        assert_eq!(problems(&metadata("fhir", "tokio"), list).len(), 1);
        assert_eq!(problems(&metadata("store", "left-pad"), list).len(), 1);
        assert_eq!(problems(&metadata("identity", "tokio"), list).len(), 1);
        assert_eq!(problems(&metadata("store", "tokio"), list), Vec::<String>::new());
    }
}
