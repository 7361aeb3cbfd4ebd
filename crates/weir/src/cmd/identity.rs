//! `weir tracker`, where it is about who is who.

use super::absolute;
use crate::config::Config;
use crate::task::Task;
use crate::task::identity::{Identity, What, With};
use crate::tracking;
use anyhow::{Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Weights {
    /// Learn weights from the tenant's own records and show what they would change. Nothing is changed.
    ///
    /// Only tokens are looked at. Others read and write meanwhile; it takes a core and as much memory as the records have.
    Estimate {
        /// Keep what was learnt, to be put in force by its number.
        #[arg(long)]
        save: bool,
        /// Pairs of each kind of change that are shown, at most 100.
        #[arg(long, value_name = "N", default_value_t = 3)]
        examples: usize,
        #[arg(long, default_value = "default")]
        tenant: String,
    },
    /// Put weights in force: a number of `list`, or `shipped`.
    ///
    /// Nobody is linked or parted by it. Pairs that would be linked or asked about now, and links of matching that would not
    /// even be asked about, go to the review queue.
    Apply {
        which: String,
        #[arg(long, default_value = "default")]
        tenant: String,
    },
    /// The weights that are kept, with those in force marked.
    List {
        #[arg(long, default_value = "default")]
        tenant: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For a partner who runs weir: found in spite of errors too.
    Weir,
    /// Open Link Token's hashed tokens T1 to T5, as CSV.
    Olt,
}

#[derive(Debug, Args)]
pub(crate) struct Partner {
    /// The partner's name, of a-z, 0-9 and -; it is in the audit trail.
    #[arg(long, value_name = "NAME")]
    partner: String,
    /// File with the secret that both sides have; without it NAME.key in exchange.key_dir.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    #[arg(long, value_enum, default_value = "weir")]
    format: Format,
    #[arg(long, default_value = "default")]
    tenant: String,
}

impl Weights {
    pub(crate) fn task(&self, config: &Config) -> Result<Task> {
        let (tenant, what) = match self {
            Weights::Estimate { save, examples, tenant } => {
                (tenant, What::EstimateWeights { save: *save, examples: *examples })
            }
            Weights::List { tenant } => (tenant, What::ListWeights),
            Weights::Apply { which, tenant } => {
                let number = match which.as_str() {
                    registry::SHIPPED => None,
                    other => match other.parse() {
                        Ok(number) => Some(number),
                        Err(_) => bail!(
                            "{other:?} is neither a number nor {:?}\nhint: weir tracker weights list",
                            registry::SHIPPED
                        ),
                    },
                };
                (tenant, What::ApplyWeights { number })
            }
        };
        task(config, tenant, what)
    }
}

impl Partner {
    fn with(&self, config: &Config) -> Result<With> {
        let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ensure!(
            !self.partner.is_empty() && self.partner.bytes().all(valid),
            "a partner's name must be of a-z, 0-9 and -"
        );
        let dir = &config.exchange.key_dir;
        let key_file = match &self.key_file {
            Some(file) => file.clone(),
            None if dir.as_os_str().is_empty() => {
                bail!(
                    "no key for partner {}\nhint: name its file with --key-file, or set exchange.key_dir",
                    self.partner
                )
            }
            None => dir.join(format!("{}.key", self.partner)),
        };
        Ok(With {
            partner: self.partner.clone(),
            key_file: absolute(&key_file)?,
            open_link_token: matches!(self.format, Format::Olt),
        })
    }

    pub(crate) fn tokens(&self, config: &Config, to: &std::path::Path) -> Result<Task> {
        task(config, &self.tenant, What::PartnerTokens { with: self.with(config)?, to: absolute(to)? })
    }

    pub(crate) fn meet(&self, config: &Config, file: &std::path::Path) -> Result<Task> {
        task(config, &self.tenant, What::PartnerMatch { with: self.with(config)?, file: absolute(file)? })
    }
}

pub(crate) fn task(config: &Config, tenant: &str, what: What) -> Result<Task> {
    ensure!(
        tracking::tenants(config).contains(&tenant),
        "there is no tenant {tenant}\nhint: store.tenants has their names"
    );
    Ok(Task::Identity(Identity { tenant: tenant.to_owned(), what }))
}
