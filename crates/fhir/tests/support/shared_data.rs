//! Where the shared test data lies.

use std::path::PathBuf;

/// The folder of the shared test data: `WEIR_SHARED_DATA` or `../shared/data` next to the project.
pub(crate) fn shared_data() -> PathBuf {
    if let Some(folder) = std::env::var_os("WEIR_SHARED_DATA") {
        return folder.into();
    }
    // A git worktree lies one level deeper than the project itself.
    let project = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let nearest = [project.join("../shared/data"), project.join("../../shared/data")];
    nearest.into_iter().find(|folder| folder.is_dir()).expect("shared/data next to the project, or WEIR_SHARED_DATA")
}
