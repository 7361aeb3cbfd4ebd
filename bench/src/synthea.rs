//! The shared Synthea data as NDJSON, in as many copies as wanted: ids and references are rewritten for each copy, by rule, so that every
//! copy is whole in itself and two runs make the same data.

use anyhow::{Context, Result};
use fhir::json::{Document, Limits};
use flate2::read::GzDecoder;
use std::collections::HashMap;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

/// The name of the archive in the shared data.
pub(crate) const ARCHIVE: &str = "synthea-py-20pat-seed42.tar.gz";
const UUID_BYTES: usize = 36;

/// Resources of one transaction, with literal references.
struct Bundle {
    lines: Vec<String>,
}

pub(crate) struct Synthea {
    bundles: Vec<Bundle>,
}

impl Synthea {
    /// Reads the archive; only its `bundles_max` first transactions.
    pub(crate) fn read(archive: &Path, bundles_max: usize) -> Result<Synthea> {
        let file = std::fs::File::open(archive).with_context(|| format!("cannot open {}", archive.display()))?;
        let mut bundles = Vec::new();
        for entry in tar::Archive::new(GzDecoder::new(file)).entries()? {
            if bundles.len() == bundles_max {
                break;
            }
            let mut text = Vec::new();
            entry?.read_to_end(&mut text)?;
            bundles.push(Bundle::parse(&text)?);
        }
        Ok(Synthea { bundles })
    }

    /// Resources of one copy.
    pub(crate) fn resources(&self) -> u64 {
        self.bundles.iter().map(|bundle| bundle.lines.len() as u64).sum()
    }

    /// Writes `copies` copies as NDJSON.
    pub(crate) fn write(&self, copies: u32, path: &Path) -> Result<()> {
        let mut out = BufWriter::new(std::fs::File::create(path)?);
        let mut line = Vec::new();
        for copy in 0..copies {
            for (at, bundle) in self.bundles.iter().enumerate() {
                // The same clinician is in many transactions: each transaction keeps its own, as it would when posted.
                let salt = copy * self.bundles.len() as u32 + at as u32;
                for text in &bundle.lines {
                    line.clear();
                    rewrite(text, salt, &mut line);
                    line.push(b'\n');
                    out.write_all(&line)?;
                }
            }
        }
        Ok(out.flush()?)
    }

    /// Ids of the resources of a type in copy `copy`.
    pub(crate) fn ids(&self, name: &str, copy: u32) -> Vec<String> {
        let mut ids = Vec::new();
        for (at, bundle) in self.bundles.iter().enumerate() {
            let salt = copy * self.bundles.len() as u32 + at as u32;
            for line in &bundle.lines {
                let Ok(document) = Document::parse(line.as_bytes(), &Limits::default()) else { continue };
                if document.root().str("resourceType").is_some_and(|own| own == name)
                    && let Some(id) = document.root().str("id")
                {
                    let mut out = Vec::new();
                    rewrite(&id, salt, &mut out);
                    ids.push(String::from_utf8_lossy(&out).into_owned());
                }
            }
        }
        ids
    }
}

impl Bundle {
    /// The resources of a transaction whose references are `urn:uuid:` of its own entries.
    fn parse(text: &[u8]) -> Result<Bundle> {
        let document = Document::parse(text, &Limits::default())?;
        let entries = document.root().get("entry").context("a bundle without entries")?;
        let mut types = HashMap::new();
        for entry in entries.each() {
            let name = entry.path(&["resource", "resourceType"]).and_then(|name| name.as_str());
            let url = entry.str("fullUrl").context("an entry without fullUrl")?;
            let uuid = url.strip_prefix("urn:uuid:").context("a fullUrl that is not a urn:uuid")?;
            types.insert(uuid.to_owned(), name.context("an entry without a type")?.into_owned());
        }
        let lines = entries.each().filter_map(|entry| Some(literal(entry.get("resource")?.raw(), &types))).collect();
        Ok(Bundle { lines })
    }
}

