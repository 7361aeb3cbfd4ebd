//! The data directories that the benchmarks work on, made when first needed and thrown away at the end.

use crate::options::Options;
use crate::server::{memory_mib, weir};
use crate::synthea::{ARCHIVE, Synthea};
use anyhow::{Context, Result, ensure};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

pub(crate) struct Stores {
    root: tempfile::TempDir,
    weir: PathBuf,
    archive: PathBuf,
    bundles_max: usize,
    copies: u32,
    synthea: Option<Synthea>,
    small: Option<Store>,
    large: Option<Store>,
    fresh: usize,
}

/// A data directory with the given number of resources in it.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) dir: PathBuf,
    pub(crate) resources: u64,
    pub(crate) copies: u32,
}

/// What `weir load` said, and how much memory it took.
pub(crate) struct Loaded {
    pub(crate) resources: u64,
    pub(crate) seconds: f64,
    pub(crate) refused: u64,
    pub(crate) peak_mib: f64,
}

impl Stores {
    pub(crate) fn new(options: &Options) -> Result<Stores> {
        Ok(Stores {
            root: tempfile::Builder::new().prefix("weir-bench").tempdir_in(&options.dir)?,
            weir: options.weir.clone(),
            archive: options.data.join(ARCHIVE),
            bundles_max: if options.quick { 1 } else { usize::MAX },
            copies: options.copies,
            synthea: None,
            small: None,
            large: None,
            fresh: 0,
        })
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// A name for a store that does not exist yet.
    pub(crate) fn fresh(&mut self) -> PathBuf {
        self.fresh += 1;
        self.root.path().join(format!("store{}", self.fresh))
    }

    pub(crate) fn synthea(&mut self) -> Result<&Synthea> {
        if self.synthea.is_none() {
            self.synthea = Some(Synthea::read(&self.archive, self.bundles_max)?);
        }
        self.synthea.as_ref().context("just read")
    }

    /// `copies` copies of the data as NDJSON.
    pub(crate) fn ndjson(&mut self, copies: u32) -> Result<PathBuf> {
        let path = self.root.path().join(format!("{copies}.ndjson"));
        self.synthea()?.write(copies, &path)?;
        Ok(path)
    }

    /// The store with one copy.
    pub(crate) fn small(&mut self) -> Result<Store> {
        if self.small.is_none() {
            self.small = Some(self.make(1)?);
        }
        self.small.clone().context("just made")
    }

    /// The store with many copies.
    pub(crate) fn large(&mut self) -> Result<Store> {
        if self.large.is_none() {
            self.large = Some(self.make(self.copies)?);
        }
        self.large.clone().context("just made")
    }

    fn make(&mut self, copies: u32) -> Result<Store> {
        let (dir, file) = (self.fresh(), self.ndjson(copies)?);
        eprintln!("  loading {copies} copies of the data");
        let loaded = load(&self.weir, &dir, &file)?;
        let expected = self.synthea()?.resources() * u64::from(copies);
        ensure!(loaded.refused == 0 && loaded.resources == expected, "not all {expected} resources were loaded");
        std::fs::remove_file(&file)?;
        Ok(Store { dir, resources: loaded.resources, copies })
    }
}

/// `weir load FILE` into `dir`, with validation of structure: one claim of the data names a patient as the insurer, which the full
/// validation rightly refuses together with its whole transaction.
pub(crate) fn load(binary: &Path, dir: &Path, file: &Path) -> Result<Loaded> {
    let mut command = weir(binary, dir);
    command.env("WEIR__FHIR__VALIDATION", "structure");
    let mut child = command.args(["--json", "load"]).arg(file).stdout(Stdio::piped()).spawn()?;
    let mut peak_mib = 0.0_f64;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak_mib = peak_mib.max(memory_mib(child.id(), "VmHWM:").unwrap_or_default());
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut text = String::new();
    child.stdout.take().context("no output")?.read_to_string(&mut text)?;
    let said: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("weir load ended with {status}"))?;
    let count = |name: &str| said[name].as_u64().context("weir load says nothing");
    let seconds = said["seconds"].as_f64().context("weir load says nothing")?;
    Ok(Loaded { resources: count("resources")?, seconds, refused: count("refused")?, peak_mib })
}

/// Bytes of all files under `dir`.
pub(crate) fn disk_bytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
