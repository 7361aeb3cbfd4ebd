//! Who of ours a partner knows too: tokens made for one partner from each record, and the partner's compared with ours.
//!
//! Nothing else of a record leaves: it goes by a reference that only its own side can resolve. Field CLKs stay at home.

use crate::Registry;
use crate::patient::Demographics;
use crate::row::PersonId;
use engine::{Engine, Error, Session};
use identity::{PairKey, PartnerTokens, match_partner_tokens, open_link_tokens, partner_tokens};
use serde::Serialize;
use std::collections::HashMap;

/// The rules of Open Link Token, T1 to T5.
const RULES: usize = 5;
/// Agreement on one of T1 to T4 tells a person; T5 knows no birth date.
const CERTAIN: usize = 4;
/// An Open Link Token that more of their records share tells nobody apart.
const SHARED_MAX: usize = 100;
/// 32 bytes in base64.
const TOKEN_BYTES: usize = 44;
/// The longest reference of a partner's record that is read.
const REFERENCE_MAX: usize = 256;
const OPEN_LINK_HEADER: &str = "RuleId,Token,RecordId";
const SSN: &str = "http://hl7.org/fhir/sid/us-ssn";

/// How tokens are made and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartnerFormat {
    /// A line for each record: its reference, then [`PartnerTokens`].
    Weir,
    /// CSV of Open Link Token's hashed tokens: RuleId, Token, RecordId.
    OpenLinkToken,
}

/// With whom tokens are exchanged, and how.
pub struct Partner<'a> {
    /// For the audit trail.
    pub name: &'a str,
    /// What both sides have agreed on: see [`PairKey::new`].
    pub secret: &'a [u8],
    pub format: PartnerFormat,
}

impl std::fmt::Debug for Partner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Partner").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A record of ours that may be one of theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedRecord {
    /// Id of our Patient.
    pub record: String,
    pub person: PersonId,
    /// What the partner knows our record by.
    pub our_reference: String,
    pub their_reference: String,
    /// One of the rules that agree tells a person by itself.
    pub certain: bool,
    /// Rules that agree.
    pub rules: u32,
}

/// Why tokens were not written or compared.
#[derive(Debug, thiserror::Error)]
pub enum PartnerError {
    #[error("{0}")]
    Engine(Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("line {line} of the partner's file: {what}")]
    Line { line: usize, what: String },
}

