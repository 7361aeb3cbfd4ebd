//! The `weir` command.

mod alerting;
mod client;
mod cmd;
mod config;
mod control;
mod delivering;
mod demo;
mod door;
mod input;
mod progress;
mod publishing;
mod task;
mod tracking;
mod wiring;

use clap::{CommandFactory, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A FHIR R4 server in one binary.
///
/// Exit codes: 0 done, 1 failed or some entries were refused, 2 wrong arguments.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    /// Configuration file (TOML); without it every key has its default. See `weir config generate`.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print results as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the FHIR API.
    Serve,
    /// Serve generated patients on a store that is thrown away at the end.
    Demo(cmd::demo::Arguments),
    /// Load Bundles, NDJSON, directories and archives, into the data directory or a server.
    Load(cmd::load::Arguments),
    /// Write all current resources as NDJSON, one file per type.
    Export(cmd::export::Arguments),
    /// Copy the whole store, consistently, to a new directory; a running server goes on serving.
    Backup {
        /// A new directory.
        to: PathBuf,
    },
    /// Make a new data directory from a backup.
    Restore {
        /// What `weir backup` made.
        from: PathBuf,
        /// A new data directory.
        to: PathBuf,
    },
    /// Check everything that is stored; a running server checks itself.
    Doctor {
        /// Throw the search index away and make it again from the log.
        #[arg(long)]
        rebuild: bool,
        /// Re-encode old bodies, merge the index and give free space back.
        #[arg(long)]
        compact: bool,
    },
    /// See and steer what the running server delivers to other systems.
    Outbox(cmd::outbox::Arguments),
    /// The vaccine tracker: take its numbers elsewhere, and see to how persons are recognised.
    Tracker {
        #[command(subcommand)]
        action: cmd::tracker::Action,
    },
    /// Enrol at an EMR.
    Emr {
        #[command(subcommand)]
        action: cmd::emr::Action,
    },
    /// Print or check a configuration.
    Config {
        #[command(subcommand)]
        action: cmd::config::Action,
    },
    /// Print the OpenAPI document.
    Openapi,
    /// Print the version.
    Version,
    /// Print the generated part of a page in docs/reference.
    #[command(hide = true)]
    Reference { page: cmd::reference::Page },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Config { action } => return cmd::config::run(action),
        Command::Reference { page } => return cmd::reference::run(*page, Cli::command()),
        _ => {}
    }
    if let Command::Emr { action } = &cli.command {
        return cmd::emr::run(action);
    }
    let mut config = config::load(cli.config.as_deref())?;
    if matches!(cli.command, Command::Demo(_)) && !config.log.is_level_given {
        // A line for each request would hide what a demo has to say.
        config.log.level = "warn".into();
    }
    wiring::log(&config);
    match &cli.command {
        Command::Serve => cmd::serve::run(&config),
        Command::Demo(arguments) => cmd::demo::run(&config, arguments),
        Command::Load(arguments) => cmd::load::run(&config, arguments, cli.json),
        Command::Export(arguments) => cmd::export::run(&config, arguments, cli.json),
        Command::Backup { to } => cmd::store::backup(&config, to, cli.json),
        Command::Restore { from, to } => cmd::store::restore(from, to, cli.json),
        Command::Doctor { rebuild, compact } => cmd::store::doctor(&config, *rebuild, *compact, cli.json),
        Command::Tracker { action } => cmd::tracker::run(&config, action, cli.json),
        Command::Outbox(arguments) => cmd::outbox::run(&config, arguments, cli.json),
        Command::Openapi => {
            println!("{}", api::openapi());
            Ok(ExitCode::SUCCESS)
        }
        Command::Version => {
            println!("weir {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
        Command::Config { .. } | Command::Emr { .. } | Command::Reference { .. } => {
            unreachable!("handled before the configuration is read")
        }
    }
}
