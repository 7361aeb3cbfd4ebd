//! Who is who: matches records of persons by keyed tokens, without a word of clear text in the index.
//!
//! [`encode`] turns a [`Person`] into an [`Encoded`] under a tenant's [`Keys`]: tokens for equality, field CLKs for
//! likeness, blocking keys to be found by. [`Index::matches`] finds candidates, weighs them ([`Score`]: Fellegi-Sunter with
//! a cap on what a household shares, corrected by how common a name is, stopped by [`Guards`]) and decides by [`Bands`]
//! that scale with the size of the index; [`Clusters`] links records to persons on top of it, for who keeps no persons.
//! [`estimate`] learns [`Weights`] from a tenant's own records; [`diff`] shows what they would change. [`open_link_tokens`] makes tokens for a
//! partner, [`partner_tokens`] for one who runs weir.

mod band;
mod block;
mod bytes;
mod clk;
mod clusters;
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
mod postings;
mod records;
mod score;
mod soundex;
mod weights;

pub use band::{Bands, Decision, Grade};
pub use bytes::BadEncoding;
pub use clusters::{Admission, Clusters};
pub use diff::{Change, diff};
pub use em::{Estimate, estimate};
pub use encoded::{Encoded, encode};
pub use exchange::{
    BadTokens, PairKey, PartnerMatch, PartnerTokens, Rule, match_partner_tokens, open_link_tokens, partner_tokens,
};
pub use frequency::Frequencies;
pub use guard::Guards;
pub use index::{Candidate, Index};
pub use keys::Keys;
pub use levels::{FIELDS, Field, Levels, MAX_LEVELS, NAMES};
pub use normalise::VERSION;
pub use person::{Address, Identifier, MAX_ADDRESSES, MAX_IDENTIFIERS, MAX_NAMES, MAX_PHONES, Name, Person};
pub use score::{LEAST_IN_CLUSTER, Score, agrees};
pub use weights::Weights;
