//! The command line.

use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const USAGE: &str = "\
cargo xtask bench NAME.. [options]

  NAME               crud, read, create, outbox, load, search, idle, destinations, backlog,
                     identity, vaccines, tracker, or all
  --quick            about two seconds each on small data: proves that the drivers work, measures nothing
  --json             the report as JSON
  --seconds N        how long each measurement lasts (10)
  --connections N    connections of the search mix (32)
  --copies N         copies of the data in the large store (11: 430,496 resources)
  --intents N        changes of the backlog (10,000,000: 6 GB of disk and some minutes)
  --persons N        records of persons for tracker (100,000)
  --vaccinations N   of the tracker's burst (50,000); 0 leaves it out
  --csv FILE         records of persons for identity, labelled like vaxid_5k.csv or FEBRL (both of the shared data); may be
                     given several times for one set
  --no-households    in that set nobody shares an address with relatives
  --dir DIR          where the stores are made (the system's temporary directory)
  --weir FILE        the binary to measure (cargo xtask bench builds one)

Settings of the server can be given in the environment: WEIR__FHIR__VALIDATION=structure";

/// Every benchmark, in the order in which `all` runs them.
const NAMES: [&str; 12] = [
    "crud",
    "read",
    "create",
    "outbox",
    "load",
    "search",
    "idle",
    "destinations",
    "backlog",
    "identity",
    "vaccines",
    "tracker",
];

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) names: Vec<String>,
    pub(crate) quick: bool,
    pub(crate) json: bool,
    /// Length of one measurement.
    pub(crate) time: Duration,
    /// Connections of the search mix.
    pub(crate) connections: usize,
    /// Copies of the data in the large store.
    pub(crate) copies: u32,
    /// Changes of the backlog.
    pub(crate) intents: u64,
    /// Records of persons of the tracker.
    pub(crate) persons: usize,
    /// Vaccinations of its burst.
    pub(crate) vaccinations: usize,
    /// Files with labelled records of persons, one set; without them, the sets of the shared data.
    pub(crate) csv: Vec<PathBuf>,
    /// Whether people of that set share households.
    pub(crate) households: bool,
    pub(crate) dir: PathBuf,
    pub(crate) weir: PathBuf,
    /// The shared test data.
    pub(crate) data: PathBuf,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Options> {
        let shared = std::env::var_os("WEIR_SHARED_DATA").map(PathBuf::from);
        let mut options = Options {
            names: Vec::new(),
            quick: arguments.iter().any(|argument| argument == "--quick"),
            json: false,
            time: Duration::from_secs(10),
            connections: 32,
            copies: 11,
            intents: 10_000_000,
            persons: 100_000,
            vaccinations: 50_000,
            csv: Vec::new(),
            households: true,
            dir: std::env::temp_dir(),
            weir: PathBuf::new(),
            data: shared.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"))),
        };
        if options.quick {
            (options.time, options.copies, options.intents) = (Duration::from_secs(1), 3, 20_000);
            (options.persons, options.vaccinations) = (1_000, 1_000);
        }
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            options.argument(argument, &mut rest)?;
        }
        ensure!(!options.names.is_empty(), "name a benchmark");
        ensure!(!options.weir.as_os_str().is_empty(), "--weir says which binary to measure");
        Ok(options)
    }

    fn argument(&mut self, argument: &str, rest: &mut std::slice::Iter<'_, String>) -> Result<()> {
        let mut value = || rest.next().with_context(|| format!("{argument} needs a value"));
        match argument {
            "--quick" => {}
            "--json" => self.json = true,
            "--seconds" => self.time = Duration::from_secs(number(value()?)?.into()),
            "--connections" => self.connections = number(value()?)? as usize,
            "--copies" => self.copies = number(value()?)?,
            "--intents" => self.intents = number(value()?)?.max(1_000).into(),
            "--persons" => self.persons = number(value()?)? as usize,
            "--vaccinations" => self.vaccinations = number_or_none(value()?)? as usize,
            "--csv" => self.csv.push(value()?.into()),
            "--no-households" => self.households = false,
            "--dir" => self.dir = value()?.into(),
            "--weir" => self.weir = value()?.into(),
            "all" => self.names.extend(NAMES.map(str::to_owned)),
            name if NAMES.contains(&name) => self.names.push(name.to_owned()),
            _ => bail!("unknown argument {argument}"),
        }
        Ok(())
    }
}

fn number_or_none(text: &str) -> Result<u32> {
    text.parse().with_context(|| format!("{text} is not a number"))
}

/// A number of at least one.
fn number(text: &str) -> Result<u32> {
    let number = number_or_none(text)?;
    ensure!(number > 0, "0 is too few");
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn reads_names_and_values() {
        let options = parse("all --weir w --seconds 3").expect("valid");
        assert_eq!(options.names, NAMES);
        assert_eq!(options.time, Duration::from_secs(3));
        assert_eq!(parse("read --quick --copies 2 --weir w").expect("valid").copies, 2);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for line in ["--weir w", "read", "raed --weir w", "read --weir w --seconds", "read --weir w --copies 0"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
