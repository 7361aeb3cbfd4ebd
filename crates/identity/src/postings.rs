//! Which records stand under a key. At a million records most of memory and most of the time of a look-up are here, so
//! that a key costs 8 bytes and a bit, and nothing that grows is ever copied as a whole.
//!
//! A key is 40 bits: 8 choose one of 256 tables, 32 are the key in it. Its value is the record, as long as there is only
//! one, or the place of a list. Lists have rooms for 2, 4, … 2,048 records; longer ones, which nobody reads, are vectors.

use crate::block::KEY_BITS;
use crate::hashed::TokenHasher;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;

/// A key that more records share finds nothing in particular: it is passed over and counted.
pub(crate) const MAX_POSTING: usize = 2_000;

const TABLES: usize = 1 << (KEY_BITS - u32::BITS);
/// Above this bit of a value there is only whether it is a list; records are numbered below.
const LIST: u32 = 1 << 31;
/// Bits of a list's place within its size.
const PLACE_BITS: u32 = 27;
/// The size of long lists, as it stands in a value: rooms have 1 to 11, the logarithm of their records.
const LONG: u32 = 15;
const LARGEST: u32 = 11;
/// Records of one block of rooms: 64 KiB.
const BLOCK: usize = 16_384;
/// No record: the unused end of a room.
const NONE: u32 = u32::MAX;

pub(crate) struct Postings {
    tables: Vec<HashMap<u32, u32, BuildHasherDefault<TokenHasher>>>,
    lists: Lists,
}

impl Default for Postings {
    fn default() -> Postings {
        Postings { tables: vec![HashMap::default(); TABLES], lists: Lists::default() }
    }
}

fn split(key: u64) -> (usize, u32) {
    (key as usize % TABLES, (key >> (KEY_BITS - u32::BITS)) as u32)
}

impl Postings {
    /// Different keys, and different records under a key: the caller sees to it.
    pub(crate) fn add(&mut self, key: u64, record: u32) {
        let (table, key) = split(key);
        match self.tables[table].entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(record);
            }
            Entry::Occupied(mut entry) => {
                let value = entry.get_mut();
                *value = match *value & LIST {
                    0 => self.lists.store(&[*value, record]),
                    _ => self.lists.push(*value, record),
                };
            }
        }
    }

    pub(crate) fn remove(&mut self, key: u64, record: u32) {
        let (table, key) = split(key);
        if let Entry::Occupied(mut entry) = self.tables[table].entry(key) {
            let value = entry.get_mut();
            if *value & LIST != 0 {
                *value = self.lists.remove(*value, record);
            } else if *value == record {
                entry.remove();
            }
        }
    }

    /// Appends the records under `key` to `found`; false when they are too many, and then none are.
    pub(crate) fn collect(&self, key: u64, found: &mut Vec<u32>) -> bool {
        let (table, key) = split(key);
        match self.tables[table].get(&key) {
            None => {}
            Some(value) if value & LIST == 0 => found.push(*value),
            Some(value) => {
                let list = self.lists.get(*value);
                if list.len() > MAX_POSTING {
                    return false;
                }
                found.extend_from_slice(list);
            }
        }
        true
    }
}

/// Rooms of every size, and the long lists.
#[derive(Default)]
struct Lists {
    rooms: [Rooms; LARGEST as usize],
    long: Vec<Vec<u32>>,
    free_long: Vec<u32>,
}

fn value(size: u32, place: u32) -> u32 {
    LIST | (size << PLACE_BITS) | place
}

fn size_and_place(value: u32) -> (u32, usize) {
    ((value & !LIST) >> PLACE_BITS, (value & ((1 << PLACE_BITS) - 1)) as usize)
}

impl Lists {
    fn get(&self, value: u32) -> &[u32] {
        match size_and_place(value) {
            (LONG, place) => &self.long[place],
            (size, place) => {
                let room = self.rooms[size as usize - 1].get(size, place);
                &room[..room.partition_point(|record| *record != NONE)]
            }
        }
    }

    /// Stores two records or more where they fit.
    fn store(&mut self, records: &[u32]) -> u32 {
        let size = records.len().next_power_of_two().ilog2().max(1);
        if size <= LARGEST {
            let rooms = &mut self.rooms[size as usize - 1];
            let place = rooms.take(size);
            rooms.get_mut(size, place as usize)[..records.len()].copy_from_slice(records);
            return value(size, place);
        }
        let place = self.free_long.pop().unwrap_or(self.long.len() as u32);
        match self.long.get_mut(place as usize) {
            Some(list) => list.extend_from_slice(records),
            None => self.long.push(records.to_vec()),
        }
        value(LONG, place)
    }

