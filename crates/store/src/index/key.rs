//! Index keys: `[param u16 BE][kind u8][value…]`, compared as bytes. What is sorted or searched by range stays readable
//! (the blocks that hold the keys are sealed); systems, units, reference targets and long codes are keyed hashes.

use super::Keys;
use fhir::defs::{ParamId, TypeId};
use fhir::index::{Entry, Quantity, Value};

/// `param` values that no search parameter has: logical ids, and the ids of ordinals.
pub(crate) const PARAM_IDS: u16 = 0xFFFE;
pub(crate) const PARAM_FORWARD: u16 = 0xFFFF;

/// The third byte of a key.
pub(crate) mod kind {
    pub(crate) const CANONICAL: u8 = b'c';
    pub(crate) const COMPOSITE: u8 = b'C';
    pub(crate) const DATE: u8 = b'D';
    pub(crate) const POSITION: u8 = b'G';
    pub(crate) const IDENTIFIER: u8 = b'J';
    pub(crate) const QUANTITY: u8 = b'K';
    pub(crate) const URL: u8 = b'L';
    pub(crate) const NUMBER: u8 = b'N';
    pub(crate) const OF_TYPE: u8 = b'O';
    pub(crate) const REFERENCE: u8 = b'R';
    pub(crate) const STRING: u8 = b'S';
    pub(crate) const TOKEN: u8 = b'T';
    pub(crate) const URI: u8 = b'U';
    pub(crate) const UNIT: u8 = b'V';
    pub(crate) const TEXT: u8 = b'X';
    /// All ordinals of many neighbouring keys with intervals: `[level][kind…class][first start][last start]` follows;
    /// only in segments.
    pub(crate) const SUMMARY: u8 = 0xFD;
    /// Resources that have several keys of one kind with intervals: the kind follows.
    pub(crate) const SEVERAL: u8 = 0xFC;
    /// All ordinals that have any value of the parameter; only in segments, after all other kinds.
    pub(crate) const PRESENCE: u8 = 0xFF;
}

/// Texts are compared by this many bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 4096;
/// Codes up to this length stay readable, longer ones are hashed after a prefix.
const CODE_BYTES_MAX: usize = 24;
const CODE_PREFIX_BYTES: usize = 12;
/// Follows the prefix of a long code; never a byte of UTF-8.
const LONG: u8 = 0xFF;

/// Intervals no wider than these are in class 0, so that a search by their end reads little more than it must.
pub(crate) const NARROW_DATE_US: i64 = 32 * 86_400 * 1_000_000;
pub(crate) const NARROW_NUMBER: f64 = 1.0;

/// Length of the group before the interval of a quantity key: param, kind, code hash, system hash.
pub(crate) const QUANTITY_GROUP: usize = 3 + 16;
/// Same for canonical and unit keys.
pub(crate) const UNIT_GROUP: usize = 3 + 8;
/// Class, low, high.
pub(crate) const INTERVAL: usize = 17;

pub(crate) const NO_HASH: [u8; 8] = [0; 8];

/// Bytes of [`head`].
pub(crate) const HEAD: usize = 3;

pub(crate) fn head(param: ParamId, kind: u8) -> Vec<u8> {
    let mut key = Vec::with_capacity(48);
    key.extend_from_slice(&param.0.to_be_bytes());
    key.push(kind);
    key
}

/// The smallest key after all keys that start with `prefix`.
pub(crate) fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xFF)?;
    let mut key = prefix[..=last].to_vec();
    key[last] += 1;
    Some(key)
}

