//! From resource bodies to stored bytes and back: compression with a dictionary, then sealing.

use super::small::Kinds;
use crate::{Op, Splice, StoreError};
use fhir::defs::{Definitions, TypeId};
use parking_lot::RwLock;
use seal::DataKey;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

/// zstd level for bodies: with a dictionary, higher levels gain almost nothing.
pub(super) const LEVEL: i32 = 3;
/// A body never inflates to more than this, whatever a damaged frame claims.
const BODY_BYTES_MAX: usize = 256 << 20;

/// A trained dictionary in the two forms zstd wants. Lives as long as the process: a type has a handful of them at most,
/// and thread-local contexts may hold on to one after its tenant is closed.
#[derive(Clone, Copy)]
pub(crate) struct Dictionary {
    pub(crate) n: i64,
    encoder: &'static EncoderDictionary<'static>,
    decoder: &'static DecoderDictionary<'static>,
}

impl Dictionary {
    pub(crate) fn new(n: i64, bytes: &[u8]) -> Dictionary {
        Dictionary {
            n,
            encoder: Box::leak(Box::new(EncoderDictionary::copy(bytes, LEVEL))),
            decoder: Box::leak(Box::new(DecoderDictionary::copy(bytes))),
        }
    }
}

/// How a text is compressed.
#[derive(Clone, Copy)]
pub(super) enum Packing {
    Level(i32),
    Dictionary(Dictionary),
}

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The type numbers of one file: names on disk, so that a new definitions table may number types otherwise.
#[derive(Debug, Default)]
pub(crate) struct TypeNumbers {
    to_disk: Vec<i64>,
    from_disk: HashMap<i64, TypeId>,
}

impl TypeNumbers {
    pub(crate) fn new(defs: &Definitions, rows: &[(i64, String)]) -> TypeNumbers {
        let mut numbers = TypeNumbers { to_disk: vec![0; defs.types.len()], from_disk: HashMap::new() };
        for (n, name) in rows {
            if let Some(ty) = defs.resource_by_name(name) {
                numbers.to_disk[usize::from(ty.0)] = *n;
                numbers.from_disk.insert(*n, ty);
            }
        }
        numbers
    }

    pub(crate) fn disk(&self, ty: TypeId) -> i64 {
        self.to_disk.get(usize::from(ty.0)).copied().unwrap_or(0)
    }

    pub(crate) fn ty(&self, n: i64) -> Result<TypeId, StoreError> {
        self.from_disk.get(&n).copied().ok_or(StoreError::Io(format!("unknown type number {n}")))
    }
}

/// Compresses and seals the bodies of one tenant.
pub(crate) struct Codec {
    pub(crate) tenant: String,
    pub(crate) key: DataKey,
    pub(crate) numbers: TypeNumbers,
    /// All dictionaries by number, and the newest of each type.
    dictionaries: RwLock<(HashMap<i64, Dictionary>, HashMap<i64, Dictionary>)>,
    pub(super) kinds: Kinds,
    /// Bodies up to this change may be bound as in format 1.
    pub(crate) format_1_until: AtomicU64,
}

/// The row of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) ty: i64,
    pub(crate) id: &'a [u8],
    pub(crate) version: u64,
    pub(crate) op: i64,
    pub(crate) splice: i64,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Codec({})", self.tenant)
    }
}

impl Codec {
    pub(crate) fn new(tenant: String, key: DataKey, numbers: TypeNumbers) -> Codec {
        let (dictionaries, kinds) = (RwLock::default(), Kinds::default());
        Codec { tenant, key, numbers, dictionaries, kinds, format_1_until: AtomicU64::new(0) }
    }

    /// Makes `dictionary` the newest of type number `ty`.
    pub(crate) fn add_dictionary(&self, ty: i64, dictionary: Dictionary) {
        let mut dictionaries = self.dictionaries.write();
        dictionaries.0.insert(dictionary.n, dictionary);
        dictionaries.1.insert(ty, dictionary);
    }

