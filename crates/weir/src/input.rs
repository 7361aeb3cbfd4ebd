//! Files to load: Bundles and NDJSON, plain or gzipped, in directories and tar archives, one document at a time.

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// One document found in an input: a whole JSON file or a line of NDJSON.
#[derive(Debug)]
pub(crate) struct Item {
    /// `file.tar.gz/member.json` or `file.ndjson:12`
    pub(crate) place: String,
    pub(crate) bytes: Vec<u8>,
}

/// Calls `each` with every document of `path` in a fixed order; stops when it answers `false`.
pub(crate) fn read(path: &Path, each: &mut dyn FnMut(Item) -> Result<bool>) -> Result<bool> {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        paths.retain(|path| path.is_dir() || kind(&name_of(path)).is_some());
        paths.sort();
        for path in paths {
            if !read(&path, each)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let name = path.display().to_string();
    stream(&name, Box::new(BufReader::with_capacity(1 << 18, file)), each)
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

fn stream(name: &str, reader: Box<dyn BufRead + '_>, each: &mut dyn FnMut(Item) -> Result<bool>) -> Result<bool> {
    let hint = "hint: files end in .json, .ndjson, .tar, .tar.gz, .tgz or .gz";
    match kind(name).with_context(|| format!("cannot tell what {name} is\n{hint}"))? {
        Kind::Gzip => {
            let lower = name.to_ascii_lowercase();
            let inner = match lower.strip_suffix(".tgz") {
                Some(stem) => format!("{}.tar", &name[..stem.len()]),
                None => name[..name.len() - 3].to_owned(),
            };
            stream(&inner, Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(reader))), each)
        }
        Kind::Tar => {
            let mut archive = tar::Archive::new(reader);
            for entry in archive.entries().with_context(|| format!("cannot read {name}"))? {
                let entry = entry.with_context(|| format!("cannot read {name}"))?;
                let member = name_of(&entry.path()?);
                if kind(&member).is_some()
                    && entry.header().entry_type().is_file()
                    && !stream(&format!("{name}/{member}"), Box::new(BufReader::new(entry)), each)?
                {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Kind::Ndjson => {
            for (at, line) in reader.split(b'\n').enumerate() {
                let bytes = line.with_context(|| format!("cannot read {name}"))?;
                let item = Item { place: format!("{name}:{}", at + 1), bytes };
                if !item.bytes.trim_ascii().is_empty() && !each(item)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Kind::Json => {
            let mut reader = reader;
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
            each(Item { place: name.to_owned(), bytes })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn places(path: &Path) -> Vec<String> {
        let mut places = Vec::new();
        read(path, &mut |item| {
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
        assert_eq!(places(dir.path()), ["a.json={\"a\":1}", "b.ndjson:1={}", "b.ndjson:3=[1]", "c.json={}"]);
        assert!(read(&dir.path().join("notes.txt"), &mut |_| Ok(true)).is_err());
    }
}
