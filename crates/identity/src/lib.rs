//! Who is who: matches records of persons by keyed tokens, without a word of clear text in the index.
//!
//! [`encode`] turns a [`Person`] into an [`Encoded`] under a tenant's [`Keys`]: tokens for equality, field CLKs for
//! likeness, blocking keys to be found by. [`Index::admit`] finds candidates, weighs them ([`Score`]: Fellegi-Sunter with
//! a cap on what a household shares, corrected by how common a name is, stopped by [`Guards`]) and decides by [`Bands`]
//! that scale with the size of the index. [`estimate`] learns [`Weights`] from a tenant's own records; [`diff`] shows what
//! they would change. [`open_link_tokens`] makes tokens for a partner.

mod band;
mod block;
mod clk;
mod diff;
mod em;
mod encoded;
mod exchange;
mod frequency;
mod guard;
mod hashed;
mod index;
mod keys;
pub mod labelled;
mod levels;
mod nickname;
mod normalise;
mod person;
mod score;
mod soundex;
mod weights;

pub use band::{Bands, Decision, Grade};
pub use diff::{Change, diff};
pub use em::{Estimate, estimate};
pub use encoded::{Encoded, encode};
pub use exchange::open_link_tokens;
pub use frequency::Frequencies;
pub use guard::Guards;
pub use index::{Admission, Candidate, Index};
pub use keys::Keys;
pub use levels::{FIELDS, Field, Levels, MAX_LEVELS, NAMES};
pub use normalise::VERSION;
pub use person::{Identifier, Person};
pub use score::Score;
pub use weights::Weights;
