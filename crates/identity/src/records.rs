//! Numbered records in blocks: growing copies none, and numbers of removed ones are used again.

use crate::encoded::Encoded;

/// Records of a block: some 400 KiB.
const BLOCK: usize = 1_024;

#[derive(Default)]
pub(crate) struct Records {
    blocks: Vec<Vec<Option<Encoded>>>,
    free: Vec<u32>,
    len: usize,
}

impl Records {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Encoded> {
        self.blocks.get(number as usize / BLOCK)?.get(number as usize % BLOCK)?.as_ref()
    }

    /// Gives the record its number.
    pub(crate) fn add(&mut self, record: Encoded) -> u32 {
        self.len += 1;
        if let Some(number) = self.free.pop() {
            self.blocks[number as usize / BLOCK][number as usize % BLOCK] = Some(record);
            return number;
        }
        let number = self.len - 1;
        if number / BLOCK == self.blocks.len() {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        self.blocks[number / BLOCK].push(Some(record));
        number as u32
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<Encoded> {
        let record = self.blocks.get_mut(number as usize / BLOCK)?.get_mut(number as usize % BLOCK)?.take()?;
        self.free.push(number);
        self.len -= 1;
        Some(record)
    }

    /// Ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Encoded)> {
        (0..).zip(self.blocks.iter().flatten()).filter_map(|(number, record)| Some((number, record.as_ref()?)))
    }
}
