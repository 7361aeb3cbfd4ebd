//! `cargo xtask bench NAME`: drives a released `weir` over HTTP from the same machine and compares what it reaches with its targets.
//!
//! One file per benchmark: `crud`, `read`, `create`, `outbox`, `load`, `search`, `idle`, `destinations`, `backlog`, `identity`, `vaccines`, `tracker`. The rest is what they
//! share: `http` and `drive` make the requests, `server` runs the binary, `synthea` and `stores` make the data, `latency` and `report` turn samples into a table.

mod backlog;
mod baseline;
mod callers;
mod create;
mod crud;
mod destinations;
mod drive;
mod flood;
mod http;
mod identity;
mod idle;
mod latency;
mod linkage;
mod load;
mod mix;
mod options;
mod outbox;
mod payload;
mod persons;
mod random;
mod read;
mod report;
mod search;
mod server;
mod sink;
mod stores;
mod synthea;
mod tracker;
mod vaccines;

use anyhow::Result;
use options::Options;
use report::Report;
use std::process::ExitCode;
use stores::Stores;

/// The one of `weir`: what runs in the driver itself is what the binary does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|name| name == baseline::ECHO) {
        return finish(baseline::serve_echo().map(|()| true));
    }
    match Options::parse(&arguments) {
        Ok(options) => finish(run(&options)),
        Err(error) => {
            eprintln!("error: {error:#}\n\n{}", options::USAGE);
            ExitCode::from(2)
        }
    }
}

fn finish(result: Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for and prints the report; `false` when a request failed.
fn run(options: &Options) -> Result<bool> {
    let mut stores = Stores::new(options)?;
    let mut report = Report::new(options);
    baseline::run(options, &stores, &mut report)?;
    for name in &options.names {
        eprintln!("{name} ...");
        match name.as_str() {
            "crud" => crud::run(options, &mut stores, &mut report)?,
            "read" => read::run(options, &mut stores, &mut report)?,
            "create" => create::run(options, &mut stores, &mut report)?,
            "load" => load::run(options, &mut stores, &mut report)?,
            "outbox" => outbox::run(options, &mut stores, &mut report)?,
            "destinations" => destinations::run(options, &mut stores, &mut report)?,
            "backlog" => backlog::run(options, &mut stores, &mut report)?,
            "identity" => identity::run(options, &mut stores, &mut report)?,
            "vaccines" => vaccines::run(options, &mut report)?,
            "tracker" => tracker::run(options, &mut stores, &mut report)?,
            "search" => search::run(options, &mut stores, &mut report)?,
            _ => idle::run(options, &mut stores, &mut report)?,
        }
    }
    if options.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.text());
    }
    Ok(report.failures() == 0)
}
