//! `cargo xtask cdsi`: packs CDC's supporting data into `crates/vaccines/data/cdsi-4.64.zst`, which `Schedule::builtin` reads.

use crate::root;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};

const VERSION: &str = "4.64";
const SCHEDULE: &str = "ScheduleSupportingData.xml";

/// `--from DIR` takes the documents from there; `--check` compares with the checked-in file instead of writing it.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let from = args.iter().position(|arg| arg == "--from").and_then(|at| args.get(at + 1));
    let dir = from.map_or_else(shared, |dir| Ok(PathBuf::from(dir)))?;
    let packed = pack(&dir)?;
    let target = target();
    if args.iter().any(|arg| arg == "--check") {
        let present = std::fs::read(&target).with_context(|| format!("cannot read {}", target.display()))?;
        ensure!(
            present == packed,
            "{} is not what {} packs to: run `cargo xtask cdsi`",
            target.display(),
            dir.display()
        );
        println!("{} is up to date", target.display());
    } else {
        std::fs::write(&target, &packed)?;
        println!("{}: {} bytes", target.display(), packed.len());
    }
    Ok(())
}

fn target() -> PathBuf {
    root().join(format!("crates/vaccines/data/cdsi-{VERSION}.zst"))
}

/// The documents among the shared test data, next to the project; a git worktree lies one level deeper.
fn shared() -> Result<PathBuf> {
    let places = match std::env::var_os("WEIR_SHARED_DATA") {
        Some(data) => vec![PathBuf::from(data)],
        None => vec![root().join("../shared/data"), root().join("../../shared/data")],
    };
    let mut folders = places.into_iter().map(|data| data.join(format!("cdsi/supporting-data-{VERSION}")));
    folders
        .find(|folder| folder.is_dir())
        .context("no shared/data/cdsi next to the project: set WEIR_SHARED_DATA or --from DIR")
}

/// The document of the schedule, then those of the antigens by name, with NUL between them, which no XML contains.
fn pack(dir: &Path) -> Result<Vec<u8>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut names: Vec<String> = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .filter(|name| name.ends_with(".xml"))
        .collect();
    names.sort_by_key(|name| (name != SCHEDULE, name.clone()));
    ensure!(names.first().is_some_and(|name| name == SCHEDULE), "{} has no {SCHEDULE}", dir.display());
    let documents = names.iter().map(|name| std::fs::read(dir.join(name))).collect::<std::io::Result<Vec<_>>>()?;
    Ok(zstd::bulk::compress(&documents.join(&0), 22)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_is_what_the_command_writes() {
        assert!(std::fs::read(target()).unwrap() == pack(&shared().unwrap()).unwrap(), "run `cargo xtask cdsi`");
    }

    #[test]
    fn a_folder_without_the_schedule_is_refused() {
        let error = pack(&root().join("xtask")).unwrap_err();
        assert!(error.to_string().contains(SCHEDULE), "{error}");
    }
}
