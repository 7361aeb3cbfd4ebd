//! `[[destination]]`: where resources are delivered to, and how fast.

use super::line_of;
use crate::cmd::emr::READER_TYPES;
use anyhow::{Context, Result, bail, ensure};
use delivery::{Limit, Rule, Rules, Spec, Window, Windows};
use emr::sync::Tombstone;
use fhir::defs::{TypeId, r4};
use fhir::fhirpath::Expression;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// All keys with their defaults and meanings.
pub(crate) const TEMPLATE: &str = include_str!("destination.toml");

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Destination {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) url: String,
    pub(crate) token_file: PathBuf,
    pub(crate) mode: String,
    pub(crate) identifier_system: String,
    pub(crate) tenant: String,
    pub(crate) types: Vec<String>,
    pub(crate) first: Vec<String>,
    pub(crate) concept_maps: Vec<String>,
    pub(crate) filter: String,
    pub(crate) start: String,
    pub(crate) per_second: u32,
    pub(crate) per_minute: u32,
    pub(crate) per_day: u32,
    pub(crate) windows: Vec<String>,
    pub(crate) concurrency: usize,
    pub(crate) timeout_s: u64,
    pub(crate) quiesce_s: u64,
    pub(crate) deadline_days: u64,
    pub(crate) openemr: OpenEmr,
    pub(crate) gnu_health: GnuHealth,
    pub(crate) sync: Sync,
}

/// `[destination.sync]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sync {
    pub(crate) enabled: bool,
    pub(crate) every_s: u64,
    pub(crate) sweep_at: String,
    pub(crate) types: Vec<String>,
    pub(crate) tombstone: String,
}

impl Sync {
    /// What comes from there. Those that a backend service is registered to read.
    pub(crate) fn types(&self) -> Result<Vec<TypeId>> {
        let mut found = types(&self.types).context("sync.types")?;
        for ty in &found {
            let name = r4().ty(*ty).name;
            ensure!(READER_TYPES.contains(&name), "sync.types: {name} is not among the types that enrolment asks for");
        }
        found.extend(r4().resource_by_name("Patient").filter(|patient| !found.contains(patient)));
        Ok(found)
    }

    pub(crate) fn sweep_at(&self) -> Result<Time> {
        Time::strptime("%H:%M", &self.sweep_at).context("sync.sweep_at must be a time such as 02:00")
    }

    pub(crate) fn tombstone(&self) -> Result<Tombstone> {
        Ok(match self.tombstone.as_str() {
            "inactive" => Tombstone::Inactive,
            "delete" => Tombstone::Delete,
            "keep" => Tombstone::Keep,
            _ => bail!("sync.tombstone must be inactive, delete or keep"),
        })
    }
}

/// `[destination.openemr]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenEmr {
    pub(crate) site: String,
    pub(crate) client_id: String,
    pub(crate) key_file: PathBuf,
    pub(crate) writer_client_id: String,
    pub(crate) writer_secret_file: PathBuf,
    pub(crate) refresh_token_file: PathBuf,
    pub(crate) spare_client_id: String,
    pub(crate) spare_secret_file: PathBuf,
    pub(crate) spare_refresh_token_file: PathBuf,
    pub(crate) zone: String,
    pub(crate) facility: String,
    pub(crate) billing_facility: String,
    pub(crate) category: String,
    pub(crate) document_path: String,
    pub(crate) staff: String,
    pub(crate) sender: String,
}

/// `[destination.gnu_health]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GnuHealth {
    pub(crate) database: String,
    pub(crate) login: String,
    pub(crate) password_file: PathBuf,
    pub(crate) country: String,
}

/// Reads the tables, each over the defaults. `name` and `text` are those of the file, for errors.
pub(crate) fn parse(name: &str, text: &str, tables: Vec<toml::Value>) -> Result<Vec<Destination>> {
    let template: toml::Table = TEMPLATE.parse().context("the built-in destination is TOML")?;
    let defaults = template["destination"][0].as_table().cloned().unwrap_or_default();
    let mut destinations: Vec<Destination> = Vec::new();
    for table in tables {
        let toml::Value::Table(table) = table else { bail!("{name}: write [[destination]]") };
        let mut merged = defaults.clone();
        overlay((name, text), "destination", &mut merged, table)?;
        let destination: Destination = merged.try_into().context("destination")?;
        destination.spec(0).with_context(|| format!("{name}: destination {}", destination.name))?;
        let twice =
            destinations.iter().any(|other| other.name == destination.name && other.tenant == destination.tenant);
        ensure!(!twice, "{name}: there are two destinations {}", destination.name);
        destinations.push(destination);
    }
    Ok(destinations)
}

