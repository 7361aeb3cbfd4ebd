//! Counts against a census table: shares of everybody there is, not of those who are known.

use crate::cell::Kind;
use crate::census::{Census, CensusTable};
use crate::stats::{Count, Group, People, hide_small, is_small};
use crate::tally::Tally;
use serde::{Serialize, Serializer};
use vaccines::Date;

/// Shares of a census above this are not believed: tables are estimates, and people are counted where they do not live.
const PERCENT_MAX: u64 = 95;

/// What shares are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Denominator {
    /// The living persons that are known.
    #[default]
    Known,
    /// A census table.
    Census,
}

/// A share in tenths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    Tenths(u16),
    /// Above 95 percent: as a number it is 95.
    AtLeast95,
}

impl Share {
    /// `None` when there is nobody to be a share of.
    pub fn of(n: u64, all: u64) -> Option<Share> {
        match n.saturating_mul(100) > all.saturating_mul(PERCENT_MAX) {
            true => Some(Share::AtLeast95),
            false if all == 0 => None,
            false => Some(Share::Tenths(((n * 2_000 + all) / (all * 2)) as u16)),
        }
    }

    pub fn percent(self) -> f64 {
        match self {
            Share::Tenths(tenths) => f64::from(tenths) / 10.0,
            Share::AtLeast95 => PERCENT_MAX as f64,
        }
    }
}

/// For files: `42.7`, or `>=95`.
impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Share::Tenths(_) => write!(f, "{:.1}", self.percent()),
            Share::AtLeast95 => write!(f, ">={PERCENT_MAX}"),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.percent())
    }
}

/// A group against the census table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OfCensus {
    /// People whom the table has. `None` where it does not have the group, or too few to show.
    pub people: Count,
    /// Percent of them with at least one dose that counts, and fully vaccinated; 95 means 95 or more.
    pub first_percent: Option<Share>,
    pub full_percent: Option<Share>,
    /// A percentage is above 95.
    pub capped: bool,
    /// More people are vaccinated than the table has: nobody is left who is not.
    pub exceeded: bool,
    /// Why the table says nothing here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<&'static str>,
}

/// The table that counts were put against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CensusUsed {
    #[serde(flatten)]
    pub table: CensusTable,
    /// Known living persons in no cell of the table: their region, sex or age is not known or not in it. They are in the
    /// numbers of all together.
    pub outside: Count,
}

impl CensusUsed {
    pub(crate) fn words(&self) -> String {
        format!("people in the census table \"{}\" of {}", self.table.title, self.table.date)
    }
}

/// Adds the groups where nobody is known, in the order of the others.
pub(crate) fn complete(census: &Census, by: &[String], groups: &mut Vec<Group>) {
    if by.is_empty() {
        return;
    }
    let known: std::collections::HashSet<Vec<String>> = groups.iter().map(|group| group.values.clone()).collect();
    let nobody = |values: Vec<String>| Group { values, people: Some(People::nobody()), doses: None };
    groups.extend(census.groups(by).into_iter().filter(|values| !known.contains(values)).map(nobody));
    groups.sort_by(|one, other| one.values.cmp(&other.values));
}

/// Puts counts, those that are hidden already too, against the table. "Not vaccinated" becomes who is left of the table.
pub(crate) fn put(census: &Census, by: &[String], total: &mut Group, groups: &mut [Group], suppress: bool) {
    let of = |values: &[String]| census.people(by, values);
    let mut found: Vec<Result<u64, &'static str>> = groups.iter().map(|group| of(&group.values)).collect();
    let mut shown: Vec<Count> = found.iter().map(|people| people.ok()).collect();
    if suppress {
        hide_small(&mut shown);
    }
    let all = census.people(&[], &[]);
    found.push(all);
    shown.push(all.ok().filter(|n| !suppress || !is_small(*n)));
    for ((group, found), shown) in groups.iter_mut().chain([total]).zip(found).zip(shown) {
        if let Some(people) = &mut group.people {
            against(people, found, shown, suppress);
        }
    }
}

fn against(people: &mut People, found: Result<u64, &'static str>, shown: Count, suppress: bool) {
    let mut of = OfCensus { people: shown, missing: found.err(), ..OfCensus::default() };
    people.not = None;
    // A hidden count must not follow from the table.
    if let (Some(all), Some(partial), Some(full)) = (shown, people.partial, people.full) {
        let some = partial + full;
        let not = all.saturating_sub(some);
        of.exceeded = some > all;
        if suppress && is_small(not) {
            of.people = None;
        } else {
            people.not = Some(not);
            (of.first_percent, of.full_percent) = (Share::of(some, all), Share::of(full, all));
            of.capped = [of.first_percent, of.full_percent].contains(&Some(Share::AtLeast95));
        }
    }
    people.census = Some(of);
}

/// See [`CensusUsed::outside`].
pub(crate) fn outside(census: &Census, tally: &Tally, today: Date, suppress: bool) -> Count {
    let mut outside = 0;
    tally.each(Kind::Persons, |values, n| {
        if !census.has(values[0], values[1], values[2], today) {
            outside += n;
        }
    });
    u64::try_from(outside).ok().filter(|n| !suppress || !is_small(*n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_and_capped() {
        assert_eq!(Share::of(1, 3), Some(Share::Tenths(333)));
        assert_eq!(Share::of(0, 7), Some(Share::Tenths(0)));
        assert_eq!(Share::of(95, 100), Some(Share::Tenths(950)));
        assert_eq!(Share::of(951, 1000), Some(Share::AtLeast95));
        assert_eq!(Share::of(5, 4), Some(Share::AtLeast95));
        assert_eq!(Share::of(1, 0), Some(Share::AtLeast95));
        assert_eq!(Share::of(0, 0), None);
        assert_eq!(serde_json::to_string(&[Share::Tenths(427), Share::AtLeast95]).unwrap(), "[42.7,95.0]");
    }

    fn people(partial: Count, full: Count) -> People {
        People { persons: Some(500), not: Some(400), partial, full, ..People::default() }
    }

    #[test]
    fn who_is_left_of_the_table_is_not_vaccinated() {
        let put = |mut people: People, all: Result<u64, &'static str>, suppress: bool| {
            against(&mut people, all, all.ok(), suppress);
            (people.not, people.census.unwrap())
        };
        let (not, of) = put(people(Some(30), Some(70)), Ok(1_000), false);
        assert_eq!(
            (not, of.first_percent, of.full_percent),
            (Some(900), Some(Share::Tenths(100)), Some(Share::Tenths(70)))
        );
        assert!(!of.capped && !of.exceeded);
        let (not, of) = put(people(Some(30), Some(70)), Ok(80), false);
        assert_eq!((not, of.first_percent, of.capped, of.exceeded), (Some(0), Some(Share::AtLeast95), true, true));
        let (not, of) = put(people(Some(30), Some(70)), Err("no such group"), false);
        assert_eq!((not, of.people, of.missing, of.full_percent), (None, None, Some("no such group"), None));
        let (not, of) = put(people(None, Some(70)), Ok(1_000), true);
        assert_eq!(
            (not, of.full_percent, of.people),
            (None, None, Some(1_000)),
            "what is left would tell the hidden one"
        );
        let (not, of) = put(people(Some(30), Some(70)), Ok(105), true);
        assert_eq!((not, of.people, of.first_percent), (None, None, None), "five are too few to show");
    }
}
