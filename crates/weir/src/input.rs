//! Files to load: Bundles and NDJSON, plain or gzipped, in directories and tar archives, one document at a time.

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// One document found in an input: a whole JSON file or a line of NDJSON.
#[derive(Debug)]
pub(crate) struct Item {
    /// Where it is: `FILE member 3`, `FILE:12`. File names below what the user named are not part of it: they may name people.
    pub(crate) place: String,
    pub(crate) bytes: Vec<u8>,
}

/// A place as it is shown, and the name whose ending tells the kind.
struct Place {
    shown: String,
    name: String,
}

impl Place {
    fn inner(&self, name: String) -> Place {
        Place { shown: self.shown.clone(), name }
    }
}

/// The bytes in the files of `paths`; what cannot be looked at counts nothing and fails when it is read.
pub(crate) fn bytes_in(paths: &[PathBuf]) -> u64 {
    let size = |path: &PathBuf| match path.is_dir() {
        true => children(path).map_or(0, |paths| bytes_in(&paths)),
        false => path.metadata().map_or(0, |metadata| metadata.len()),
    };
    paths.iter().map(size).sum()
}

/// Calls `each` with every document of `path` in a fixed order; stops when it answers `false`. Bytes read of files are added
/// to `bytes_read`.
pub(crate) fn read(path: &Path, bytes_read: &AtomicU64, each: &mut dyn FnMut(Item) -> Result<bool>) -> Result<bool> {
    let place = Place { shown: path.display().to_string(), name: name_of(path) };
    read_at(path, &place, bytes_read, each)
}

fn read_at(
    path: &Path,
    place: &Place,
    bytes_read: &AtomicU64,
    each: &mut dyn FnMut(Item) -> Result<bool>,
) -> Result<bool> {
    if path.is_dir() {
        for (at, child) in children(path).with_context(|| format!("cannot read {}", place.shown))?.iter().enumerate() {
            let place = Place { shown: format!("{} file {}", place.shown, at + 1), name: name_of(child) };
            if !read_at(child, &place, bytes_read, each)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", place.shown))?;
    let counted = Counted { file, bytes_read };
    stream(place, Box::new(BufReader::with_capacity(1 << 18, counted)), each)
}

/// Directories and loadable files of a directory, by name.
fn children(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.is_dir() || kind(&name_of(path)).is_some());
    paths.sort();
    Ok(paths)
}

struct Counted<'a> {
    file: File,
    bytes_read: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned())
}

enum Kind {
    Json,
    Ndjson,
    Tar,
    Gzip,
}

fn kind(name: &str) -> Option<Kind> {
    let ends = |suffix: &str| name.to_ascii_lowercase().ends_with(suffix);
    match () {
        () if ends(".tar.gz") || ends(".tgz") || ends(".gz") => Some(Kind::Gzip),
        () if ends(".tar") => Some(Kind::Tar),
        () if ends(".ndjson") || ends(".jsonl") => Some(Kind::Ndjson),
        () if ends(".json") => Some(Kind::Json),
        () => None,
    }
}

fn stream(place: &Place, reader: Box<dyn BufRead + '_>, each: &mut dyn FnMut(Item) -> Result<bool>) -> Result<bool> {
    let hint = "hint: files end in .json, .ndjson, .tar, .tar.gz, .tgz or .gz";
    let shown = &place.shown;
    let cannot_read = || format!("cannot read {shown}");
    match kind(&place.name).with_context(|| format!("cannot tell what {shown} is\n{hint}"))? {
        Kind::Gzip => {
            let lower = place.name.to_ascii_lowercase();
            let inner = match lower.strip_suffix(".tgz") {
                Some(stem) => format!("{stem}.tar"),
                None => lower[..lower.len() - 3].to_owned(),
            };
            let decoder = BufReader::with_capacity(1 << 18, MultiGzDecoder::new(reader));
            stream(&place.inner(inner), Box::new(decoder), each)
        }
        Kind::Tar => {
            let mut archive = tar::Archive::new(reader);
            for (at, entry) in archive.entries().with_context(cannot_read)?.enumerate() {
                let entry = entry.with_context(cannot_read)?;
                let member = Place { shown: format!("{shown} member {}", at + 1), name: name_of(&entry.path()?) };
                if kind(&member.name).is_some()
                    && entry.header().entry_type().is_file()
                    && !stream(&member, Box::new(BufReader::new(entry)), each)?
                {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Kind::Ndjson => {
            for (at, line) in reader.split(b'\n').enumerate() {
                let bytes = line.with_context(cannot_read)?;
                let item = Item { place: format!("{shown}:{}", at + 1), bytes };
                if !item.bytes.trim_ascii().is_empty() && !each(item)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Kind::Json => {
            let mut reader = reader;
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).with_context(cannot_read)?;
            each(Item { place: shown.clone(), bytes })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn places(path: &Path) -> Vec<String> {
        let mut places = Vec::new();
        read(path, &AtomicU64::new(0), &mut |item| {
            let tail = item.place.rsplit('/').next().unwrap_or_default().to_owned();
            places.push(format!("{tail}={}", String::from_utf8_lossy(&item.bytes)));
            Ok(true)
        })
        .unwrap();
        places
    }

    #[test]
    fn documents_are_found_in_directories_lines_and_archives() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("b.ndjson"), "{}\n\n[1]\n").unwrap();
        std::fs::write(dir.path().join("a.json"), "{\"a\":1}").unwrap();
        std::fs::write(dir.path().join("notes.txt"), "x").unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        archive.append_data(&mut header, "in/c.json", &b"{}"[..]).unwrap();
        gzip.write_all(&archive.into_inner().unwrap()).unwrap();
        std::fs::write(dir.path().join("z.tgz"), gzip.finish().unwrap()).unwrap();
        let found = places(dir.path());
        let tails: Vec<&str> = found.iter().filter_map(|place| place.split_once(' ')).map(|(_, tail)| tail).collect();
        assert_eq!(tails, ["file 1={\"a\":1}", "file 2:1={}", "file 2:3=[1]", "file 3 member 1={}"]);
        assert!(read(&dir.path().join("notes.txt"), &AtomicU64::new(0), &mut |_| Ok(true)).is_err());
        let size = |name: &str| dir.path().join(name).metadata().unwrap().len();
        let read_bytes = AtomicU64::new(0);
        assert!(read(dir.path(), &read_bytes, &mut |_| Ok(true)).unwrap());
        assert_eq!(bytes_in(&[dir.path().to_owned()]), size("a.json") + size("b.ndjson") + size("z.tgz"));
        assert_eq!(read_bytes.into_inner(), bytes_in(&[dir.path().to_owned()]));
    }
}