    fn push(&mut self, list: u32, record: u32) -> u32 {
        let (size, place) = size_and_place(list);
        if size == LONG {
            self.long[place].push(record);
            return list;
        }
        let room = self.rooms[size as usize - 1].get_mut(size, place);
        let end = room.partition_point(|record| *record != NONE);
        match room.get_mut(end) {
            Some(free) => {
                *free = record;
                list
            }
            None => {
                let all = [&*room, &[record]].concat();
                self.free(list);
                self.store(&all)
            }
        }
    }

    /// A list that has become much smaller moves to a smaller room, one of a single record becomes that record.
    fn remove(&mut self, list: u32, record: u32) -> u32 {
        let (size, place) = size_and_place(list);
        let kept: Vec<u32> = self.get(list).iter().copied().filter(|other| *other != record).collect();
        if let [only] = kept.as_slice() {
            self.free(list);
            return *only;
        }
        let few = if size == LONG { MAX_POSTING } else { (1 << size) / 4 };
        if kept.len() <= few {
            self.free(list);
            return self.store(&kept);
        }
        if size == LONG {
            self.long[place] = kept;
        } else {
            let room = self.rooms[size as usize - 1].get_mut(size, place);
            room.fill(NONE);
            room[..kept.len()].copy_from_slice(&kept);
        }
        list
    }

    fn free(&mut self, list: u32) {
        match size_and_place(list) {
            (LONG, place) => {
                self.long[place] = Vec::new();
                self.free_long.push(place as u32);
            }
            (size, place) => self.rooms[size as usize - 1].free(size, place),
        }
    }
}

/// Rooms of one size, whose logarithm every call is given, in blocks.
#[derive(Default)]
struct Rooms {
    blocks: Vec<Box<[u32]>>,
    used: u32,
    free: Vec<u32>,
}

impl Rooms {
    fn get(&self, size: u32, place: usize) -> &[u32] {
        let (block, from) = (place / (BLOCK >> size), place % (BLOCK >> size));
        &self.blocks[block][from << size..(from + 1) << size]
    }

    fn get_mut(&mut self, size: u32, place: usize) -> &mut [u32] {
        let (block, from) = (place / (BLOCK >> size), place % (BLOCK >> size));
        &mut self.blocks[block][from << size..(from + 1) << size]
    }

    /// The place of an empty room.
    fn take(&mut self, size: u32) -> u32 {
        if let Some(place) = self.free.pop() {
            return place;
        }
        let place = self.used;
        // Sixteen billion bytes of rooms of the smallest size: memory is gone long before.
        assert!(place < 1 << PLACE_BITS, "an index holds some 30 million records");
        if place as usize / (BLOCK >> size) == self.blocks.len() {
            self.blocks.push(vec![NONE; BLOCK].into());
        }
        self.used += 1;
        place
    }

    fn free(&mut self, size: u32, place: usize) {
        self.get_mut(size, place).fill(NONE);
        self.free.push(place as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap as Model;

    fn found(postings: &Postings, key: u64) -> Option<Vec<u32>> {
        let mut found = Vec::new();
        let all = postings.collect(key, &mut found);
        found.sort_unstable();
        all.then_some(found)
    }

    #[test]
    fn a_list_grows_through_every_size_and_back() {
        let mut postings = Postings::default();
        for record in 0..5_000 {
            postings.add(7, record);
            postings.add(8, record);
            assert_eq!(found(&postings, 7).map(|all| all.len()), (record < 2_000).then_some(record as usize + 1));
        }
        for record in 0..5_000 {
            postings.remove(7, record);
            let left = 4_999 - record;
            assert_eq!(found(&postings, 7), (left <= 2_000).then(|| (record + 1..5_000).collect()));
        }
        assert_eq!(found(&postings, 8), None, "another key is untouched");
        let rooms = &postings.lists.rooms;
        assert!(rooms.iter().all(|rooms| rooms.free.len() == rooms.used as usize), "every room is free again");
        assert_eq!((postings.lists.long.len(), postings.lists.free_long.len()), (2, 1));
    }

    proptest! {
        #[test]
        fn postings_are_a_map_of_sets(changes in proptest::collection::vec((0..6u64, 0..12u32, any::<bool>()), 0..400)) {
            let (mut postings, mut model) = (Postings::default(), Model::<u64, Vec<u32>>::new());
            for (key, record, add) in changes {
                // Keys that share a table and keys that share what stands in it.
                let key = (key % 3) << 20 | (key / 3);
                let records = model.entry(key).or_default();
                match records.iter().position(|known| *known == record) {
                    None if add => {
                        postings.add(key, record);
                        records.push(record);
                    }
                    Some(at) if !add => {
                        postings.remove(key, record);
                        records.remove(at);
                    }
                    _ => {}
                }
            }
            for (key, mut records) in model {
                records.sort_unstable();
                prop_assert_eq!(found(&postings, key), Some(records));
            }
        }
    }
}
