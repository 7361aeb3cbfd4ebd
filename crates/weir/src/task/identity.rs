//! Who is who: the key of a tenant's tokens, its weights, and whom partners know too.

use super::{Done, told, wait};
use crate::wiring::secret;
use anyhow::{Context, Result, ensure};
use engine::{Engine, Session};
use registry::{Estimated, FIELDS, NAMES, Partner, PartnerFormat, Registry, Weights};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use store::TenantId;

/// Shorter secrets can be guessed.
const SECRET_CHARS_MIN: usize = 32;
/// The longest line of a partner's file that is read, in bytes.
const LINE_BYTES_MAX: u64 = 16_384;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) tenant: String,
    pub(crate) what: What,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum What {
    RotateKey,
    EstimateWeights {
        save: bool,
        examples: usize,
    },
    /// `None`: the shipped ones.
    ApplyWeights {
        number: Option<u32>,
    },
    ListWeights,
    PartnerTokens {
        with: With,
        to: PathBuf,
    },
    PartnerMatch {
        with: With,
        file: PathBuf,
    },
}

/// A partner, with the file of the secret that both have.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct With {
    pub(crate) partner: String,
    pub(crate) key_file: PathBuf,
    pub(crate) open_link_token: bool,
}

impl With {
    fn secret(&self) -> Result<seal::Secret> {
        let file = self.key_file.display();
        let hint = format!(
            "hint: openssl rand -hex 32 > {file}; chmod 600 {file}, and give the partner the same file by a safe way"
        );
        let secret = secret(&self.key_file).with_context(|| format!("the key for partner {}\n{hint}", self.partner))?;
        ensure!(
            secret.expose().len() >= SECRET_CHARS_MIN,
            "the key in {file} is shorter than {SECRET_CHARS_MIN} characters\n{hint}"
        );
        Ok(secret)
    }

    fn format(&self) -> PartnerFormat {
        if self.open_link_token { PartnerFormat::OpenLinkToken } else { PartnerFormat::Weir }
    }
}

/// What a task works with.
struct At<'a> {
    engine: &'a Engine,
    registry: &'a Registry,
    session: Session,
}

impl Identity {
    pub(crate) fn run(&self, engine: &Engine, registry: &Registry) -> Result<Done> {
        let session = Session { tenant: TenantId(self.tenant.clone()), ..crate::wiring::local_session("tracker") };
        let at = At { engine, registry, session };
        wait(async {
            match &self.what {
                What::RotateKey => rotate_key(&at).await,
                What::EstimateWeights { save, examples } => estimate_weights(&at, *save, *examples).await,
                What::ApplyWeights { number } => apply_weights(&at, *number).await,
                What::ListWeights => list_weights(&at).await,
                What::PartnerTokens { with, to } => partner_tokens(&at, with, to).await,
                What::PartnerMatch { with, file } => partner_match(&at, with, file).await,
            }
        })
    }
}

async fn rotate_key(at: &At<'_>) -> Result<Done> {
    let rotated = told(at.registry.rotate_key(at.engine, &at.session).await)?;
    Ok(Done {
        json: vec![json!({ "key": rotated.key, "records": rotated.records })],
        lines: vec![format!(
            "key {} is in force for {} records; the one before it is deleted",
            rotated.key, rotated.records
        )],
        success: true,
    })
}

async fn estimate_weights(at: &At<'_>, save: bool, examples: usize) -> Result<Done> {
    let learnt = told(at.registry.estimate_weights(at.engine, &at.session, save, examples).await)?;
    let mut lines = vec![format!(
        "learnt from {} records with some {:.0} pairs of one person, in {} rounds",
        learnt.records, learnt.matches, learnt.rounds
    )];
    lines.extend(table(&learnt.in_force, &learnt.weights));
    lines.extend(changes(&learnt));
    if let Some(number) = learnt.saved {
        lines.push(format!("kept as {number}: weir tracker weights apply {number}"));
    }
    Ok(Done { json: vec![serde_json::to_value(&learnt)?], lines, success: true })
}

/// Bits of each level of each field, of two sets side by side.
fn table(in_force: &Weights, learnt: &Weights) -> Vec<String> {
    let mut lines = vec![format!("{:<9}{:<30}{:>10}{:>12}", "field", "level", "in force", "estimated")];
    for field in FIELDS {
        let row = field as usize;
        for (level, name) in NAMES[row].iter().enumerate().skip(1) {
            let (was, is) = (in_force.bits[row][level], learnt.bits[row][level]);
            lines.push(format!("{:<9}{name:<30}{was:>10.1}{is:>12.1}", field.code()));
        }
    }
    lines
}

