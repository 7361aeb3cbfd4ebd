//! Flat tables as Parquet: all columns optional, PLAIN, pages compressed with gzip, a group of rows for each piece.
//!
//! Format: <https://github.com/apache/parquet-format> (2.11). What is not needed here (dictionaries, nesting, statistics) is not
//! written; Spark and pyarrow read the files (`scripts/spark`).

mod thrift;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value};
use std::io::{self, Write};
use thrift::{BINARY, I32, STRUCT, Struct, i32_item, text_item, varint};

const MAGIC: &[u8; 4] = b"PAR1";
// Numbers of the format's enums.
const INT64: i32 = 2;
const BYTE_ARRAY: i32 = 6;
const OPTIONAL: i32 = 1;
const UTF8: i32 = 0;
const PLAIN: i32 = 0;
const RLE: i32 = 3;
const GZIP: i32 = 2;
const DATA_PAGE: i32 = 0;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Int,
    /// The whole row as JSON.
    Line,
}

/// A table's columns, by the names of its rows' members.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [(&'static str, Kind)],
}

/// Values of a column that are not written yet.
#[derive(Debug, Default)]
struct Column {
    /// Whether each row has a value.
    known: Vec<bool>,
    /// Values of those that have, as PLAIN has them.
    values: Vec<u8>,
}

/// A file.
#[derive(Debug)]
pub(crate) struct Writer {
    table: Table,
    columns: Vec<Column>,
    waiting: usize,
    /// Rows that wait, and all.
    rows: (i64, i64),
    /// Bytes in the file.
    written: u64,
    groups: Vec<Vec<u8>>,
}

fn refused(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl Writer {
    pub(crate) fn new(table: Table) -> Writer {
        let columns = table.columns.iter().map(|_| Column::default()).collect();
        Writer { table, columns, waiting: 0, rows: (0, 0), written: 0, groups: Vec::new() }
    }

    /// Bytes that wait in memory.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Adds a row; `line` is the same as JSON. A member without a column is refused, unless the line is kept.
    pub(crate) fn push(&mut self, row: &Map<String, Value>, line: &[u8]) -> io::Result<()> {
        let columns = self.table.columns;
        let keeps_line = columns.iter().any(|(_, kind)| *kind == Kind::Line);
        let unknown = row.keys().find(|name| !columns.iter().any(|(column, _)| column == name));
        if let Some(name) = unknown.filter(|_| !keeps_line) {
            return Err(refused(format!("the table {} has no column {name}", self.table.name)));
        }
        for ((name, kind), column) in columns.iter().zip(&mut self.columns) {
            let before = column.values.len();
            let is_known = match (kind, row.get(*name)) {
                (Kind::Line, _) => column.bytes(line)?,
                (_, None | Some(Value::Null)) => false,
                (Kind::Text, Some(Value::String(text))) => column.bytes(text.as_bytes())?,
                (Kind::Int, Some(Value::Number(number))) => {
                    let number = number.as_i64().ok_or_else(|| refused(format!("{name} is no whole number")))?;
                    column.values.extend(number.to_le_bytes());
                    true
                }
                (_, Some(_)) => return Err(refused(format!("{name} is of another kind than its column"))),
            };
            column.known.push(is_known);
            self.waiting += column.values.len() - before + 1;
        }
        self.rows.0 += 1;
        Ok(())
    }

    /// Appends the rows that wait as a group.
    pub(crate) fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.written == 0 {
            out.write_all(MAGIC)?;
            self.written = MAGIC.len() as u64;
        }
        if self.rows.0 == 0 {
            return Ok(());
        }
        let (mut chunks, mut total) = (Vec::new(), 0);
        for ((name, kind), column) in self.table.columns.iter().zip(&mut self.columns) {
            let page = Page::of(&std::mem::take(column))?;
            out.write_all(&page.head)?;
            out.write_all(&page.body)?;
            let sizes = [page.size as i64, (page.head.len() + page.body.len()) as i64];
            chunks.push(chunk(name, *kind, self.rows.0, sizes, self.written as i64));
            self.written += page.head.len() as u64 + page.body.len() as u64;
            total += sizes[0];
        }
        let group = Struct::default().list(1, STRUCT, &chunks).i64(2, total).i64(3, self.rows.0);
        self.groups.push(group.done());
        self.rows = (0, self.rows.1 + self.rows.0);
        self.waiting = 0;
        Ok(())
    }

    /// Ends the file, whose rows have all been written.
    pub(crate) fn finish(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.flush(out)?;
        let root = Struct::default().text(4, "weir").i32(5, self.columns.len() as i32);
        let mut schema = vec![root.done()];
        schema.extend(self.table.columns.iter().map(|(name, kind)| element(name, *kind)));
        let footer = Struct::default()
            .i32(1, 1)
            .list(2, STRUCT, &schema)
            .i64(3, self.rows.1)
            .list(4, STRUCT, &self.groups)
            .text(6, concat!("weir version ", env!("CARGO_PKG_VERSION")))
            .done();
        out.write_all(&footer)?;
        out.write_all(&(footer.len() as u32).to_le_bytes())?;
        out.write_all(MAGIC)
    }
}

