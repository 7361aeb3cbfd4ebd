//! `weir tracker`

use super::absolute;
use super::identity::{Partner, Weights, task};
use crate::config::Config;
use crate::task::Task;
use crate::task::identity::What;
use crate::task::network::Network;
use crate::task::tracker::{Format, Tracker};
use anyhow::Result;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Write events, persons, standings and counted doses as gzipped NDJSON or Parquet, for Spark and its like.
    ///
    /// Events and doses are in a partition for each day. _counters.json has the counts as weir keeps them, _manifest.json says as of
    /// when all of it holds. There are no names in it, but it is about persons all the same. Also while the server runs: writes
    /// about persons wait until the rows are read.
    Export {
        /// A new or empty directory. It is there when it is whole.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        #[arg(long, default_value = "default")]
        tenant: String,
        /// Only events after this number, such as the last_event of an earlier export. The other tables are always whole.
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        since_no: u64,
        #[arg(long, value_enum, default_value_t = Format::Ndjson)]
        format: Format,
    },
    /// Count the persons of all tenants together: who is known to several is one, with all doses.
    ///
    /// Two persons of different tenants are one when telephone, given name and birth date agree, or street, postal code, given name
    /// and birth date, or an identifier, birth date and both names. It reads every Patient and is of about this moment; each
    /// tenant's audit trail notes it. Counts below 11 are hidden.
    Network {
        /// What counts as vaccinated: the id of a programme.
        #[arg(long, value_name = "ID", default_value = "covid-19-primary")]
        programme: String,
        /// Dimensions: region, sex, age, birth_month, birth_year of people; vaccine, clinic, lot, day of doses.
        #[arg(long, value_name = "DIMENSION", value_delimiter = ',')]
        by: Vec<String>,
        /// Shares of everybody, by a census table that is for all tenants.
        #[arg(long)]
        census: bool,
    },
    /// Change the secret key under which persons are matched.
    ///
    /// Every record is encoded under a new key while the old one serves; then the old key and what was made by it are deleted.
    /// Who is who, reviews and counts stay as they are. Also while the server runs. What was interrupted is finished by the next
    /// call or by the server when it starts.
    RotateKey {
        #[arg(long, default_value = "default")]
        tenant: String,
    },
    /// How much agreement counts: learn it from the tenant's own records, put it in force, take it back.
    Weights {
        #[command(subcommand)]
        action: Weights,
    },
    /// Write tokens by which a partner finds whom both know, and learns nothing of others.
    PartnerTokens {
        /// A new file.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        #[command(flatten)]
        partner: Partner,
    },
    /// Print as CSV which of our records meet which of a partner's, by ids only.
    PartnerMatch {
        /// What the partner has written, with the same key and format.
        file: PathBuf,
        #[command(flatten)]
        partner: Partner,
    },
}

pub(crate) fn run(config: &Config, action: &Action, json: bool) -> Result<ExitCode> {
    let task = match action {
        Action::Export { to, tenant, since_no, format } => {
            let (tenant, since_no, format) = (tenant.clone(), *since_no, *format);
            Task::Tracker(Tracker { to: absolute(to)?, tenant, since_no, format })
        }
        Action::Network { programme, by, census } => {
            Task::Network(Network { programme: programme.clone(), by: by.clone(), census: *census })
        }
        Action::RotateKey { tenant } => task(config, tenant, What::RotateKey)?,
        Action::Weights { action } => action.task(config)?,
        Action::PartnerTokens { to, partner } => partner.tokens(config, to)?,
        Action::PartnerMatch { file, partner } => partner.meet(config, file)?,
    };
    task.perform(config, json)
}
