//! The official R4 examples.

#[path = "shared_data.rs"]
mod shared_data;

use std::io::Read;

/// Calls `each` with the path and the bytes of every JSON file of the archive.
pub(crate) fn for_each_example(each: &mut dyn FnMut(&str, &[u8])) {
    let packed = std::fs::read(shared_data::shared_data().join("r4-examples.tar.xz")).unwrap();
    let mut unpacked = Vec::new();
    lzma_rs::xz_decompress(&mut packed.as_slice(), &mut unpacked).unwrap();
    for entry in tar::Archive::new(unpacked.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            each(&name, &bytes);
        }
    }
}