    pub(crate) fn newest_dictionary(&self, ty: i64) -> i64 {
        self.dictionaries.read().1.get(&ty).map_or(0, |dictionary| dictionary.n)
    }

    /// What a stored body is bound to: moving it to another place, or changing what the row says of it, makes it unreadable.
    fn aad(&self, place: &Place<'_>) -> Vec<u8> {
        let mut aad = Vec::with_capacity(self.tenant.len() + place.id.len() + 40);
        aad.extend_from_slice(self.tenant.as_bytes());
        // Format 1 has a 0 here, so that neither is ever taken for the other.
        aad.push(1);
        for number in [place.ty, place.op, place.splice] {
            aad.extend_from_slice(&number.to_le_bytes());
        }
        aad.extend_from_slice(&place.version.to_le_bytes());
        aad.extend_from_slice(place.id);
        aad
    }

    /// As format 1 bound bodies.
    fn aad_1(&self, place: &Place<'_>) -> Vec<u8> {
        let mut aad = self.tenant.clone().into_bytes();
        aad.push(0);
        aad.extend_from_slice(&place.ty.to_le_bytes());
        aad.extend_from_slice(&place.version.to_le_bytes());
        aad.extend_from_slice(place.id);
        aad
    }

    /// The number of the dictionary used (0 = none) and the sealed bytes.
    pub(crate) fn encode(&self, place: &Place<'_>, body: &[u8]) -> Result<(i64, Vec<u8>), StoreError> {
        if body.is_empty() {
            return Ok((0, Vec::new()));
        }
        let dictionary = self.dictionaries.read().1.get(&place.ty).copied();
        let packed = compress(dictionary.map_or(Packing::Level(LEVEL), Packing::Dictionary), body)?;
        Ok((dictionary.map_or(0, |dictionary| dictionary.n), self.key.seal(&self.aad(place), &packed)))
    }

    /// `seq`: of the row.
    pub(crate) fn decode(&self, seq: u64, place: &Place<'_>, dict: i64, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        if sealed.is_empty() {
            return Ok(Vec::new());
        }
        let packed = match self.key.open(&self.aad(place), sealed) {
            // A body of format 2 does not open as one of format 1, whatever the number in the file says.
            Err(_) if seq <= self.format_1_until.load(Ordering::Relaxed) => {
                self.key.open(&self.aad_1(place), sealed)?
            }
            other => other?,
        };
        let dictionary = match dict {
            0 => None,
            n => Some(
                *self.dictionaries.read().0.get(&n).ok_or(StoreError::Unseal(format!("dictionary {n} is missing")))?,
            ),
        };
        decompress(dictionary, &packed)
    }

    /// Seals anything that is not a resource body: audit blocks, blobs, queue payloads, claim owners.
    pub(crate) fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(self.seal_packed(place, &compress(Packing::Level(LEVEL), plain)?))
    }

    pub(super) fn seal_packed(&self, place: &str, packed: &[u8]) -> Vec<u8> {
        self.key.seal(format!("{}\0{place}", self.tenant).as_bytes(), packed)
    }

    pub(crate) fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let packed = self.key.open(format!("{}\0{place}", self.tenant).as_bytes(), sealed)?;
        decompress(self.kinds.of_frame(&packed)?, &packed)
    }

    /// A key that stands for `name` in a table without showing it.
    pub(crate) fn hidden(&self, name: &str) -> Vec<u8> {
        let parts = [name.as_bytes()];
        [self.key.hash64(0xC1, &parts), self.key.hash64(0xC2, &parts)]
            .iter()
            .flat_map(|hash| hash.to_be_bytes())
            .collect()
    }
}

impl From<seal::SealError> for StoreError {
    fn from(error: seal::SealError) -> StoreError {
        StoreError::Unseal(error.to_string())
    }
}

fn zstd_error(_: std::io::Error) -> StoreError {
    StoreError::Unseal("compressed data is damaged".into())
}

