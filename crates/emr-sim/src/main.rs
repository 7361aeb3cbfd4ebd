//! `emr-sim`: the simulator as a program.

use clap::Parser;
use emr_sim::{Faults, Options, Profile, Sim, Tls, verify_file};
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// A simulated EMR that is as fragile as you like
#[derive(Parser)]
#[command(name = "emr-sim", version)]
struct Arguments {
    /// openemr-7.0.2, openemr-8, openemr-writes, strict, fragile or fhir-r4
    #[arg(long, default_value = "openemr-8")]
    profile: Profile,
    /// Where the EMR listens
    #[arg(long, default_value = "127.0.0.1:9300")]
    listen: SocketAddr,
    /// Another port for the page and the control API, which stays while the EMR is down
    #[arg(long)]
    control: Option<SocketAddr>,
    /// Arrivals per second above which the fragile profile falls over
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Seconds for which the port refuses after a fall
    #[arg(long, default_value_t = 10)]
    outage: u64,
    /// NAME=NUMBER, such as commit_then_drop=0.02; may be repeated
    #[arg(long = "fault")]
    faults: Vec<String>,
    /// Seed of faults, ids and tokens
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// File to which the arrival log is appended
    #[arg(long)]
    log: Option<PathBuf>,
    /// Let everyone in without a token
    #[arg(long)]
    no_oauth: bool,
    /// Zone in which an OpenEMR keeps its time
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// Certificate of the EMR's port, a PEM file
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key, a PEM file
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Check the chain of an arrival log and end
    #[arg(long, value_name = "FILE")]
    verify: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    if let Some(file) = arguments.verify {
        println!("{} lines, the chain is whole", verify_file(&file)?.lines);
        return Ok(());
    }
    let faults = arguments.faults.iter().try_fold(Faults::default(), |faults, text| faults.with(text))?;
    let tls = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(certificate), Some(key)) => {
            Some(Tls { certificate_pem: std::fs::read(certificate)?, key_pem: std::fs::read(key)? })
        }
        _ => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let sim = Sim::start(Options {
        profile: arguments.profile,
        listen: arguments.listen,
        control: arguments.control,
        fragile_rate_per_s: arguments.rate,
        outage: Duration::from_secs(arguments.outage),
        faults,
        seed: arguments.seed,
        log_file: arguments.log,
        oauth_required: !arguments.no_oauth,
        zone: arguments.zone,
        tls,
    })
    .await?;
    println!("{} at {scheme}://{}", arguments.profile, sim.address());
    match sim.control_address() {
        Some(address) => println!("page at http://{address}/sim/"),
        None => println!("page at {scheme}://{}/sim/", sim.address()),
    }
    tokio::signal::ctrl_c().await?;
    sim.stop().await;
    Ok(())
}