/// Puts the values of `table` in place of the defaults; `(name, text)` are those of the file.
pub(super) fn overlay(file: (&str, &str), path: &str, defaults: &mut toml::Table, table: toml::Table) -> Result<()> {
    let (name, text) = file;
    for (key, value) in table {
        let Some(old) = defaults.get_mut(&key) else {
            let hint = fhir::nearest::hint(&key, defaults.keys().map(String::as_str));
            bail!("{name}:{}: unknown key {path}.{key}{hint}", line_of(text, &key));
        };
        match (old, value) {
            (toml::Value::Table(old), toml::Value::Table(value)) => {
                overlay(file, &format!("{path}.{key}"), old, value)?
            }
            (old, value) if std::mem::discriminant(old) == std::mem::discriminant(&value) => *old = value,
            (old, _) => bail!("{name}:{}: {path}.{key} must be a {}", line_of(text, &key), old.type_str()),
        }
    }
    Ok(())
}

impl Destination {
    /// What the dispatcher needs to know. `last_seq`: the newest change, from which a `start = "new"` goes on.
    pub(crate) fn spec(&self, last_seq: u64) -> Result<Spec> {
        let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ensure!(!self.name.is_empty() && self.name.bytes().all(valid), "name must be of a-z, 0-9 and -");
        let no_id = self.concept_maps.iter().find(|id| !fhir::index::is_id(id));
        ensure!(no_id.is_none(), "concept_maps: {} is not the id of a ConceptMap", no_id.map_or("", String::as_str));
        let known = matches!(self.kind.as_str(), "fhir" | "openemr" | "gnu-health");
        ensure!(known, "kind must be fhir, openemr or gnu-health");
        self.mode()?;
        self.zone()?;
        ensure!(!self.sync.enabled || self.kind == "openemr", "sync needs kind = \"openemr\"");
        ensure!(self.sync.every_s > 0, "sync.every_s must be 1 or more");
        self.sync.types()?;
        self.sync.sweep_at()?;
        self.sync.tombstone()?;
        let is_http = self.url.starts_with("http://") || self.url.starts_with("https://");
        ensure!(is_http, "url must begin with http:// or https://");
        let limits = self.limits();
        ensure!(
            !limits.is_empty(),
            "set per_second, per_minute or per_day: an EMR without a limit is not what weir is for"
        );
        ensure!((1..=256).contains(&self.concurrency), "concurrency must be 1 to 256");
        let mut spec = Spec::new(&self.name, self.rules()?, limits);
        spec.identifier_system.clone_from(&self.identifier_system);
        spec.windows = Windows(self.windows.iter().map(|text| window(text)).collect::<Result<_>>()?);
        spec.concurrency = self.concurrency;
        spec.deadline = Duration::from_secs(self.deadline_days * 86_400);
        spec.from_seq = match self.start.as_str() {
            "all" => 0,
            "new" => last_seq,
            _ => bail!("start must be all or new"),
        };
        Ok(spec)
    }

    pub(crate) fn mode(&self) -> Result<emr::Mode> {
        match self.mode.as_str() {
            "put" => Ok(emr::Mode::Put),
            "conditional" => Ok(emr::Mode::Conditional),
            "search" => Ok(emr::Mode::Search),
            _ => bail!("mode must be put, conditional or search"),
        }
    }

    /// The wall clock of an OpenEMR.
    pub(crate) fn zone(&self) -> Result<TimeZone> {
        let zone = &self.openemr.zone;
        TimeZone::get(zone).with_context(|| format!("openemr.zone: unknown time zone {zone}"))
    }

    fn limits(&self) -> Vec<Limit> {
        let windows = [(self.per_second, 1), (self.per_minute, 60), (self.per_day, 86_400)];
        let limits = windows.into_iter().filter(|(count, _)| *count > 0);
        limits.map(|(count, seconds)| Limit { count, window_us: seconds * 1_000_000 }).collect()
    }

    fn rules(&self) -> Result<Rules> {
        let filter = || match self.filter.is_empty() {
            true => Ok(None),
            false => Expression::parse(&self.filter).map(Some).map_err(|error| anyhow::anyhow!("filter: {error}")),
        };
        let all = types(&self.types)?;
        let first = types(&self.first)?;
        let first: Vec<TypeId> = first.into_iter().filter(|ty| all.contains(ty)).collect();
        Ok(Rules(vec![
            Rule { types: first, filter: filter()?, priority: 1 },
            Rule { types: all, filter: filter()?, priority: delivery::PRIORITY },
        ]))
    }
}