impl From<Error> for PartnerError {
    fn from(error: Error) -> PartnerError {
        PartnerError::Engine(error)
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartnerExport {
    pub records: usize,
    /// Records of which too little is known for a token; they are left out.
    pub without_tokens: usize,
    pub tokens: usize,
}

impl Registry {
    /// Gives the partner's file to `line`, line by line. Records come in the order of their references, which says nothing.
    pub async fn partner_tokens(
        &self,
        engine: &Engine,
        session: &Session,
        partner: &Partner<'_>,
        mut line: impl FnMut(&str) -> std::io::Result<()> + Send,
    ) -> Result<PartnerExport, PartnerError> {
        let (key, today) = (PairKey::new(partner.secret), self.today().to_string());
        let mut export = PartnerExport::default();
        if partner.format == PartnerFormat::OpenLinkToken {
            line(OPEN_LINK_HEADER)?;
        }
        let mut write = |record: &Ours, demographics: &Demographics| -> std::io::Result<()> {
            let count = match partner.format {
                PartnerFormat::Weir => {
                    let tokens = demographics.read(|person| partner_tokens(&key, person));
                    if tokens.count() > 0 {
                        line(&format!("{} {tokens}", record.reference))?;
                    }
                    tokens.count()
                }
                PartnerFormat::OpenLinkToken => {
                    let tokens = open_link(partner.secret, demographics, &today);
                    for (rule, token) in (1..).zip(&tokens) {
                        if let Some(token) = token {
                            line(&format!("T{rule},{token},{}", record.reference))?;
                        }
                    }
                    tokens.iter().flatten().count()
                }
            };
            export.records += 1;
            export.without_tokens += usize::from(count == 0);
            export.tokens += count;
            Ok(())
        };
        self.each_record(engine, session, partner, &key, |record, demographics| write(&record, demographics)).await?;
        Ok(export)
    }

    /// Which of our records meet which of the partner's, whose file `theirs` is: certain ones first, then those on which
    /// more rules agree. The partner's tokens and ours are in memory meanwhile, some 400 bytes a record.
    pub async fn partner_match(
        &self,
        engine: &Engine,
        session: &Session,
        partner: &Partner<'_>,
        theirs: impl Iterator<Item = std::io::Result<String>>,
    ) -> Result<Vec<SharedRecord>, PartnerError> {
        let key = PairKey::new(partner.secret);
        match partner.format {
            PartnerFormat::Weir => {
                let (references, theirs) = weir_file(theirs)?;
                let (mut records, mut ours) = (Vec::new(), Vec::new());
                self.each_record(engine, session, partner, &key, |record, demographics| {
                    ours.push(demographics.read(|person| partner_tokens(&key, person)));
                    records.push(record);
                    Ok(())
                })
                .await?;
                let matches = match_partner_tokens(&ours, &theirs).into_iter();
                let shared =
                    matches.map(|pair| records[pair.ours].shared(&references[pair.theirs], pair.certain, pair.rules));
                Ok(shared.collect())
            }
            PartnerFormat::OpenLinkToken => {
                let theirs = open_link_file(theirs)?;
                let today = self.today().to_string();
                let mut shared = Vec::new();
                self.each_record(engine, session, partner, &key, |record, demographics| {
                    let tokens = open_link(partner.secret, demographics, &today);
                    shared.extend(theirs.met(&record, &tokens));
                    Ok(())
                })
                .await?;
                shared.sort_by_key(|pair: &SharedRecord| (!pair.certain, std::cmp::Reverse(pair.rules)));
                Ok(shared)
            }
        }
    }

    /// Reads the Patient of each record, in the order of their references.
    async fn each_record(
        &self,
        engine: &Engine,
        session: &Session,
        partner: &Partner<'_>,
        key: &PairKey,
        mut take: impl FnMut(Ours, &Demographics) -> std::io::Result<()> + Send,
    ) -> Result<(), PartnerError> {
        let tenancy = self.tenancy(&session.tenant)?;
        let feed = engine.feed(session).await?;
        let entity = format!("partner-{}", partner.name);
        engine.note_access(session, vec![engine.audit_record(session, "$export", entity, None, 200)]).await?;
        let mut records: Vec<Ours> = {
            let live = tenancy.live.read();
            let committed = live.records.iter().filter(|(id, _)| !live.pending.contains_key(*id));
            let ours = committed.map(|(id, known)| Ours {
                reference: key.reference(id),
                record: id.to_string(),
                person: known.person,
            });
            ours.collect()
        };
        records.sort_by(|one, other| one.reference.cmp(&other.reference));
        for record in records {
            if let Some(demographics) = Demographics::current(&feed, &record.record).await? {
                take(record, &demographics)?;
            }
        }
        Ok(())
    }
}

/// A record of ours.
struct Ours {
    reference: String,
    record: String,
    person: PersonId,
}

impl Ours {
    fn shared(&self, theirs: &str, certain: bool, rules: u32) -> SharedRecord {
        SharedRecord {
            record: self.record.clone(),
            person: self.person,
            our_reference: self.reference.clone(),
            their_reference: theirs.to_owned(),
            certain,
            rules,
        }
    }
}

fn open_link(secret: &[u8], demographics: &Demographics, today: &str) -> [Option<String>; RULES] {
    let ssn = demographics.identifier(SSN).unwrap_or_default();
    demographics.read(|person| open_link_tokens(secret, person, ssn, today))
}

/// References and tokens of a file in weir's format.
fn weir_file(
    lines: impl Iterator<Item = std::io::Result<String>>,
) -> Result<(Vec<String>, Vec<PartnerTokens>), PartnerError> {
    let (mut references, mut tokens) = (Vec::new(), Vec::new());
    for (line, text) in (1..).zip(lines) {
        let text = text?;
        let bad = |what: String| PartnerError::Line { line, what };
        let (reference, rest) =
            text.split_once(' ').ok_or_else(|| bad("write REFERENCE w1 RULE:TOKEN …".to_owned()))?;
        check_reference(reference).map_err(bad)?;
        tokens.push(rest.parse().map_err(|error: identity::BadTokens| bad(error.to_string()))?);
        references.push(reference.to_owned());
    }
    Ok((references, tokens))
}

/// It is printed as it is.
fn check_reference(reference: &str) -> Result<(), String> {
    let valid = |byte: u8| byte.is_ascii_graphic() && !b",\"".contains(&byte);
    match !reference.is_empty() && reference.len() <= REFERENCE_MAX && reference.bytes().all(valid) {
        true => Ok(()),
        false => {
            Err(format!("a record's id has 1 to {REFERENCE_MAX} letters, digits and signs, no comma, quote or space"))
        }
    }
}

/// A partner's Open Link Tokens.
struct OpenLink {
    references: Vec<String>,
    /// Records by rule (0 for T1) and token.
    tokens: HashMap<(usize, String), Vec<usize>>,
}

fn open_link_file(mut lines: impl Iterator<Item = std::io::Result<String>>) -> Result<OpenLink, PartnerError> {
    let header = lines.next().transpose()?.unwrap_or_default();
    let columns: Vec<&str> = header.trim_start_matches('\u{feff}').trim_end().split(',').collect();
    let column = |name: &str| columns.iter().position(|column| *column == name);
    let (Some(rule_at), Some(token_at), Some(record_at)) = (column("RuleId"), column("Token"), column("RecordId"))
    else {
        let what = format!("the first line names the columns RuleId, Token and RecordId, such as {OPEN_LINK_HEADER}");
        return Err(PartnerError::Line { line: 1, what });
    };
    let mut read = OpenLink { references: Vec::new(), tokens: HashMap::new() };
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for (line, text) in (2..).zip(lines) {
        let text = text?;
        let bad = |what: String| PartnerError::Line { line, what };
        let fields: Vec<&str> = text.trim_end().split(',').collect();
        if fields.len() != columns.len() {
            return Err(bad(format!("{} columns, as the first line has", columns.len())));
        }
        let (rule, token, record) = (fields[rule_at], fields[token_at], fields[record_at]);
        let rule = ["T1", "T2", "T3", "T4", "T5"].iter().position(|known| *known == rule);
        let rule = rule.ok_or_else(|| bad("the rule is none of T1 to T5".to_owned()))?;
        check_reference(record).map_err(bad)?;
        // What its own implementation writes for a rule with an unknown part.
        if token.is_empty() || token.bytes().all(|byte| byte == b'0') {
            continue;
        }
        check_open_link(token).map_err(bad)?;
        let next = read.references.len();
        let number = *numbers.entry(record.to_owned()).or_insert(next);
        if number == next {
            read.references.push(record.to_owned());
        }
        read.tokens.entry((rule, token.to_owned())).or_default().push(number);
    }
    read.tokens.retain(|_, records| records.len() <= SHARED_MAX);
    Ok(read)
}

fn check_open_link(token: &str) -> Result<(), String> {
    if token.starts_with("olt.") {
        return Err(
            "this token is encrypted: ask for hashed tokens, or decrypt the file with Open Link Token first".into()
        );
    }
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    match token.len() == TOKEN_BYTES && token.bytes().all(base64) {
        true => Ok(()),
        false => Err(format!(
            "a hashed token is {TOKEN_BYTES} characters of base64; an encrypted one must be decrypted first"
        )),
    }
}

impl OpenLink {
    fn met(&self, record: &Ours, tokens: &[Option<String>; RULES]) -> Vec<SharedRecord> {
        let mut rules: HashMap<usize, [bool; RULES]> = HashMap::new();
        for (rule, token) in tokens.iter().enumerate() {
            let Some(token) = token.clone() else { continue };
            for theirs in self.tokens.get(&(rule, token)).into_iter().flatten() {
                rules.entry(*theirs).or_default()[rule] = true;
            }
        }
        let mut met: Vec<(usize, [bool; RULES])> = rules.into_iter().collect();
        met.sort_unstable();
        let pair = |(theirs, rules): (usize, [bool; RULES])| {
            let count = rules.iter().filter(|agrees| **agrees).count() as u32;
            record.shared(&self.references[theirs], rules[..CERTAIN].contains(&true), count)
        };
        met.into_iter().map(pair).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> impl Iterator<Item = std::io::Result<String>> {
        text.lines().map(|line| Ok(line.to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn a_line_that_is_wrong_is_named_with_what_is_wrong() {
        let token = "A".repeat(43) + "=";
        for (text, part) in [
            ("RuleId,Token\n", "line 1 of the partner's file: the first line names the columns RuleId"),
            ("RuleId,Token,RecordId\nT1,x\n", "line 2 of the partner's file: 3 columns"),
            ("RuleId,Token,RecordId\nT6,x,1\n", "the rule is none of T1 to T5"),
            ("RuleId,Token,RecordId\nT1,x,1\n", "is 44 characters of base64"),
            ("RuleId,Token,RecordId\nT1,olt.V1.abc,1\n", "this token is encrypted"),
            ("RuleId,Token,RecordId\nT1,x,a b\n", "a record's id has"),
        ] {
            let error = open_link_file(lines(text)).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
        let read =
            open_link_file(lines(&format!("RecordId,RuleId,Token\nr1,T1,{token}\nr1,T2,\nr2,T4,0000\n"))).unwrap();
        assert_eq!((read.references.as_slice(), read.tokens.len()), (["r1".to_owned()].as_slice(), 1));
        for (text, part) in [
            ("ref\n", "line 1 of the partner's file: write REFERENCE w1"),
            ("a w1 1:0000000000000001\nb w2\n", "line 2 of the partner's file: a line of tokens begins with w1"),
            ("a,b w1\n", "a record's id has"),
        ] {
            let error = weir_file(lines(text)).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
