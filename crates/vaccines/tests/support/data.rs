//! The schedule from the shared test data.

use std::path::PathBuf;
use vaccines::Schedule;

/// The folder of the CDSi data: in `WEIR_SHARED_DATA` or `../shared/data` next to the project.
pub(crate) fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("WEIR_SHARED_DATA") {
        return PathBuf::from(folder).join("cdsi");
    }
    // A git worktree lies one level deeper than the project itself.
    let project = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let nearest = [project.join("../shared/data/cdsi"), project.join("../../shared/data/cdsi")];
    nearest.into_iter().find(|folder| folder.is_dir()).expect("shared/data next to the project, or WEIR_SHARED_DATA")
}

pub(crate) fn schedule() -> Schedule {
    let (mut schedule, mut antigens) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder().join("supporting-data-4.64")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "ScheduleSupportingData.xml" {
            schedule = std::fs::read(&path).unwrap();
        } else if name.ends_with(".xml") {
            antigens.push(std::fs::read(&path).unwrap());
        }
    }
    Schedule::load("4.64", &schedule, antigens.iter().map(Vec::as_slice)).unwrap()
}
