//! What the index is made of: one sealed record, replaced as a whole.

use super::live::{Live, TypeLive};
use super::posting::{read_varint, write_varint};
use crate::StoreError;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Version of keys, blocks and manifest. An index of another version is thrown away and built again from the log.
const FORMAT: u64 = 2;

#[derive(Clone, Debug, Default)]
pub(crate) struct Manifest {
    pub(crate) fingerprint: u64,
    /// All versions up to this one are in the segments.
    pub(crate) applied: u64,
    /// Snapshots before this one can no longer be read.
    pub(crate) horizon: u64,
    pub(crate) next_segment: u64,
    pub(crate) segments: Vec<SegmentInfo>,
    pub(crate) live: Live,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentInfo {
    pub(crate) id: u64,
    /// Blocks with keys; the block after them has the fences.
    pub(crate) blocks: u32,
    /// Smallest and largest ordinal it was built from.
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// Stored bytes.
    pub(crate) bytes: u64,
    pub(crate) keys: u64,
    /// Sum of the lengths of all postings.
    pub(crate) rows: u64,
}

fn write_bitmap(out: &mut Vec<u8>, bitmap: &RoaringBitmap) {
    let mut bitmap = bitmap.clone();
    bitmap.optimize();
    write_varint(out, bitmap.serialized_size() as u64);
    bitmap.serialize_into(out).expect("writing to a vector");
}

fn read_bitmap(bytes: &mut &[u8]) -> Option<RoaringBitmap> {
    let size = read_varint(bytes)? as usize;
    let (own, rest) = bytes.split_at_checked(size)?;
    *bytes = rest;
    RoaringBitmap::deserialize_from(own).ok()
}

/// Every search intersects with the live ordinals: with run-length encoded ones that is a binary search for each value.
fn without_runs(mut bitmap: RoaringBitmap) -> RoaringBitmap {
    bitmap.remove_run_compression();
    bitmap
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for number in [FORMAT, self.fingerprint, self.applied, self.horizon, self.next_segment] {
            write_varint(&mut out, number);
        }
        write_varint(&mut out, self.segments.len() as u64);
        for segment in &self.segments {
            let small = [segment.blocks, segment.min, segment.max].map(u64::from);
            for number in [segment.id].into_iter().chain(small).chain([segment.bytes, segment.keys, segment.rows]) {
                write_varint(&mut out, number);
            }
        }
        write_varint(&mut out, self.live.types.len() as u64);
        for (ty, of_type) in &self.live.types {
            write_varint(&mut out, u64::from(*ty));
            write_bitmap(&mut out, &of_type.live);
            write_bitmap(&mut out, &of_type.all);
            write_varint(&mut out, of_type.superseded.len() as u64);
            for (old, by) in &of_type.superseded {
                write_varint(&mut out, u64::from(*old));
                write_varint(&mut out, u64::from(*by));
            }
        }
        out
    }

    /// `Ok(None)` for another format.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Manifest>, StoreError> {
        let mut rest = bytes;
        if read_varint(&mut rest) != Some(FORMAT) {
            return Ok(None);
        }
        decode_rest(rest).map(Some).ok_or_else(|| StoreError::Unseal("index manifest is damaged".to_owned()))
    }
}

fn read_u32(bytes: &mut &[u8]) -> Option<u32> {
    u32::try_from(read_varint(bytes)?).ok()
}

fn decode_rest(mut bytes: &[u8]) -> Option<Manifest> {
    let bytes = &mut bytes;
    let mut manifest = Manifest {
        fingerprint: read_varint(bytes)?,
        applied: read_varint(bytes)?,
        horizon: read_varint(bytes)?,
        next_segment: read_varint(bytes)?,
        ..Manifest::default()
    };
    for _ in 0..read_varint(bytes)? {
        manifest.segments.push(SegmentInfo {
            id: read_varint(bytes)?,
            blocks: read_u32(bytes)?,
            min: read_u32(bytes)?,
            max: read_u32(bytes)?,
            bytes: read_varint(bytes)?,
            keys: read_varint(bytes)?,
            rows: read_varint(bytes)?,
        });
    }
    let mut types = BTreeMap::new();
    for _ in 0..read_varint(bytes)? {
        let ty = u16::try_from(read_varint(bytes)?).ok()?;
        let mut of_type = TypeLive {
            live: Arc::new(without_runs(read_bitmap(bytes)?)),
            all: Arc::new(read_bitmap(bytes)?),
            superseded: Vec::new(),
        };
        for _ in 0..read_varint(bytes)? {
            of_type.superseded.push((read_u32(bytes)?, read_u32(bytes)?));
        }
        types.insert(ty, of_type);
    }
    manifest.live = Live { types };
    Some(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir::defs::TypeId;

    #[test]
    fn reads_back_what_it_wrote() {
        let mut live = Live::default();
        for ordinal in 1..2000 {
            live.insert(TypeId(7), ordinal, false, ordinal.checked_sub(500));
        }
        let segment = SegmentInfo { id: 4, blocks: 3, min: 1, max: 1999, bytes: 77, keys: 12, rows: 1 << 40 };
        let manifest = Manifest {
            fingerprint: u64::MAX,
            applied: 1999,
            horizon: 10,
            next_segment: 5,
            segments: vec![segment],
            live,
        };
        let bytes = manifest.encode();
        let back = Manifest::decode(&bytes).unwrap().unwrap();
        assert_eq!(back.segments, [segment]);
        assert_eq!((back.fingerprint, back.applied, back.horizon), (u64::MAX, 1999, 10));
        assert_eq!(back.live.types[&7].superseded, manifest.live.types[&7].superseded);
        assert_eq!(back.live.types[&7].live, manifest.live.types[&7].live);
        assert!(Manifest::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Manifest::decode(&[99]).unwrap().is_none());
    }
}
