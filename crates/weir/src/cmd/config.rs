//! `weir config`

use anyhow::Result;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Print a file with every key, its default and its meaning.
    Generate,
    /// Read a file as `weir serve` would and say what is wrong with it.
    Check { file: PathBuf },
}

pub(crate) fn run(action: &Action) -> Result<ExitCode> {
    match action {
        Action::Generate => {
            print!("{}", crate::config::TEMPLATE);
            println!();
            // Not in force until somebody fills it in.
            for template in [crate::config::destination::TEMPLATE, crate::config::event_sink::TEMPLATE] {
                for line in template.lines() {
                    println!("{}{line}", if line.starts_with('#') { "" } else { "#" });
                }
                println!();
            }
        }
        Action::Check { file } => {
            crate::config::load(Some(file))?;
            println!("{} is fine", file.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
