//! Tokens for a partner: Open Link Token's rules T1 to T5, byte for byte, and those for another weir. A partner finds the persons both know and learns
//! nothing of the others. CLKs stay at home.

mod attributes;
mod partner;
mod rule;

pub use partner::{BadTokens, PairKey, PartnerMatch, PartnerTokens, match_partner_tokens, partner_tokens};
pub use rule::Rule;

use crate::person::Person;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The tokens of a person by the rules T1 to T5, as base64 of 32 bytes; `None` for a rule with an unknown or invalid part.
///
/// `secret` is what both sides have agreed on, another one for each partner: tokens for one mean nothing to another, and
/// nothing in this tenant's own index. `ssn` is the social security number, in any spelling, or empty. `today`
/// (`YYYY-MM-DD`) bounds birth dates. The birth date must be written as FHIR does it.
///
/// These are Open Link Token's hashed tokens (SHA-256, then HMAC-SHA256); its encrypted envelope is not made here.
pub fn open_link_tokens(secret: &[u8], person: &Person<'_>, ssn: &str, today: &str) -> [Option<String>; 5] {
    let last = attributes::last(person.family);
    let first = attributes::first(person.given);
    let sex = attributes::sex(person.sex);
    let birth = attributes::birth(person.birth_date, today);
    let zip = attributes::postal_code(person.postal_code);
    let ssn = attributes::ssn(ssn);
    let (last, first, sex, birth) = (last.as_deref(), first.as_deref(), sex, birth);
    let head = |len: usize| first.map(|first| &first[..len.min(first.len())]);
    [
        token(secret, &[last, head(1), sex, birth]),
        token(secret, &[last, first, birth, zip.as_deref()]),
        token(secret, &[last, first, sex, birth]),
        token(secret, &[ssn.as_deref(), sex, birth]),
        token(secret, &[last, head(3), sex]),
    ]
}

fn token(secret: &[u8], parts: &[Option<&str>]) -> Option<String> {
    let parts: Vec<&str> = parts.iter().copied().collect::<Option<_>>()?;
    let digest = seal::fingerprint(parts.join("|").as_bytes());
    Some(STANDARD.encode(seal::hmac_sha256(secret, digest.as_bytes())))
}