pub(super) fn compress(packing: Packing, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some(compressor) => compressor,
            None => slot.insert(Compressor::new(LEVEL).map_err(zstd_error)?),
        };
        match packing {
            Packing::Dictionary(dictionary) => compressor.set_prepared_dictionary(dictionary.encoder),
            Packing::Level(level) => compressor.set_dictionary(level, &[]),
        }
        .and_then(|()| compressor.compress(plain))
        .map_err(zstd_error)
    })
}

fn decompress(dictionary: Option<Dictionary>, packed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let capacity = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten().unwrap_or(u64::MAX);
    let capacity = usize::try_from(capacity).ok().filter(|capacity| *capacity <= BODY_BYTES_MAX);
    let capacity = capacity.ok_or(StoreError::Limit("stored body is too large"))?;
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new().map_err(zstd_error)?),
        };
        match dictionary {
            Some(dictionary) => decompressor.set_prepared_dictionary(dictionary.decoder),
            None => decompressor.set_dictionary(&[]),
        }
        .and_then(|()| decompressor.decompress(packed, capacity))
        .map_err(zstd_error)
    })
}

/// Ids are text; the usual ones are UUIDs and take 16 bytes. Any other is its text behind a byte 1, and behind a further
/// byte 0 where it would be 16 bytes long too (no id contains a 0).
pub(crate) fn id_to_disk(id: &str) -> Vec<u8> {
    match uuid::Uuid::try_parse(id) {
        Ok(uuid) if id.len() == 36 && uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()) == id => {
            uuid.as_bytes().to_vec()
        }
        _ if id.len() == 15 => [&[1, 0], id.as_bytes()].concat(),
        _ => [&[1], id.as_bytes()].concat(),
    }
}

pub(crate) fn id_from_disk(id: &[u8]) -> String {
    match <[u8; 16]>::try_from(id) {
        Ok(bytes) => uuid::Uuid::from_bytes(bytes).to_string(),
        Err(_) => {
            let text = id.strip_prefix(&[1, 0]).or_else(|| id.strip_prefix(&[1])).unwrap_or(id);
            String::from_utf8_lossy(text).into_owned()
        }
    }
}

pub(crate) fn op_to_disk(op: Op) -> i64 {
    match op {
        Op::Create => 0,
        Op::Update => 1,
        Op::Delete => 2,
    }
}

pub(crate) fn op_from_disk(op: i64) -> Op {
    match op {
        0 => Op::Create,
        1 => Op::Update,
        _ => Op::Delete,
    }
}

pub(crate) fn splice_to_disk(splice: Splice) -> i64 {
    match splice {
        Splice::None => 0,
        Splice::NoMeta(at) => i64::from(at) * 4 + 1,
        Splice::EmptyMeta(at) => i64::from(at) * 4 + 2,
        Splice::Meta(at) => i64::from(at) * 4 + 3,
    }
}

pub(crate) fn splice_from_disk(splice: i64) -> Splice {
    let at = (splice / 4) as u32;
    match splice % 4 {
        1 => Splice::NoMeta(at),
        2 => Splice::EmptyMeta(at),
        3 => Splice::Meta(at),
        _ => Splice::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_as_they_were() {
        for id in [
            "019a0000-1234-7abc-8def-0123456789ab",
            "01616263-6465-6667-6869-6a6b6c6d6e6f",
            "019A0000-1234-7ABC-8DEF-0123456789AB",
            "019a000012347abc8def0123456789ab",
            "a",
            "abcdefghijklmno",
            "abcdefghijklmnop",
        ] {
            assert_eq!(id_from_disk(&id_to_disk(id)), id);
        }
    }

    #[test]
    fn splices_come_back_as_they_were() {
        for splice in [Splice::None, Splice::NoMeta(1), Splice::EmptyMeta(77), Splice::Meta(u32::MAX / 2)] {
            assert_eq!(splice_from_disk(splice_to_disk(splice)), splice);
        }
    }
}
