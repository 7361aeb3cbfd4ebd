//! The surveillance calculator: a programme's table says how many doses of which product are all.

mod count;
mod table;

pub use table::{Booster, EarlyDose, Product, Programme, ProgrammeError};

use crate::Date;
use crate::person::Person;
use crate::standing::Standing;

/// The name of this calculator; its version is that of the [`Programme`].
pub const NAME: &str = "surveillance";

impl Programme {
    /// Where the person stands on the day. Doses after that day do not count yet; what does not belong to the programme does
    /// not count at all.
    ///
    /// Full is whoever has as many doses as a product that was given asks for, counting doses of that product and, where
    /// mixing is allowed, of products that ask for no more.
    pub fn standing(&self, person: &Person, today: Date) -> Standing {
        count::standing(self, person, today)
    }
}
