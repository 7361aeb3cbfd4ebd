//! Cryptographic long-term keys: a field as 512 bits whose overlap tells how alike two values are.

use crate::keys::Tag;
use seal::DataKey;

/// Bits of a field before it is folded.
const WIDTH: usize = 1024;
/// Bits set for one bigram.
const BITS_PER_BIGRAM: u32 = 5;
/// Letters, digits, the space and the border of a text.
const ALPHABET: usize = 38;
const BORDER: usize = 37;

/// The fields that have one. Given names and surnames are one kind: they can be compared with each other, for names
/// swapped and misspelt.
#[derive(Clone, Copy)]
pub(crate) enum Field {
    Name,
    Address,
    Birth,
}

const FIELDS: usize = 3;

/// Which bits a bigram of a field sets, by the key: 10 bits per position, five positions in one number.
pub(crate) struct Positions(Box<[u64]>);

impl Positions {
    pub(crate) fn new(key: &DataKey) -> Positions {
        let cells = ALPHABET * ALPHABET;
        let cell = |index: usize| {
            let place = [(index / cells) as u8, (index % cells / ALPHABET) as u8, (index % ALPHABET) as u8];
            key.hash64(Tag::Bigram as u8, &[&place])
        };
        Positions((0..FIELDS * cells).map(cell).collect())
    }

    fn of(&self, field: Field, one: usize, other: usize) -> u64 {
        self.0[(field as usize * ALPHABET + one) * ALPHABET + other]
    }
}

/// A field after the halves of its 1,024 bits were put on each other by exclusive or, which hides which bigrams it holds.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Clk {
    bits: [u64; 8],
    /// How many are set: counting them is most of what a comparison costs.
    ones: u16,
}

impl Clk {
    pub(crate) fn of_bits(bits: [u64; 8]) -> Clk {
        Clk { bits, ones: bits.iter().map(|word| word.count_ones() as u16).sum() }
    }

    pub(crate) fn bits(&self) -> &[u64; 8] {
        &self.bits
    }

    /// The padded bigrams of a normalised text.
    pub(crate) fn text(positions: &Positions, field: Field, text: &str) -> Clk {
        let mut wide = Wide::default();
        let mut previous = BORDER;
        for letter in text.bytes().map(letter) {
            wide.set(positions.of(field, previous, letter));
            previous = letter;
        }
        if !text.is_empty() {
            wide.set(positions.of(field, previous, BORDER));
        }
        wide.fold()
    }

    /// A date: each digit at its place, and its bigrams.
    pub(crate) fn date(positions: &Positions, digits: &[u8; 8]) -> Clk {
        let mut wide = Wide::default();
        for (place, digit) in digits.iter().enumerate() {
            // Cells of letters, which no date uses, stand for the places.
            wide.set(positions.of(Field::Birth, place, letter(*digit)));
        }
        for pair in digits.windows(2) {
            wide.set(positions.of(Field::Birth, letter(pair[0]), letter(pair[1])));
        }
        wide.fold()
    }

    /// Twice the common bits over all bits: 1 for equal fields, 0 when one is empty.
    pub(crate) fn dice(&self, other: &Clk) -> f32 {
        let all = self.ones + other.ones;
        if all == 0 {
            return 0.0;
        }
        let both: u32 = self.bits.iter().zip(&other.bits).map(|(one, other)| (one & other).count_ones()).sum();
        2.0 * both as f32 / f32::from(all)
    }
}

fn letter(byte: u8) -> usize {
    match byte {
        b'a'..=b'z' => usize::from(byte - b'a'),
        b'0'..=b'9' => usize::from(byte - b'0') + 26,
        _ => 36,
    }
}

struct Wide([u64; WIDTH / 64]);

impl Default for Wide {
    fn default() -> Wide {
        Wide([0; WIDTH / 64])
    }
}

impl Wide {
    fn set(&mut self, positions: u64) {
        for bigram in 0..BITS_PER_BIGRAM {
            let bit = (positions >> (bigram * 10)) as usize % WIDTH;
            self.0[bit / 64] |= 1 << (bit % 64);
        }
    }

    fn fold(&self) -> Clk {
        Clk::of_bits(std::array::from_fn(|word| self.0[word] ^ self.0[word + 8]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(fill: u8) -> Positions {
        Positions::new(&DataKey::generate(&|out| out.fill(fill)))
    }

    fn dice(one: &str, other: &str) -> f32 {
        let positions = positions(1);
        Clk::text(&positions, Field::Name, one).dice(&Clk::text(&positions, Field::Name, other))
    }

    #[test]
    fn alike_values_share_bits() {
        assert_eq!(dice("kimbrell", "kimbrell"), 1.0);
        assert!(dice("kimbrell", "kimbrel") > 0.65);
        assert!(dice("kimbrell", "odom") < 0.25);
        assert_eq!(dice("", ""), 0.0);
    }

    #[test]
    fn one_digit_of_a_date_is_little() {
        let positions = positions(1);
        let date = |digits: &[u8; 8]| Clk::date(&positions, digits);
        assert!(date(b"19870305").dice(&date(b"19870306")) > 0.8);
        assert!(date(b"19870305").dice(&date(b"20111224")) < 0.4);
    }

    #[test]
    fn another_key_or_field_sets_other_bits() {
        let (one, other) = (positions(1), positions(2));
        let clk = Clk::text(&one, Field::Name, "kimbrell");
        assert!(clk.dice(&Clk::text(&other, Field::Name, "kimbrell")) < 0.3);
        assert!(clk.dice(&Clk::text(&one, Field::Address, "kimbrell")) < 0.3);
        assert!(clk.dice(&Clk::text(&one, Field::Birth, "kimbrell")) < 0.3);
    }
}
