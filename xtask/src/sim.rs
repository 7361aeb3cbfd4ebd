//! `cargo xtask sim NAME`: tests that break things at random, with far more rounds than CI has time for.

use crate::{cargo, succeed};
use anyhow::{Context, Result};

const USAGE: &str = "\
usage: cargo xtask sim crash [--rounds N] [--seed S]
       cargo xtask sim dispatcher [--seeds N | --seed S]
       cargo xtask sim delivery [--kills N] [--writes N] [--rate N] [--seed S]
       cargo xtask sim gnu-health [--records N] [--kills N] [--rate N] [--seed S]
       cargo xtask sim pull [--patients N]
       cargo xtask sim sync [--histories N] [--seed S]";

/// A test, and its settings: flag, environment variable, and value when the flag is not given.
struct Sim {
    package: &'static str,
    test: &'static str,
    /// Which of its tests; none: all.
    filter: Option<&'static str>,
    /// What takes more than some minutes without optimisation is built with it.
    release: bool,
    settings: &'static [(&'static str, &'static str, Option<&'static str>)],
}

fn sim(name: &str) -> Option<Sim> {
    Some(match name {
        "crash" => Sim {
            package: "weir",
            test: "crash",
            filter: None,
            release: false,
            settings: &[("--rounds", "WEIR_CRASH_ROUNDS", Some("1000")), ("--seed", "WEIR_CRASH_SEED", None)],
        },
        "dispatcher" => Sim {
            package: "delivery",
            test: "simulation",
            filter: None,
            release: false,
            settings: &[("--seeds", "WEIR_SIM_SEEDS", Some("10000")), ("--seed", "WEIR_SIM_SEED", None)],
        },
        "delivery" => Sim {
            package: "weir",
            test: "delivery",
            filter: None,
            release: false,
            settings: &[
                ("--kills", "WEIR_DELIVERY_KILLS", Some("1000")),
                ("--writes", "WEIR_DELIVERY_WRITES", Some("100000")),
                ("--rate", "WEIR_DELIVERY_RATE", None),
                ("--seed", "WEIR_DELIVERY_SEED", None),
            ],
        },
        "gnu-health" => Sim {
            package: "weir",
            test: "gnu_health",
            filter: Some("--ignored"),
            release: false,
            settings: &[
                ("--records", "WEIR_GNU_HEALTH_RECORDS", Some("2000")),
                ("--kills", "WEIR_GNU_HEALTH_KILLS", Some("50")),
                ("--rate", "WEIR_GNU_HEALTH_RATE", None),
                ("--seed", "WEIR_GNU_HEALTH_SEED", None),
            ],
        },
        "pull" => Sim {
            package: "emr",
            test: "openemr",
            filter: Some("pull::everything_is_found"),
            release: true,
            settings: &[("--patients", "WEIR_PULL_PATIENTS", Some("50000"))],
        },
        "sync" => Sim {
            package: "emr",
            test: "sync",
            filter: Some("histor"),
            release: true,
            settings: &[("--histories", "WEIR_SYNC_HISTORIES", Some("10000")), ("--seed", "WEIR_SYNC_SEED", None)],
        },
        _ => return None,
    })
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let name = arguments.first().context(USAGE)?;
    let sim = sim(name).context(USAGE)?;
    let mut command = cargo(&["test", "--locked", "--package", sim.package, "--test", sim.test]);
    command.args(sim.release.then_some("--release")).arg("--").arg("--nocapture").args(sim.filter);
    command.envs(sim.settings.iter().filter_map(|(_, variable, default)| Some((*variable, (*default)?))));
    let mut rest = arguments[1..].iter();
    while let Some(flag) = rest.next() {
        let value = rest.next().with_context(|| format!("{flag} needs a number"))?;
        let _: u64 = value.parse().with_context(|| format!("{flag} needs a number"))?;
        let setting = sim.settings.iter().find(|(known, ..)| known == flag);
        let (_, variable, _) = setting.with_context(|| format!("unknown flag {flag}\n{USAGE}"))?;
        command.env(variable, value);
    }
    succeed(&format!("the simulation {name}"), &mut command)
}