fn types(names: &[String]) -> Result<Vec<TypeId>> {
    let one = |name: &String| {
        r4().resource_by_name(name).with_context(|| {
            let hint = fhir::nearest::hint(name, r4().resources().map(|ty| r4().ty(ty).name));
            format!("unknown resource type {name}{hint}")
        })
    };
    names.iter().map(one).collect()
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// `[DAYS] HH:MM-HH:MM ZONE [max N]`; days are `mon-fri`, `sat`, `mon,wed`.
fn window(text: &str) -> Result<Window> {
    let wrong = || format!("window \"{text}\"\nhint: such as \"mon-fri 22:00-05:00 Europe/Berlin\"");
    let mut words: Vec<&str> = text.split_whitespace().collect();
    let quota = match words.as_slice() {
        [.., "max", count] => Some(count.parse::<u32>().with_context(wrong)?),
        _ => None,
    };
    if quota.is_some() {
        words.truncate(words.len() - 2);
    }
    let (days, hours, zone) = match words.as_slice() {
        [days, hours, zone] => (days_of(days).with_context(wrong)?, *hours, *zone),
        [hours, zone] => ([true; 7], *hours, *zone),
        _ => bail!(wrong()),
    };
    let (from, until) = hours.split_once('-').with_context(wrong)?;
    let time = |text: &str| -> Result<Time> {
        // A day may end at 24:00.
        let text = if text == "24:00" { "00:00" } else { text };
        Time::strptime("%H:%M", text).with_context(wrong)
    };
    let zone = TimeZone::get(zone).with_context(|| format!("unknown time zone {zone} in window \"{text}\""))?;
    Ok(Window { days, from: time(from)?, until: time(until)?, zone, quota })
}

fn days_of(text: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    let day = |name: &str| DAYS.iter().position(|day| *day == name);
    for part in text.to_ascii_lowercase().split(',') {
        let (from, until) = part.split_once('-').unwrap_or((part, part));
        let (from, until) = (day(from)?, day(until)?);
        let mut at = from;
        loop {
            days[at] = true;
            if at == until {
                break;
            }
            at = (at + 1) % 7;
        }
    }
    Some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Destination>> {
        let table: toml::Table = text.parse().unwrap();
        parse("weir.toml", text, table["destination"].as_array().unwrap().clone())
    }

    fn error(text: &str) -> String {
        let head = "[[destination]]\nname = \"emr\"\nurl = \"http://emr/fhir\"\n";
        format!("{:#}", read(&format!("{head}{text}")).unwrap_err())
    }

    #[test]
    fn defaults_are_the_template() {
        let read = read(
            "[[destination]]\nname = \"emr\"\nurl = \"http://emr/fhir\"\nwindows = [\"sat,sun 00:00-24:00 UTC max 10\"]\n",
        );
        let destination = &read.unwrap()[0];
        let spec = destination.spec(7).unwrap();
        assert_eq!((spec.limits.len(), spec.from_seq, spec.concurrency), (1, 0, 8));
        let window = &spec.windows.0[0];
        assert_eq!((window.days, window.quota), ([false, false, false, false, false, true, true], Some(10)));
        assert_eq!(window.from, window.until);
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(
            error("per_secnd = 1\n"),
            "weir.toml:4: unknown key destination.per_secnd (did you mean per_second?)"
        );
        assert_eq!(error("per_second = \"1\"\n"), "weir.toml:4: destination.per_second must be a integer");
        for (text, part) in [
            ("per_second = 0\n", "set per_second"),
            ("types = [\"Patiant\"]\n", "unknown resource type Patiant (did you mean Patient?)"),
            ("windows = [\"22:00 UTC\"]\n", "hint: such as"),
            ("windows = [\"22:00-05:00 Mars\"]\n", "unknown time zone Mars"),
            ("filter = \"a =\"\n", "filter: "),
            ("mode = \"post\"\n", "mode must be"),
            ("kind = \"tryton\"\n", "kind must be fhir, openemr or gnu-health"),
            ("start = \"soon\"\n", "start must be"),
            (
                "[destination.openemr]\nsiet = \"x\"\n",
                "weir.toml:5: unknown key destination.openemr.siet (did you mean site?)",
            ),
            ("[destination.openemr]\nzone = \"Mars\"\n", "unknown time zone Mars"),
            ("[destination.sync]\nenabled = true\n", "sync needs kind"),
            ("[destination.sync]\nsweep_at = \"2 am\"\n", "sync.sweep_at must be"),
            ("[destination.sync]\ntypes = [\"Claim\"]\n", "Claim is not among"),
            ("[destination.sync]\ntombstone = \"rip\"\n", "sync.tombstone must be"),
            ("[[destination]]\nname = \"emr\"\nurl = \"http://x\"\n", "two destinations emr"),
        ] {
            assert!(error(text).contains(part), "{text}: {}", error(text));
        }
    }
}
