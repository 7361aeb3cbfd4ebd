//! Everything that `/tracker` shows of a programme, counted at one moment.

use super::refused::InPage;
use super::{Tracker, locked, of_tenant, say};
use engine::Session;
use jiff::civil::Date;
use registry::{AGE_BANDS, CensusUsed, Definition, Denominator, Group, Kind, People, StatsQuery};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Numbers that are kept.
pub(super) struct Counted {
    /// What they depend on: the registry's changes, and the day.
    key: (u64, String),
    at: Instant,
    numbers: Arc<Numbers>,
}

/// Counts by value, the largest first.
pub(super) type Counts = Vec<(String, u64)>;

/// See the module documentation.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    pub(super) definition: Definition,
    pub(super) today: Date,
    /// When they were counted, in microseconds since 1970.
    pub(super) at_us: i64,
    pub(super) denominator: String,
    /// The table that people were put against, when that was asked for.
    pub(super) census: Option<CensusUsed>,
    pub(super) people: People,
    pub(super) ages: Vec<Group>,
    pub(super) regions: Vec<Group>,
    pub(super) sexes: Vec<Group>,
    /// How many reached a first dose, full, a booster on a day.
    pub(super) milestones: BTreeMap<Date, [u64; 3]>,
    /// Doses by the day they were given.
    pub(super) given: BTreeMap<Date, u64>,
    /// Doses of all vaccines by the day they came to be known.
    pub(super) reported: BTreeMap<Date, u64>,
    pub(super) doses: u64,
    pub(super) clinics: Counts,
    pub(super) vaccines: Counts,
    pub(super) lots: Counts,
    /// Reason, clinic, doses.
    pub(super) invalid: Vec<(String, String, u64)>,
    /// Problem, clinic, how often.
    pub(super) quality: Vec<(String, String, u64)>,
}

impl Tracker {
    /// The numbers of now, or of a moment ago that is not longer than `age_max`. As long as nothing has changed they are not
    /// counted again.
    pub(super) fn numbers(
        &self,
        session: &Session,
        definition: &Definition,
        denominator: Denominator,
        age_max: Duration,
    ) -> Result<Arc<Numbers>, InPage> {
        let changes = *self.registry.changes(session)?.borrow();
        let key = (changes, self.registry.today().to_string());
        let place = of_tenant(session, &format!("{} {denominator:?}", definition.id));
        let good = |counted: &&Counted| counted.key == key || counted.at.elapsed() < age_max;
        if let Some(counted) = locked(&self.counted).get(&place).filter(good) {
            return Ok(counted.numbers.clone());
        }
        let numbers = Arc::new(self.count(session, definition, denominator)?);
        let counted = Counted { key, at: Instant::now(), numbers: numbers.clone() };
        locked(&self.counted).insert(place, counted);
        Ok(numbers)
    }

    fn count(&self, session: &Session, definition: &Definition, denominator: Denominator) -> Result<Numbers, InPage> {
        let of_people = |by: &[&str]| StatsQuery { denominator, ..query(definition, by) };
        let all = self.registry.stats(session, &of_people(&[]))?;
        let people =
            |by: &str| -> Result<Vec<Group>, InPage> { Ok(self.registry.stats(session, &of_people(&[by]))?.groups) };
        let doses = |by: &str| -> Result<Counts, InPage> {
            let stats = self.registry.stats(session, &query(definition, &[by]))?;
            let counts = stats.groups.into_iter().map(|group| (group.values.concat(), group.doses.unwrap_or(0)));
            Ok(largest_first(counts.collect()))
        };
        let today = all.as_of.parse().unwrap_or_default();
        let given: BTreeMap<Date, u64> =
            doses("day")?.into_iter().filter_map(|(day, n)| Some((day.parse().ok()?, n))).collect();
        let mut ages = people("age")?;
        ages.sort_by_key(|group| first_year(&group.values[0]));
        let mut regions = people("region")?;
        regions.sort_by_key(|group| std::cmp::Reverse(group.people.as_ref().map(say::size)));
        Ok(Numbers {
            definition: definition.clone(),
            today,
            at_us: all.at_us,
            denominator: all.denominator,
            census: all.census,
            people: all.total.people.unwrap_or_default(),
            ages,
            regions,
            sexes: people("sex")?,
            milestones: self.milestones(session, definition, today)?,
            doses: given.values().sum(),
            given,
            reported: self.reported(session, today)?,
            clinics: doses("clinic")?,
            vaccines: doses("vaccine")?,
            lots: doses("lot")?,
            invalid: self.pairs(session, Kind::Invalid, |values| {
                (values[0] == definition.id).then(|| (values[1].to_owned(), values[2].to_owned()))
            })?,
            quality: self.pairs(session, Kind::Quality, |values| Some((values[0].to_owned(), values[1].to_owned())))?,
        })
    }

    fn milestones(
        &self,
        session: &Session,
        definition: &Definition,
        today: Date,
    ) -> Result<BTreeMap<Date, [u64; 3]>, InPage> {
        let mut days: BTreeMap<Date, [u64; 3]> = BTreeMap::new();
        self.registry.each_count(session, Kind::Milestone, |values, n| {
            let at = ["first", "full", "boosted"].iter().position(|milestone| *milestone == values[1]);
            if let (true, Some(at), Ok(day)) = (values[0] == definition.id, at, values[2].parse::<Date>())
                && day <= today
            {
                days.entry(day).or_default()[at] += u64::try_from(n).unwrap_or(0);
            }
        })?;
        Ok(days)
    }

    fn reported(&self, session: &Session, today: Date) -> Result<BTreeMap<Date, u64>, InPage> {
        let mut days: BTreeMap<Date, u64> = BTreeMap::new();
        self.registry.each_count(session, Kind::Reported, |values, n| {
            if let Ok(day) = values[0].parse::<Date>()
                && day <= today
            {
                *days.entry(day).or_default() += u64::try_from(n).unwrap_or(0);
            }
        })?;
        Ok(days)
    }

    /// Counts by what `of` answers, the largest first.
    fn pairs(
        &self,
        session: &Session,
        kind: Kind,
        of: impl Fn(&[&str]) -> Option<(String, String)>,
    ) -> Result<Vec<(String, String, u64)>, InPage> {
        let mut sums: BTreeMap<(String, String), u64> = BTreeMap::new();
        self.registry.each_count(session, kind, |values, n| {
            if let Some(key) = of(values) {
                *sums.entry(key).or_default() += u64::try_from(n).unwrap_or(0);
            }
        })?;
        let mut rows: Vec<_> = sums.into_iter().map(|((one, other), n)| (one, other, n)).collect();
        rows.sort_by(|one, other| other.2.cmp(&one.2).then_with(|| one.cmp(other)));
        Ok(rows)
    }
}

fn query(definition: &Definition, by: &[&str]) -> StatsQuery {
    let by = by.iter().map(|by| (*by).to_owned()).collect();
    StatsQuery { programme: definition.id.clone(), by, ..StatsQuery::default() }
}

fn largest_first(mut counts: Counts) -> Counts {
    counts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    counts
}

/// Of an age band; who has no birth date comes last.
pub(super) fn first_year(band: &str) -> i32 {
    AGE_BANDS
        .into_iter()
        .find(|year| band.starts_with(&format!("{year}-")) || band == format!("{year}+"))
        .unwrap_or(i32::MAX)
}
