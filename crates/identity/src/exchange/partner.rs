//! Tokens for a partner who runs weir too: made of several parts each, under a key that only the two have.
//!
//! Whoever has the key can hash guesses. So no token is of one part or of a few digits: to recognise a person by it one has
//! to know name and birth date, or as much, already. CLKs stay at home.

use crate::nickname;
use crate::normalise::{FullName, Normal, VERSION};
use crate::person::Person;
use crate::soundex::soundex;
use seal::DataKey;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

/// What two weirs agreed on, for the tokens of one exchange: another one for each partner.
pub struct PairKey(DataKey);

impl PairKey {
    /// `secret` is at least 32 random bytes that both sides keep; a passphrase can be guessed.
    pub fn new(secret: &[u8]) -> PairKey {
        let derived = seal::hmac_sha256(secret, b"weir partner tokens");
        PairKey(DataKey::generate(&|out| out.copy_from_slice(&derived)))
    }

    /// What a partner knows the record `id` by, 32 hexadecimal digits: without the key nobody sees the id behind it, and another
    /// partner's is another one.
    pub fn reference(&self, id: &str) -> String {
        let [one, other] = [REFERENCE, REFERENCE + 1].map(|half| self.0.hash64(half, &[id.as_bytes()]));
        format!("{one:016x}{other:016x}")
    }
}

impl fmt::Debug for PairKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairKey")
    }
}

// Rules by which tokens are made. One that agrees links by itself; the last two only put a pair up for review.
const NAMES_BIRTH: u8 = 1;
const NICKNAME_BIRTH: u8 = 2;
const INITIAL_LAST_SEX_BIRTH: u8 = 3;
const SOUND_SEX_BIRTH: u8 = 4;
const PHONE_FIRST_BIRTH: u8 = 5;
const ADDRESS_FIRST_BIRTH: u8 = 6;
const NUMBER_BIRTH: u8 = 7;
const NAMES_PHONE: u8 = 8;
const NAMES_ADDRESS: u8 = 9;
/// Those of more rules than this are not certain.
const LAST_CERTAIN: u8 = NUMBER_BIRTH;
const LAST_RULE: u8 = NAMES_ADDRESS;

/// Domains of the two halves of a reference, beside those of the rules.
const REFERENCE: u8 = 0x80;

/// The most tokens of one person that are read: three names, addresses and telephones with sixteen numbers make 79.
const MAX_TOKENS: usize = 80;
/// A token that more of our records share tells nobody apart.
const MAX_SHARED: usize = 100;

/// The tokens of a person for one partner, each with its rule, ascending.
///
/// As text it is one line, `w1` (the version of the normaliser) and then `RULE:TOKEN` with 16 hexadecimal digits each.
#[derive(Clone, PartialEq, Eq)]
pub struct PartnerTokens(Vec<(u8, u64)>);

/// A line that is not a person's tokens.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadTokens {
    #[error("a line of tokens begins with w{VERSION}, the version both sides must run")]
    Version,
    #[error("token {0} of the line is not RULE:TOKEN, a known rule and 16 hexadecimal digits, in ascending order")]
    Token(usize),
}

/// A record of ours and one of the partner's that share a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartnerMatch {
    pub ours: usize,
    pub theirs: usize,
    /// The same person without asking; otherwise to be reviewed.
    pub certain: bool,
    /// Rules that agree.
    pub rules: u32,
}

/// The tokens of a person for the partner with whom `key` is shared. A rule with an unknown part makes none.
pub fn partner_tokens(key: &PairKey, person: &Person<'_>) -> PartnerTokens {
    let normal = Normal::of(person);
    let mut made = Made { key, tokens: Vec::new() };
    let digits = normal.birth.map(|date| date.digits());
    let birth = digits.as_ref().map_or(&[][..], |digits| &digits[..]);
    let sex = normal.sex.map(|sex| [sex]);
    let sex = sex.as_ref().map_or(&[][..], |sex| &sex[..]);
    for name in &normal.names {
        made.of_name(name, sex, birth);
        let (first, sorted) = (name.first.as_bytes(), sorted(name));
        for phone in &normal.phones {
            made.add(PHONE_FIRST_BIRTH, &[phone.as_bytes(), first, birth]);
            made.add(NAMES_PHONE, &[sorted[0], sorted[1], phone.as_bytes()]);
        }
        for place in &normal.places {
            made.add(ADDRESS_FIRST_BIRTH, &[place.street.as_bytes(), place.zip.as_bytes(), first, birth]);
            made.add(NAMES_ADDRESS, &[sorted[0], sorted[1], place.street.as_bytes(), place.zip.as_bytes()]);
        }
    }
    for (assigner, value) in &normal.identifiers {
        made.add(NUMBER_BIRTH, &[assigner.as_bytes(), value.as_bytes(), birth]);
    }
    made.tokens.sort_unstable();
    made.tokens.dedup();
    PartnerTokens(made.tokens)
}