fn changes(learnt: &Estimated) -> Vec<String> {
    if learnt.changes.is_empty() {
        return vec!["no pair would be decided otherwise".to_owned()];
    }
    let mut lines = vec!["pairs that would be decided otherwise:".to_owned()];
    for shift in &learnt.changes {
        lines.push(format!("  {} to {}: {} ({} of them linked)", shift.before, shift.after, shift.pairs, shift.linked));
        for example in &shift.examples {
            let [one, other] = &example.records;
            let (was, is) = (example.bits_before, example.bits_after);
            lines.push(format!("    {one} {other}: {was} to {is} bits; {}", example.reasons.join(", ")));
        }
    }
    lines
}

async fn apply_weights(at: &At<'_>, number: Option<u32>) -> Result<Done> {
    let applied = told(at.registry.apply_weights(at.engine, &at.session, number).await)?;
    Ok(Done {
        json: vec![serde_json::to_value(&applied)?],
        lines: vec![format!("{} in force; {} pairs went to the review queue", applied.version, applied.reviews)],
        success: true,
    })
}

async fn list_weights(at: &At<'_>) -> Result<Done> {
    let (kept, in_force) = told(at.registry.kept_weights(at.engine, &at.session).await)?;
    let mark = |is: bool| if is { "*" } else { " " };
    let mut lines = vec![format!("{} shipped  {}", mark(in_force.is_none()), Weights::default().version)];
    let mut json =
        vec![json!({ "number": null, "version": Weights::default().version, "in_force": in_force.is_none() })];
    for one in kept {
        let is = in_force == Some(one.number);
        let at = jiff::Timestamp::from_microsecond(one.at_us)?;
        lines.push(format!(
            "{} {:<7}  {}  {at:.0}, from {} records with some {:.0} pairs",
            mark(is),
            one.number,
            one.weights.version,
            one.records,
            one.matches
        ));
        json.push(json!({
            "number": one.number, "version": one.weights.version, "in_force": is, "at": at.to_string(), "by": one.by,
            "records": one.records, "matches": one.matches, "weights": one.weights,
        }));
    }
    Ok(Done { json, lines, success: true })
}

async fn partner_tokens(at: &At<'_>, with: &With, to: &Path) -> Result<Done> {
    let secret = with.secret()?;
    let partner = Partner { name: &with.partner, secret: secret.expose().as_bytes(), format: with.format() };
    let mut file = BufWriter::new(create(to)?);
    let written = at.registry.partner_tokens(at.engine, &at.session, &partner, |line| {
        file.write_all(line.as_bytes())?;
        file.write_all(b"\n")
    });
    let written = written.await.with_context(|| format!("cannot write {}", to.display()))?;
    file.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    Ok(Done {
        json: vec![serde_json::to_value(written)?],
        lines: vec![format!(
            "{} tokens of {} records in {}; of {} records too little is known",
            written.tokens,
            written.records - written.without_tokens,
            to.display(),
            written.without_tokens
        )],
        success: true,
    })
}

/// A new file that others on this machine cannot read.
fn create(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(|| format!("cannot create {}\nhint: name a file that is not there yet", path.display()))
}

async fn partner_match(at: &At<'_>, with: &With, path: &Path) -> Result<Done> {
    let secret = with.secret()?;
    let partner = Partner { name: &with.partner, secret: secret.expose().as_bytes(), format: with.format() };
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let shared = at.registry.partner_match(at.engine, &at.session, &partner, lines(BufReader::new(file))).await;
    let shared = shared.with_context(|| path.display().to_string())?;
    let mut lines = vec!["record,person,our_reference,their_reference,certain,rules".to_owned()];
    let mut json = Vec::with_capacity(shared.len());
    for pair in &shared {
        lines.push(format!(
            "{},{},{},{},{},{}",
            pair.record, pair.person, pair.our_reference, pair.their_reference, pair.certain, pair.rules
        ));
        json.push(serde_json::to_value(pair)?);
    }
    Ok(Done { json, lines, success: true })
}

/// Lines of bounded length.
fn lines(mut file: impl BufRead) -> impl Iterator<Item = std::io::Result<String>> {
    std::iter::from_fn(move || {
        let mut line = String::new();
        match file.by_ref().take(LINE_BYTES_MAX).read_line(&mut line) {
            Ok(0) => None,
            Ok(read) if read as u64 == LINE_BYTES_MAX => {
                Some(Err(std::io::Error::new(ErrorKind::InvalidData, "a line is longer than any of a partner's file")))
            }
            Ok(_) => Some(Ok(line.trim_end_matches(['\n', '\r']).to_owned())),
            Err(error) => Some(Err(error)),
        }
    })
}