pub(crate) fn order_i64(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

pub(crate) fn order_f64(value: f64) -> u64 {
    // -0.0 and 0.0 are the same number.
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

pub(crate) fn unorder_f64(value: u64) -> f64 {
    f64::from_bits(if value >> 63 == 1 { value & !(1 << 63) } else { !value })
}

fn hash(keys: &dyn Keys, domain: u8, parts: &[&str]) -> [u8; 8] {
    let mut bytes = Vec::with_capacity(64);
    bytes.push(domain);
    for part in parts {
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    let hash = keys.hash(&bytes).to_be_bytes();
    // All zeros mean "absent".
    if hash == NO_HASH { [0, 0, 0, 0, 0, 0, 0, 1] } else { hash }
}

pub(crate) fn system_hash(keys: &dyn Keys, system: &str) -> [u8; 8] {
    hash(keys, b's', &[system])
}

pub(crate) fn unit_hash(keys: &dyn Keys, unit: &str) -> [u8; 8] {
    hash(keys, b'u', &[unit])
}

pub(crate) fn id_hash(keys: &dyn Keys, id: &str) -> [u8; 8] {
    hash(keys, b'i', &[id])
}

pub(crate) fn of_type_hash(keys: &dyn Keys, system: &str, code: &str, value: &str) -> [u8; 8] {
    hash(keys, b'o', &[system, code, value])
}

/// A code as it stands in a key, self-delimiting: `code 0`, or `prefix 0xFF hash` for a long one.
pub(crate) fn code_part(keys: &dyn Keys, code: &str) -> Vec<u8> {
    let bytes = code.as_bytes();
    let mut part = Vec::with_capacity(bytes.len() + 1);
    if bytes.len() <= CODE_BYTES_MAX && !bytes.contains(&0) {
        part.extend_from_slice(bytes);
        part.push(0);
    } else {
        part.extend(bytes.iter().take(CODE_PREFIX_BYTES).map(|byte| (*byte).max(1)));
        part.push(LONG);
        part.extend_from_slice(&hash(keys, b'c', &[code]));
    }
    part
}

/// Length of the [`code_part`] at the start of `bytes`.
pub(crate) fn code_part_len(bytes: &[u8]) -> usize {
    match bytes.iter().position(|byte| *byte == 0 || *byte == LONG) {
        Some(at) if bytes[at] == 0 => at + 1,
        Some(at) => (at + 9).min(bytes.len()),
        None => bytes.len(),
    }
}

/// The bytes of a text that are kept, without NUL.
pub(crate) fn text(text: &str) -> Vec<u8> {
    text.bytes().take(TEXT_BYTES_MAX).map(|byte| if byte == 0 { b' ' } else { byte }).collect()
}

pub(crate) fn interval_part(out: &mut Vec<u8>, narrow: bool, low: u64, high: u64) {
    out.push(u8::from(!narrow));
    out.extend_from_slice(&low.to_be_bytes());
    out.extend_from_slice(&high.to_be_bytes());
}

fn number_part(out: &mut Vec<u8>, low: f64, high: f64) {
    interval_part(out, high - low <= NARROW_NUMBER, order_f64(low), order_f64(high));
}

fn token_part(keys: &dyn Keys, out: &mut Vec<u8>, code: &str, system: Option<&str>) {
    out.extend(code_part(keys, code));
    out.extend(system.map_or(NO_HASH, |system| system_hash(keys, system)));
}

/// A value as kind and bytes: the rest of a key, or a component of a composite. Quantities differ: see [`quantity_keys`].
pub(crate) fn value_part(keys: &dyn Keys, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Token { system, code } => {
            out.push(kind::TOKEN);
            token_part(keys, out, code, system.as_deref());
        }
        Value::TokenSystem { system } => {
            out.push(kind::TOKEN);
            token_part(keys, out, "", Some(system));
        }
        Value::TokenText(normalized) => {
            out.push(kind::TEXT);
            out.extend(text(normalized));
        }
        Value::TokenOfType { system, code, value } => {
            out.push(kind::OF_TYPE);
            out.extend(of_type_hash(keys, system, code, value));
        }
        Value::Reference { ty, id } => {
            out.push(kind::REFERENCE);
            out.extend(ty.0.to_be_bytes());
            out.extend(id_hash(keys, id));
        }
        Value::ReferenceUrl(url) => {
            out.push(kind::URL);
            out.extend(text(url));
        }
        Value::ReferenceIdentifier { system, value } => {
            out.push(kind::IDENTIFIER);
            token_part(keys, out, value, system.as_deref());
        }
        Value::String { normalized, exact } => {
            out.push(kind::STRING);
            out.extend(text(normalized));
            out.push(0);
            out.extend(text(exact));
        }
        Value::Date { start, end } => {
            out.push(kind::DATE);
            interval_part(out, end.saturating_sub(*start) <= NARROW_DATE_US, order_i64(*start), order_i64(*end));
        }
        Value::Number { low, high } => {
            out.push(kind::NUMBER);
            number_part(out, *low, *high);
        }
        Value::Quantity(quantity) => quantity_part(keys, quantity, out),
        Value::Uri(uri) => {
            out.push(kind::URI);
            out.extend(text(uri));
        }
        Value::Composite(values) => composite_part(keys, values, out),
        Value::Position { latitude, longitude } => {
            out.push(kind::POSITION);
            out.extend(order_f64(*latitude).to_be_bytes());
            out.extend(order_f64(*longitude).to_be_bytes());
        }
    }
}

/// A quantity inside a composite: all that its tests can ask for, in fixed places.
fn quantity_part(keys: &dyn Keys, quantity: &Quantity, out: &mut Vec<u8>) {
    out.push(kind::QUANTITY);
    out.extend(optional_hash(keys, quantity.code.as_deref(), unit_hash));
    out.extend(optional_hash(keys, quantity.system.as_deref(), system_hash));
    out.extend(optional_hash(keys, quantity.unit.as_deref(), unit_hash));
    match &quantity.canonical {
        Some((unit, low, high)) => {
            out.extend(unit_hash(keys, unit));
            number_part(out, *low, *high);
        }
        None => out.extend([0; 8 + INTERVAL]),
    }
    number_part(out, quantity.low, quantity.high);
}

fn optional_hash(keys: &dyn Keys, text: Option<&str>, hash: fn(&dyn Keys, &str) -> [u8; 8]) -> [u8; 8] {
    text.map_or(NO_HASH, |text| hash(keys, text))
}

/// Components one after another, then the lengths (u16 BE) of all but the first: the first one is found by prefix.
fn composite_part(keys: &dyn Keys, values: &[Value], out: &mut Vec<u8>) {
    out.push(kind::COMPOSITE);
    let mut lengths = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let start = out.len();
        value_part(keys, value, out);
        // A length is 16 bits: longer than that only a composite inside a composite could be, which FHIR has not.
        out.truncate(start + usize::from(u16::MAX));
        if index > 0 {
            lengths.extend(u16::try_from(out.len() - start).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend(lengths);
}

/// Splits the bytes after [`kind::COMPOSITE`] into `count` components.
pub(crate) fn split_composite(bytes: &[u8], count: usize) -> Option<Vec<&[u8]>> {
    let lengths_at = bytes.len().checked_sub(2 * count.checked_sub(1)?)?;
    let (mut rest, lengths) = bytes.split_at(lengths_at);
    let mut parts = Vec::with_capacity(count);
    for length in lengths.rchunks_exact(2) {
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let (before, part) = rest.split_at(rest.len().checked_sub(length)?);
        parts.push(part);
        rest = before;
    }
    parts.push(rest);
    parts.reverse();
    Some(parts)
}

/// Quantity keys: by code and system, by unit text where it differs from the code, by canonical unit.
fn quantity_keys(keys: &dyn Keys, param: ParamId, quantity: &Quantity, each: &mut dyn FnMut(&[u8])) {
    let mut key = head(param, kind::QUANTITY);
    key.extend(optional_hash(keys, quantity.code.as_deref(), unit_hash));
    key.extend(optional_hash(keys, quantity.system.as_deref(), system_hash));
    number_part(&mut key, quantity.low, quantity.high);
    each(&key);
    if let Some(unit) = &quantity.unit
        && quantity.code.as_ref() != Some(unit)
    {
        let mut key = head(param, kind::UNIT);
        key.extend(unit_hash(keys, unit));
        number_part(&mut key, quantity.low, quantity.high);
        each(&key);
    }
    if let Some((unit, low, high)) = &quantity.canonical {
        let mut key = head(param, kind::CANONICAL);
        key.extend(unit_hash(keys, unit));
        number_part(&mut key, *low, *high);
        each(&key);
    }
}

/// All keys of an entry.
pub(crate) fn entry_keys(keys: &dyn Keys, entry: &Entry, each: &mut dyn FnMut(&[u8])) {
    if let Value::Quantity(quantity) = &entry.value {
        return quantity_keys(keys, entry.param, quantity, each);
    }
    let mut key = Vec::with_capacity(48);
    key.extend_from_slice(&entry.param.0.to_be_bytes());
    value_part(keys, &entry.value, &mut key);
    each(&key);
}

/// The part of a key before the start of its interval, and the start; `None` for keys without narrow intervals.
pub(crate) fn narrow_start(key: &[u8]) -> Option<(&[u8], u64)> {
    let group = match *key.get(2)? {
        kind::DATE | kind::NUMBER => 3,
        kind::QUANTITY => QUANTITY_GROUP,
        kind::CANONICAL | kind::UNIT => UNIT_GROUP,
        _ => return None,
    };
    let (prefix, rest) = key.split_at_checked(group + 1)?;
    (prefix[group] == 0).then_some((prefix, u64::from_be_bytes(*rest.first_chunk::<8>()?)))
}

/// The key of the resources that have several keys of this `kind` under `param`.
pub(crate) fn several_key(param: ParamId, kind: u8) -> Vec<u8> {
    let mut key = head(param, kind::SEVERAL);
    key.push(kind);
    key
}

/// The key of the summary of keys that begin with `prefix` and have starts from `first` to `last`.
pub(crate) fn summary_key(level: u8, prefix: &[u8], first: u64, last: u64) -> Vec<u8> {
    [&prefix[..2], &[kind::SUMMARY, level], &prefix[2..], &first.to_be_bytes(), &last.to_be_bytes()].concat()
}

/// The key of a logical id.
pub(crate) fn id_key(ty: TypeId, hash: [u8; 8]) -> Vec<u8> {
    let mut key = head(ParamId(PARAM_IDS), b'H');
    key.extend(ty.0.to_be_bytes());
    key.extend(hash);
    key
}

/// The key of a logical id as a token of the `_id` parameter.
pub(crate) fn plain_id_key(keys: &dyn Keys, param: ParamId, id: &str) -> Vec<u8> {
    let mut key = head(param, kind::TOKEN);
    token_part(keys, &mut key, id, None);
    key
}

/// The key of the chunk of 256 ordinals in which `ordinal` is; its posting lists their id hashes.
pub(crate) fn forward_key(ordinal: u32) -> Vec<u8> {
    let mut key = head(ParamId(PARAM_FORWARD), b'F');
    key.extend((ordinal >> 8).to_be_bytes());
    key
}

pub(crate) fn presence_key(param: ParamId) -> Vec<u8> {
    head(param, kind::PRESENCE)
}
