//! A plain bit set in which a search gathers many postings. Uniting roaring bitmaps one after another moves whole containers each time,
//! and inserts value by value where one side is run-length encoded; setting bits costs what the posting holds.

use roaring::RoaringBitmap;

/// Space is taken by the containers that are touched.
#[derive(Debug, Default)]
pub(crate) struct Bits {
    /// By the upper half of an ordinal: bit `n % 8` of byte `n / 8` for the lower half `n`.
    containers: Vec<Option<Box<Container>>>,
}

/// The bits of the ordinals with the same upper half.
type Container = [u8; CONTAINER_BYTES];
const CONTAINER_BYTES: usize = 1 << 13;
/// Containers with more values are stored as bits.
const ARRAY_MAX: usize = 4096;
/// First half of the first word, with and without run-length encoded containers.
const WITH_RUNS: u32 = 12347;
const WITHOUT_RUNS: u32 = 12346;
/// Bitmaps with run-length encoded containers and fewer containers than this have no offsets.
const OFFSETS_FROM: usize = 4;

impl Bits {
    pub(crate) fn is_empty(&self) -> bool {
        self.containers.is_empty()
    }

    pub(crate) fn set(&mut self, ordinal: u32) {
        let low = ordinal & 0xFFFF;
        self.container((ordinal >> 16) as usize)[(low / 8) as usize] |= 1 << (low % 8);
    }

    /// Sets what a serialized roaring bitmap holds; `None` when it is not one.
    ///
    /// <https://github.com/RoaringBitmap/RoaringFormatSpec>: cookie, number of containers, which of them are runs, key and size of each,
    /// offsets, containers.
    pub(crate) fn set_serialized(&mut self, bytes: &[u8]) -> Option<()> {
        let mut rest = bytes;
        let cookie = u32::from_le_bytes(*take::<4>(&mut rest)?);
        let (count, run_flags) = match cookie & 0xFFFF {
            WITH_RUNS => {
                let count = (cookie >> 16) as usize + 1;
                (count, take_slice(&mut rest, count.div_ceil(8))?)
            }
            _ if cookie == WITHOUT_RUNS => (u32::from_le_bytes(*take::<4>(&mut rest)?) as usize, &[][..]),
            _ => return None,
        };
        let descriptions = take_slice(&mut rest, count.checked_mul(4)?)?;
        if run_flags.is_empty() || count >= OFFSETS_FROM {
            take_slice(&mut rest, count.checked_mul(4)?)?;
        }
        for (at, description) in descriptions.chunks_exact(4).enumerate() {
            let key = u16::from_le_bytes([description[0], description[1]]);
            let size = usize::from(u16::from_le_bytes([description[2], description[3]])) + 1;
            let is_run = run_flags.get(at / 8).is_some_and(|flags| flags >> (at % 8) & 1 == 1);
            let container = self.container(usize::from(key));
            if is_run {
                let runs = u16::from_le_bytes(*take::<2>(&mut rest)?);
                set_runs(container, take_slice(&mut rest, usize::from(runs) * 4)?);
            } else if size <= ARRAY_MAX {
                set_values(container, take_slice(&mut rest, size * 2)?);
            } else {
                let more = take_slice(&mut rest, CONTAINER_BYTES)?;
                container.iter_mut().zip(more).for_each(|(byte, more)| *byte |= more);
            }
        }
        Some(())
    }

    fn container(&mut self, key: usize) -> &mut Container {
        if key >= self.containers.len() {
            self.containers.resize_with(key + 1, || None);
        }
        self.containers[key].get_or_insert_with(|| Box::new([0; CONTAINER_BYTES]))
    }

    pub(crate) fn into_bitmap(self) -> RoaringBitmap {
        let mut bitmap = RoaringBitmap::new();
        for (key, container) in (0u32..).zip(&self.containers) {
            if let Some(container) = container {
                bitmap |= RoaringBitmap::from_lsb0_bytes(key << 16, container.as_slice());
            }
        }
        bitmap
    }
}

/// Whether a serialized bitmap may have run-length encoded containers.
pub(crate) fn has_runs(bytes: &[u8]) -> bool {
    bytes.first_chunk::<4>().is_some_and(|cookie| u32::from_le_bytes(*cookie) & 0xFFFF == WITH_RUNS)
}

/// How many containers a serialized bitmap has; `None` when it is not one.
pub(crate) fn containers(bytes: &[u8]) -> Option<usize> {
    let cookie = u32::from_le_bytes(*bytes.first_chunk::<4>()?);
    match cookie & 0xFFFF {
        WITH_RUNS => Some((cookie >> 16) as usize + 1),
        _ => Some(u32::from_le_bytes(*bytes.get(4..)?.first_chunk::<4>()?) as usize),
    }
}

fn set_values(container: &mut [u8], values: &[u8]) {
    for value in values.chunks_exact(2) {
        let value = u16::from_le_bytes([value[0], value[1]]);
        container[usize::from(value / 8)] |= 1 << (value % 8);
    }
}

/// Runs are pairs of a first value and the number of values after it.
fn set_runs(container: &mut [u8], runs: &[u8]) {
    for run in runs.chunks_exact(4) {
        let first = u16::from_le_bytes([run[0], run[1]]);
        let last = first.saturating_add(u16::from_le_bytes([run[2], run[3]]));
        let (from, to) = (usize::from(first / 8), usize::from(last / 8));
        let (first_mask, last_mask) = (0xFF << (first % 8), 0xFF >> (7 - last % 8));
        if from == to {
            container[from] |= first_mask & last_mask;
        } else {
            container[from] |= first_mask;
            container[from + 1..to].fill(0xFF);
            container[to] |= last_mask;
        }
    }
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(taken)
}

fn take_slice<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serialized(bitmap: &RoaringBitmap) -> Vec<u8> {
        let mut bytes = Vec::new();
        bitmap.serialize_into(&mut bytes).expect("a vector takes everything");
        bytes
    }

    /// Arrays, bits, runs of one and of many, at the edges of containers, in few and in many containers.
    fn samples() -> Vec<RoaringBitmap> {
        let mut samples = vec![
            RoaringBitmap::new(),
            RoaringBitmap::from_iter([0, 7, 8, 65_535, 65_536]),
            (0..200_000).filter(|n| n % 3 == 0).collect(),
            (0..200_000).filter(|n| n % 100 < 60).collect(),
            (65_000..66_000).collect(),
            (0..10).flat_map(|container| [container * 65_536 + 3, container * 65_536 + 65_535]).collect(),
            (0..655_360).filter(|n| n / 65_536 % 2 == 0 || n % 7 == 0).collect(),
        ];
        let optimized = samples.iter().cloned().map(|mut bitmap| {
            bitmap.optimize();
            bitmap
        });
        let optimized: Vec<RoaringBitmap> = optimized.collect();
        samples.extend(optimized);
        samples
    }

    #[test]
    fn serialized_bitmaps_are_united() {
        let mut all = Bits::default();
        let mut expected = RoaringBitmap::new();
        for sample in samples() {
            let mut one = Bits::default();
            one.set_serialized(&serialized(&sample)).expect("a bitmap");
            assert_eq!(one.into_bitmap(), sample);
            all.set_serialized(&serialized(&sample)).expect("a bitmap");
            expected |= sample;
        }
        all.set(3_000_000);
        expected.insert(3_000_000);
        assert_eq!(all.into_bitmap(), expected);
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        for sample in samples() {
            let bytes = serialized(&sample);
            assert_eq!(Bits::default().set_serialized(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(Bits::default().set_serialized(b"not a bitmap"), None);
    }
}
