//! Tables as files that Spark and its like read: gzipped NDJSON or Parquet, with a partition for each day where a table has days.

use crate::parquet::{Table, Writer};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Text of a file that is compressed at once, a group of rows of a Parquet file, and what of all files waits in memory.
const PIECE: usize = 256 << 10;
const GROUP: usize = 16 << 20;
const WAITING_MAX: usize = 64 << 20;

/// How rows are written.
#[derive(Clone, Copy, Debug, Default)]
pub enum Format {
    /// A JSON object a line, compressed with gzip.
    #[default]
    Ndjson,
    /// Only rows of these tables.
    Parquet(&'static [Table]),
}

impl Format {
    /// As a manifest says it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Ndjson => "ndjson.gz",
            Format::Parquet(_) => "parquet",
        }
    }
}

/// A file of a table.
#[derive(Debug)]
struct Part {
    rows: u64,
    waiting: Waiting,
}

#[derive(Debug)]
enum Waiting {
    Lines(Vec<u8>),
    Rows(Writer),
}

impl Part {
    fn new(format: Format, table: &str) -> io::Result<Part> {
        let waiting = match format {
            Format::Ndjson => Waiting::Lines(Vec::new()),
            Format::Parquet(tables) => {
                let table = tables.iter().find(|one| one.name == table).copied();
                let table = table.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "an unknown table"))?;
                Waiting::Rows(Writer::new(table))
            }
        };
        Ok(Part { rows: 0, waiting })
    }

    fn size(&self) -> usize {
        match &self.waiting {
            Waiting::Lines(lines) => lines.len(),
            Waiting::Rows(writer) => writer.waiting(),
        }
    }

    fn push(&mut self, line: &[u8]) -> io::Result<()> {
        match &mut self.waiting {
            Waiting::Lines(lines) => {
                lines.extend_from_slice(line);
                lines.push(b'\n');
            }
            Waiting::Rows(writer) => writer.push(&serde_json::from_slice(line)?, line)?,
        }
        self.rows += 1;
        Ok(())
    }

    fn is_full(&self) -> bool {
        let most = if matches!(self.waiting, Waiting::Lines(_)) { PIECE } else { GROUP };
        self.size() >= most
    }

    /// Lines: as a member of the gzip file.
    fn flush(&mut self, file: File) -> io::Result<()> {
        match &mut self.waiting {
            Waiting::Lines(lines) => {
                let mut encoder = GzEncoder::new(file, Compression::default());
                encoder.write_all(lines)?;
                encoder.finish()?;
                lines.clear();
                Ok(())
            }
            Waiting::Rows(writer) => {
                let mut out = io::BufWriter::new(file);
                writer.flush(&mut out)?;
                out.flush()
            }
        }
    }
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
    format: Format,
    to: PathBuf,
    /// Beside it: becomes it at the end.
    partial: PathBuf,
    /// By table and day.
    parts: BTreeMap<(String, Option<String>), Part>,
    waiting: usize,
}

impl Files {
    /// `to` must not be there, or empty. What an earlier attempt left beside it is removed.
    pub fn create(to: &Path, format: Format) -> io::Result<Files> {
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
        Ok(Files { format, to: to.to_owned(), partial, parts: BTreeMap::new(), waiting: 0 })
    }

    /// A line of a table: into `TABLE/` or, with a day, into `TABLE/day=DAY/`.
    pub fn row(&mut self, table: &str, day: Option<&str>, row: &impl Serialize) -> io::Result<()> {
        self.line(table, day, &serde_json::to_vec(row)?)
    }

    /// A row that is JSON on one line already.
    pub fn line(&mut self, table: &str, day: Option<&str>, line: &[u8]) -> io::Result<()> {
        let key = (table.to_owned(), day.map(str::to_owned));
        let part = match self.parts.entry(key.clone()) {
            Entry::Occupied(part) => part.into_mut(),
            Entry::Vacant(place) => place.insert(Part::new(self.format, table)?),
        };
        let before = part.size();
        part.push(line)?;
        self.waiting += part.size() - before;
        if part.is_full() {
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
        dir.join(format!("part-0.{}", self.format.name()))
    }

    /// Appends what waits.
    fn flush(&mut self, key: &(String, Option<String>)) -> io::Result<()> {
        let path = self.path(key);
        let Some(part) = self.parts.get_mut(key).filter(|part| part.size() > 0) else { return Ok(()) };
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        self.waiting -= part.size();
        part.flush(file)
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
        let paths: Vec<PathBuf> = self.parts.keys().map(|key| self.path(key)).collect();
        for (part, path) in self.parts.values_mut().zip(paths) {
            let mut file = OpenOptions::new().append(true).open(path)?;
            if let Waiting::Rows(writer) = &mut part.waiting {
                writer.finish(&mut file)?;
            }
            file.sync_all()?;
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
        let mut files = Files::create(to, Format::Ndjson).unwrap();
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
        let again = Files::create(&to, Format::Ndjson).unwrap_err();
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

    #[test]
    fn parquet_has_a_file_for_each_day_and_no_other_tables() {
        const TABLES: &[Table] = &[Table { name: "doses", columns: &[("lot", crate::parquet::Kind::Text)] }];
        let dir = TempDir::new().unwrap();
        let bytes = |name: &str| {
            let to = dir.path().join(name);
            let mut files = Files::create(&to, Format::Parquet(TABLES)).unwrap();
            for n in 0..18_000 {
                // More than a group on the first day.
                let day = ["2026-01-01", "2026-01-02"][usize::from(n % 8 == 0)];
                files.row("doses", Some(day), &serde_json::json!({ "lot": format!("{n:02000}") })).unwrap();
            }
            assert!(files.row("dozes", None, &serde_json::json!({ "lot": "x" })).is_err());
            assert_eq!(files.finish().unwrap().rows["doses"], 18_000);
            let [one, two] = ["2026-01-01", "2026-01-02"]
                .map(|day| fs::read(to.join(format!("doses/day={day}/part-0.parquet"))).unwrap());
            assert!(one.starts_with(b"PAR1") && one.ends_with(b"PAR1") && two.ends_with(b"PAR1"));
            one
        };
        assert_eq!(bytes("one"), bytes("two"), "the same rows are the same bytes");
    }
}
