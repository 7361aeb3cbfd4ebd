//! Tables as files that Spark and its like read: gzipped NDJSON, with a partition for each day where a table has days.

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Text of a file that is compressed at once, and of all files that waits in memory.
const PIECE: usize = 256 << 10;
const WAITING_MAX: usize = 64 << 20;

/// A file of a table.
#[derive(Debug, Default)]
struct Part {
    rows: u64,
    waiting: Vec<u8>,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    pub files: usize,
}

/// A directory that is made whole or not at all. The same rows in the same order make the same bytes.
#[derive(Debug)]
pub struct Files {
    to: PathBuf,
    /// Beside it: becomes it at the end.
    partial: PathBuf,
    /// By table and day.
    parts: BTreeMap<(String, Option<String>), Part>,
    waiting: usize,
}

impl Files {
    /// `to` must not be there, or empty. What an earlier attempt left beside it is removed.
    pub fn create(to: &Path) -> io::Result<Files> {
        let name = to.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "name a directory"))?;
        let is_used = match fs::read_dir(to) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if is_used {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is not empty: name a new directory"));
        }
        let partial = to.with_file_name(format!(".{name}.partial"));
        match fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(&partial)?;
        Ok(Files { to: to.to_owned(), partial, parts: BTreeMap::new(), waiting: 0 })
    }

    /// A line of a table: into `TABLE/` or, with a day, into `TABLE/day=DAY/`.
    pub fn row(&mut self, table: &str, day: Option<&str>, row: &impl Serialize) -> io::Result<()> {
        self.line(table, day, &serde_json::to_vec(row)?)
    }

    /// A row that is JSON on one line already.
    pub fn line(&mut self, table: &str, day: Option<&str>, line: &[u8]) -> io::Result<()> {
        let key = (table.to_owned(), day.map(str::to_owned));
        let part = self.parts.entry(key.clone()).or_default();
        let before = part.waiting.len();
        part.waiting.extend_from_slice(line);
        part.waiting.push(b'\n');
        part.rows += 1;
        self.waiting += part.waiting.len() - before;
        if part.waiting.len() >= PIECE {
            self.flush(&key)?;
        }
        if self.waiting >= WAITING_MAX {
            self.flush_all()?;
        }
        Ok(())
    }

    fn path(&self, (table, day): &(String, Option<String>)) -> PathBuf {
        let dir = self.partial.join(table);
        let dir = day.as_ref().map_or_else(|| dir.clone(), |day| dir.join(format!("day={day}")));
        dir.join("part-0.ndjson.gz")
    }

    /// Appends what waits as a member of the gzip file.
    fn flush(&mut self, key: &(String, Option<String>)) -> io::Result<()> {
        let path = self.path(key);
        let Some(part) = self.parts.get_mut(key).filter(|part| !part.waiting.is_empty()) else { return Ok(()) };
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let mut encoder = GzEncoder::new(file, Compression::default());
        encoder.write_all(&part.waiting)?;
        encoder.finish()?;
        self.waiting -= part.waiting.len();
        part.waiting.clear();
        Ok(())
    }

    fn flush_all(&mut self) -> io::Result<()> {
        let keys: Vec<_> = self.parts.keys().cloned().collect();
        keys.iter().try_for_each(|key| self.flush(key))
    }

    /// A file of its own at the top, as JSON. With `_` before its name those who read tables pass it by.
    pub fn document(&self, name: &str, content: &impl Serialize) -> io::Result<()> {
        let mut file = File::create_new(self.partial.join(name))?;
        serde_json::to_writer_pretty(&mut file, content)?;
        file.write_all(b"\n")?;
        file.sync_all()
    }

    /// What has been written so far.
    pub fn written(&self) -> Written {
        let mut written = Written { files: self.parts.len(), ..Written::default() };
        for ((table, _), part) in &self.parts {
            *written.rows.entry(table.clone()).or_default() += part.rows;
        }
        written
    }

    /// Makes everything durable and gives the directory its name.
    pub fn finish(mut self) -> io::Result<Written> {
        self.flush_all()?;
        for key in self.parts.keys() {
            File::open(self.path(key))?.sync_all()?;
        }
        File::open(&self.partial)?.sync_all()?;
        match fs::remove_dir(&self.to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(&self.partial, &self.to)?;
        if let Some(parent) = self.to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(self.written())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::MultiGzDecoder;
    use std::io::Read;
    use tempfile::TempDir;

    fn read(path: &Path) -> String {
        let mut text = String::new();
        MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        text
    }

    fn write(to: &Path, rows: usize) -> Files {
        let mut files = Files::create(to).unwrap();
        for n in 0..rows {
            let day = ["2026-01-01", "2026-01-02"][n % 2];
            files.row("doses", Some(day), &serde_json::json!({"n": n, "filler": "x".repeat(100)})).unwrap();
        }
        files.row("persons", None, &serde_json::json!({"n": 0})).unwrap();
        files.document("_manifest.json", &serde_json::json!({"rows": rows})).unwrap();
        files
    }

    #[test]
    fn rows_are_where_their_day_is() {
        let dir = TempDir::new().unwrap();
        let to = dir.path().join("out");
        // More than a piece each, so that a file has several members.
        let written = write(&to, 10_001).finish().unwrap();
        assert_eq!((written.rows["doses"], written.rows["persons"], written.files), (10_001, 1, 3));
        let even = read(&to.join("doses/day=2026-01-01/part-0.ndjson.gz"));
        let numbers: Vec<u64> = even
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["n"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, (0..10_001).step_by(2).collect::<Vec<_>>());
        assert_eq!(read(&to.join("persons/part-0.ndjson.gz")), "{\"n\":0}\n");
    }

    #[test]
    fn until_it_is_whole_nothing_is_there() {
        let dir = TempDir::new().unwrap();
        let to = dir.path().join("out");
        drop(write(&to, 10));
        assert!(!to.exists());
        write(&to, 3).finish().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "what the first left is gone");
        let again = Files::create(&to).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn the_same_rows_are_the_same_bytes() {
        let dir = TempDir::new().unwrap();
        let bytes = |name: &str| {
            let to = dir.path().join(name);
            write(&to, 6_000).finish().unwrap();
            fs::read(to.join("doses/day=2026-01-02/part-0.ndjson.gz")).unwrap()
        };
        assert_eq!(bytes("one"), bytes("two"));
    }
}