impl Column {
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let len = u32::try_from(bytes.len()).map_err(|_| refused("a value is too long".into()))?;
        self.values.extend(len.to_le_bytes());
        self.values.extend_from_slice(bytes);
        Ok(true)
    }
}

struct Page {
    head: Vec<u8>,
    /// Compressed.
    body: Vec<u8>,
    /// With the head, not compressed.
    size: usize,
}

impl Page {
    fn of(column: &Column) -> io::Result<Page> {
        // Which rows have a value, as one run of bits; its length stands before it.
        let mut levels = Vec::new();
        varint(&mut levels, (column.known.len().div_ceil(8) as u64) << 1 | 1);
        levels.extend(
            column
                .known
                .chunks(8)
                .map(|eight| eight.iter().enumerate().fold(0, |byte, (at, known)| byte | u8::from(*known) << at)),
        );
        let mut plain = (levels.len() as u32).to_le_bytes().to_vec();
        plain.extend(levels);
        plain.extend_from_slice(&column.values);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&plain)?;
        let body = encoder.finish()?;
        let size = |len: usize| i32::try_from(len).map_err(|_| refused("a page is too large".into()));
        let of_page = Struct::default().i32(1, size(column.known.len())?).i32(2, PLAIN).i32(3, RLE).i32(4, RLE);
        let head = Struct::default().i32(1, DATA_PAGE).i32(2, size(plain.len())?).i32(3, size(body.len())?);
        let head = head.nested(5, of_page).done();
        Ok(Page { size: head.len() + plain.len(), head, body })
    }
}

fn physical(kind: Kind) -> i32 {
    if kind == Kind::Int { INT64 } else { BYTE_ARRAY }
}

/// `sizes`: uncompressed and compressed, with the page's head.
fn chunk(name: &str, kind: Kind, values: i64, [uncompressed, compressed]: [i64; 2], offset: i64) -> Vec<u8> {
    let meta = Struct::default()
        .i32(1, physical(kind))
        .list(2, I32, &[i32_item(PLAIN), i32_item(RLE)])
        .list(3, BINARY, &[text_item(name)])
        .i32(4, GZIP)
        .i64(5, values)
        .i64(6, uncompressed)
        .i64(7, compressed)
        .i64(9, offset);
    Struct::default().i64(2, offset).nested(3, meta).done()
}

fn element(name: &str, kind: Kind) -> Vec<u8> {
    let element = Struct::default().i32(1, physical(kind)).i32(3, OPTIONAL).text(4, name);
    if kind == Kind::Int {
        return element.done();
    }
    // Text, in the old words and in the new ones.
    element.i32(6, UTF8).nested(10, Struct::default().nested(1, Struct::default())).done()
}

#[cfg(test)]
mod tests;
