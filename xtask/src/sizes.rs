//! File sizes: a file over 50 KB is an error, one over 25 KB is reported.

use crate::{files, root};
use anyhow::Result;

const REPORT_BYTES: u64 = 25_000;
const FAIL_BYTES: u64 = 50_000;

pub(crate) fn check() -> Result<()> {
    let mut too_big = 0;
    let mut sizes = Vec::new();
    for path in files(&[".rs", ".md", ".py", ".mjs", ".sh", ".toml"])? {
        let bytes = std::fs::metadata(root().join(&path))?.len();
        if bytes > FAIL_BYTES {
            too_big += 1;
            eprintln!("  {} has {bytes} bytes: split it (limit {FAIL_BYTES})", path.display());
        } else if bytes > REPORT_BYTES {
            eprintln!("  {} has {bytes} bytes: consider a split", path.display());
        }
        if path.extension().is_some_and(|extension| extension == "rs") {
            sizes.push(bytes);
        }
    }
    sizes.sort_unstable();
    if let (Some(median), Some(max)) = (sizes.get(sizes.len() / 2), sizes.last()) {
        eprintln!("  {} Rust files, median {median} bytes, largest {max} bytes", sizes.len());
    }
    anyhow::ensure!(too_big == 0, "{too_big} files are over {FAIL_BYTES} bytes");
    Ok(())
}
