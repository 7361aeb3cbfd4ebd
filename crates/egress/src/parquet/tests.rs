//! Files are read here by the format's own words, by nothing of the writer.

use super::*;
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::io::Read;

/// Anything that Thrift can say.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Int(i64),
    Text(Vec<u8>),
    List(Vec<Said>),
    Struct(BTreeMap<i64, Said>),
}

impl Said {
    fn at(&self, id: i64) -> &Said {
        let Said::Struct(fields) = self else { panic!("{self:?}") };
        fields.get(&id).unwrap_or_else(|| panic!("no field {id} in {fields:?}"))
    }

    fn int(&self, id: i64) -> i64 {
        let Said::Int(n) = self.at(id) else { panic!("{self:?}") };
        *n
    }

    fn text(&self, id: i64) -> String {
        let Said::Text(text) = self.at(id) else { panic!("{self:?}") };
        String::from_utf8(text.clone()).unwrap()
    }

    fn list(&self, id: i64) -> &[Said] {
        let Said::List(items) = self.at(id) else { panic!("{self:?}") };
        items
    }
}

fn unsigned(bytes: &mut &[u8]) -> u64 {
    let (mut n, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        n |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return n;
        }
    }
}

fn signed(bytes: &mut &[u8]) -> i64 {
    let n = unsigned(bytes);
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

fn said(bytes: &mut &[u8], kind: u8) -> Said {
    match kind {
        5 | 6 => Said::Int(signed(bytes)),
        8 => {
            let len = unsigned(bytes) as usize;
            let (text, rest) = bytes.split_at(len);
            *bytes = rest;
            Said::Text(text.to_vec())
        }
        9 => {
            let head = bytes[0];
            *bytes = &bytes[1..];
            let len = if head >> 4 == 15 { unsigned(bytes) } else { u64::from(head >> 4) };
            Said::List((0..len).map(|_| said(bytes, head & 15)).collect())
        }
        12 => {
            let (mut fields, mut id) = (BTreeMap::new(), 0);
            loop {
                let head = bytes[0];
                *bytes = &bytes[1..];
                if head == 0 {
                    return Said::Struct(fields);
                }
                id = if head >> 4 == 0 { signed(bytes) } else { id + i64::from(head >> 4) };
                fields.insert(id, said(bytes, head & 15));
            }
        }
        other => panic!("type {other}"),
    }
}

/// Values of a row or column.
type Values = Vec<Option<Vec<u8>>>;

/// Names of the columns, and rows; groups of rows too.
fn read(file: &[u8]) -> (Vec<String>, Vec<Values>, usize) {
    assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"));
    let end = file.len() - 8;
    let len = u32::from_le_bytes(file[end..end + 4].try_into().unwrap()) as usize;
    let mut footer = &file[end - len..end];
    let meta = said(&mut footer, 12);
    assert!(footer.is_empty());
    let schema = meta.list(2);
    assert_eq!(schema[0].int(5) as usize, schema.len() - 1);
    let names = schema[1..].iter().map(|element| element.text(4)).collect();
    let mut rows = Vec::new();
    let mut next = 4;
    for group in meta.list(4) {
        let mut columns = Vec::new();
        for chunk in group.list(1) {
            let meta = chunk.at(3);
            assert_eq!(meta.int(9), next, "chunks follow each other");
            next += meta.int(7);
            let mut page = &file[meta.int(9) as usize..(meta.int(9) + meta.int(7)) as usize];
            let head = said(&mut page, 12);
            assert_eq!((page.len() as i64, head.int(1)), (head.int(3), 0));
            let mut plain = Vec::new();
            GzDecoder::new(page).read_to_end(&mut plain).unwrap();
            assert_eq!(plain.len() as i64, head.int(2));
            columns.push(values(&plain, head.at(5).int(1) as usize, meta.int(1) == 2));
        }
        rows.extend((0..group.int(3) as usize).map(|row| columns.iter().map(|column| column[row].clone()).collect()));
    }
    assert_eq!(meta.int(3) as usize, rows.len());
    (names, rows, meta.list(4).len())
}

fn values(plain: &[u8], count: usize, is_int: bool) -> Values {
    let levels = u32::from_le_bytes(plain[..4].try_into().unwrap()) as usize;
    let (mut levels, mut values) = (&plain[4..4 + levels], &plain[4 + levels..]);
    let head = unsigned(&mut levels);
    assert_eq!((head & 1, (head >> 1) as usize), (1, count.div_ceil(8)));
    let mut next = |row: usize| {
        (levels[row / 8] >> (row % 8) & 1 == 1).then(|| {
            let len = if is_int { 8 } else { u32::from_le_bytes(values[..4].try_into().unwrap()) as usize };
            values = &values[if is_int { 0 } else { 4 }..];
            let (value, rest) = values.split_at(len);
            values = rest;
            value.to_vec()
        })
    };
    let all = (0..count).map(&mut next).collect();
    assert!(values.is_empty());
    all
}

const TABLE: Table = Table { name: "doses", columns: &[("no", Kind::Int), ("lot", Kind::Text), ("line", Kind::Line)] };

fn push(writer: &mut Writer, row: &Value) -> io::Result<()> {
    writer.push(row.as_object().unwrap(), row.to_string().as_bytes())
}

#[test]
fn rows_come_back_from_several_groups() {
    let (mut writer, mut file) = (Writer::new(TABLE), Vec::new());
    let row = |n: i64| match n % 3 {
        0 => serde_json::json!({ "no": n * 1_000_000_007 - 5, "lot": null }),
        _ => serde_json::json!({ "no": n * 1_000_000_007 - 5, "lot": format!("Löt-{n}") }),
    };
    for n in 0..1_001 {
        push(&mut writer, &row(n)).unwrap();
        // The last one is a group of one.
        if n % 500 == 499 {
            writer.flush(&mut file).unwrap();
            assert_eq!(writer.waiting(), 0);
        }
    }
    writer.finish(&mut file).unwrap();
    let (names, rows, groups) = read(&file);
    assert_eq!((names, groups), (vec!["no".to_owned(), "lot".into(), "line".into()], 3));
    for (n, values) in (0..).zip(&rows) {
        let no = i64::from_le_bytes(values[0].clone().unwrap().try_into().unwrap());
        let text = |at: usize| values[at].clone().map(|text| String::from_utf8(text).unwrap());
        assert_eq!(no, n * 1_000_000_007 - 5);
        assert_eq!(text(1), (n % 3 != 0).then(|| format!("Löt-{n}")));
        assert_eq!(text(2), Some(row(n).to_string()));
    }
    assert_eq!(rows.len(), 1_001);
}

#[test]
fn a_table_without_rows_is_a_file() {
    let (mut writer, mut file) = (Writer::new(TABLE), Vec::new());
    writer.finish(&mut file).unwrap();
    assert_eq!(read(&file).1.len(), 0);
}

#[test]
fn nothing_is_lost_in_silence() {
    let narrow = Table { name: "persons", columns: &[("sex", Kind::Text)] };
    let error = push(&mut Writer::new(narrow), &serde_json::json!({ "sex": "male", "region": "021" })).unwrap_err();
    assert_eq!(error.to_string(), "the table persons has no column region");
    let error = push(&mut Writer::new(narrow), &serde_json::json!({ "sex": 7 })).unwrap_err();
    assert_eq!(error.to_string(), "sex is of another kind than its column");
    let error = push(&mut Writer::new(TABLE), &serde_json::json!({ "no": 1.5 })).unwrap_err();
    assert_eq!(error.to_string(), "no is no whole number");
}