struct Made<'a> {
    key: &'a PairKey,
    tokens: Vec<(u8, u64)>,
}

impl Made<'_> {
    fn add(&mut self, rule: u8, parts: &[&[u8]]) {
        if parts.iter().all(|part| !part.is_empty()) {
            self.tokens.push((rule, self.key.0.hash64(rule, parts)));
        }
    }

    fn of_name(&mut self, name: &FullName, sex: &[u8], birth: &[u8]) {
        let (last, [small, big]) = (name.last.as_bytes(), sorted(name));
        self.add(NAMES_BIRTH, &[small, big, birth]);
        for root in nickname::roots(&name.first) {
            self.add(NICKNAME_BIRTH, &[nickname::root(*root).as_bytes(), last, birth]);
        }
        self.add(INITIAL_LAST_SEX_BIRTH, &[name.first.get(..1).unwrap_or_default().as_bytes(), last, sex, birth]);
        if let (Some(first), Some(last)) = (soundex(&name.first), soundex(&name.last)) {
            self.add(SOUND_SEX_BIRTH, &[&first, &last, sex, birth]);
        }
    }
}

/// Both names, the smaller first: a swap changes nothing.
fn sorted(name: &FullName) -> [&[u8]; 2] {
    let mut pair = [name.first.as_bytes(), name.last.as_bytes()];
    pair.sort();
    pair
}

/// The pairs of a record of ours and one of theirs that share a token under the same key, certain ones first, then those
/// on which more rules agree.
pub fn match_partner_tokens(ours: &[PartnerTokens], theirs: &[PartnerTokens]) -> Vec<PartnerMatch> {
    let mut known: HashMap<(u8, u64), Vec<usize>> = HashMap::new();
    for (number, tokens) in ours.iter().enumerate() {
        tokens.0.iter().for_each(|token| known.entry(*token).or_default().push(number));
    }
    known.retain(|_, records| records.len() <= MAX_SHARED);
    let mut matches = Vec::new();
    for (theirs, tokens) in theirs.iter().enumerate() {
        let mut rules: BTreeMap<usize, u16> = BTreeMap::new();
        for token in &tokens.0 {
            known.get(token).into_iter().flatten().for_each(|ours| *rules.entry(*ours).or_default() |= 1 << token.0);
        }
        let certain = |rules: u16| rules & ((2 << LAST_CERTAIN) - 1) != 0;
        let pair = |(ours, rules): (usize, u16)| PartnerMatch {
            ours,
            theirs,
            certain: certain(rules),
            rules: rules.count_ones(),
        };
        matches.extend(rules.into_iter().map(pair));
    }
    matches.sort_by_key(|pair| (!pair.certain, std::cmp::Reverse(pair.rules), pair.theirs, pair.ours));
    matches
}

impl PartnerTokens {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Number of the rule, and token.
    pub(super) fn each(&self) -> impl Iterator<Item = (u8, u64)> + '_ {
        self.0.iter().copied()
    }
}

impl fmt::Display for PartnerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{VERSION}")?;
        self.0.iter().try_for_each(|(rule, token)| write!(f, " {rule}:{token:016x}"))
    }
}

impl FromStr for PartnerTokens {
    type Err = BadTokens;

    fn from_str(line: &str) -> Result<PartnerTokens, BadTokens> {
        let mut words = line.split(' ');
        let version = words.next().and_then(|word| word.strip_prefix('w'));
        if version != Some(VERSION.to_string().as_str()) {
            return Err(BadTokens::Version);
        }
        let mut tokens: Vec<(u8, u64)> = Vec::new();
        for (number, word) in (1..).zip(words) {
            let token = token(word).filter(|token| tokens.last().is_none_or(|last| last < token));
            tokens.push(token.filter(|_| number <= MAX_TOKENS).ok_or(BadTokens::Token(number))?);
        }
        Ok(PartnerTokens(tokens))
    }
}

fn token(word: &str) -> Option<(u8, u64)> {
    let (rule, token) = word.split_once(':')?;
    let hexadecimal = token.len() == 16 && token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let rule = (1..=LAST_RULE).find(|known| rule == known.to_string())?;
    hexadecimal.then_some((rule, u64::from_str_radix(token, 16).ok()?))
}

/// Says nothing of the person.
impl fmt::Debug for PartnerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PartnerTokens")
    }
}