/// `urn:uuid:X` becomes `Type/X`.
fn literal(text: &str, types: &HashMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("urn:uuid:") {
        let (before, after) = (&rest[..at], &rest[at + "urn:uuid:".len()..]);
        out.push_str(before);
        match after.get(..UUID_BYTES).and_then(|uuid| types.get(uuid)) {
            Some(name) => out.extend([name, "/"]),
            None => out.push_str("urn:uuid:"),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Appends `text` with every UUID in it changed as `salt` says; salt 0 changes nothing, and no two salts give the same.
fn rewrite(text: &str, salt: u32, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let (mut at, mut copied) = (0, 0);
    while at + UUID_BYTES <= bytes.len() {
        let Some(first) = uuid_head(&bytes[at..at + UUID_BYTES]) else {
            at += 1;
            continue;
        };
        out.extend_from_slice(&bytes[copied..at]);
        // An odd factor maps different salts to different words.
        out.extend_from_slice(format!("{:08x}", first ^ salt.wrapping_mul(0x9E37_79B1)).as_bytes());
        copied = at + 8;
        at += UUID_BYTES;
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// The first eight digits of a lower-case UUID.
fn uuid_head(bytes: &[u8]) -> Option<u32> {
    let shaped = bytes[8] == b'-'
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    if !shaped {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(&bytes[..8]).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0bc48549-d706-42f0-b4e9-6181afaca906";
    const B: &str = "0cc9d953-daa4-4c60-961d-3008de66aec9";

    fn rewritten(text: &str, salt: u32) -> String {
        let mut out = Vec::new();
        rewrite(text, salt, &mut out);
        String::from_utf8(out).expect("text")
    }

    fn synthea() -> Synthea {
        let bundle = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[
            {{"fullUrl":"urn:uuid:{A}","resource":{{"resourceType":"Patient","id":"{A}"}}}},
            {{"fullUrl":"urn:uuid:{B}","resource":{{"resourceType":"Encounter","id":"{B}","subject":{{"reference":"urn:uuid:{A}"}},"note":"urn:uuid:é"}}}}]}}"#
        );
        let other = bundle.clone();
        Synthea {
            bundles: [bundle, other].iter().map(|text| Bundle::parse(text.as_bytes()).expect("a bundle")).collect(),
        }
    }

    #[test]
    fn references_become_literal() {
        let expected = format!(
            r#"{{"resourceType":"Encounter","id":"{B}","subject":{{"reference":"Patient/{A}"}},"note":"urn:uuid:é"}}"#
        );
        assert_eq!(synthea().bundles[0].lines[1], expected);
    }

    #[test]
    fn rewriting_is_a_rule() {
        let text = format!("x{A}y {B}\"{A}");
        assert_eq!(rewritten(&text, 0), text);
        let once = rewritten(&text, 5);
        assert_eq!(once, rewritten(&text, 5));
        assert_ne!(once, rewritten(&text, 6));
        assert_eq!(once.len(), text.len());
        assert_eq!(once[1..37], once[once.len() - 36..], "the same id stays the same");
        assert_eq!(rewritten("0bc48549-d706-42f0-b4e9-6181afaca90", 5), "0bc48549-d706-42f0-b4e9-6181afaca90");
    }

    #[test]
    fn copies_are_whole_and_different() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("data.ndjson");
        let synthea = synthea();
        synthea.write(3, &path).expect("written");
        let text = std::fs::read_to_string(&path).expect("read");
        let mut ids = std::collections::HashSet::new();
        for pair in text.lines().collect::<Vec<_>>().chunks(2) {
            let documents: Vec<Document> =
                pair.iter().map(|line| Document::parse(line.as_bytes(), &Limits::default()).expect("JSON")).collect();
            let id = documents[0].root().str("id").expect("an id").into_owned();
            let reference = documents[1].root().path(&["subject", "reference"]).and_then(|node| node.as_str());
            assert_eq!(reference.as_deref(), Some(format!("Patient/{id}").as_str()));
            assert!(ids.insert(id));
        }
        assert_eq!((ids.len(), synthea.resources()), (6, 4));
        assert!(synthea.ids("Patient", 2).iter().all(|id| ids.contains(id)));
    }
}
