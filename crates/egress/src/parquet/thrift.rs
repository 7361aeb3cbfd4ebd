//! As much of Thrift's compact protocol as Parquet's metadata needs.

pub(super) const I32: u8 = 5;
const I64: u8 = 6;
pub(super) const BINARY: u8 = 8;
const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// A struct on its way: fields in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

pub(super) fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

impl Struct {
    fn head(&mut self, id: u8, kind: u8) {
        debug_assert!(id > self.last && id - self.last < 16);
        self.bytes.push((id - self.last) << 4 | kind);
        self.last = id;
    }

    pub(super) fn i32(mut self, id: u8, n: i32) -> Struct {
        self.head(id, I32);
        varint(&mut self.bytes, zigzag(n.into()));
        self
    }

    pub(super) fn i64(mut self, id: u8, n: i64) -> Struct {
        self.head(id, I64);
        varint(&mut self.bytes, zigzag(n));
        self
    }

    pub(super) fn text(mut self, id: u8, text: &str) -> Struct {
        self.head(id, BINARY);
        binary(&mut self.bytes, text);
        self
    }

    pub(super) fn nested(mut self, id: u8, inner: Struct) -> Struct {
        self.head(id, STRUCT);
        self.bytes.extend(inner.done());
        self
    }

    /// `items`: each as it stands in a list.
    pub(super) fn list(mut self, id: u8, kind: u8, items: &[Vec<u8>]) -> Struct {
        self.head(id, LIST);
        match items.len() {
            few @ 0..15 => self.bytes.push((few as u8) << 4 | kind),
            many => {
                self.bytes.push(0xf0 | kind);
                varint(&mut self.bytes, many as u64);
            }
        }
        items.iter().for_each(|item| self.bytes.extend(item));
        self
    }

    pub(super) fn done(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn binary(out: &mut Vec<u8>, text: &str) {
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Items of lists.
pub(super) fn text_item(text: &str) -> Vec<u8> {
    let mut item = Vec::new();
    binary(&mut item, text);
    item
}

pub(super) fn i32_item(n: i32) -> Vec<u8> {
    let mut item = Vec::new();
    varint(&mut item, zigzag(n.into()));
    item
}
