//! The counts as people ask for them: who is vaccinated by region, sex and age, doses by vaccine, clinic, lot and day.

use crate::cell::Kind;
use crate::programme::{Definition, Definitions};
use crate::share::{self, CensusUsed, Denominator, OfCensus};
use crate::summary::MARKS;
use crate::tally::Tally;
use crate::{Census, Registry};
use engine::{Error, Session};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use vaccines::Date;

/// Counts below this are not shown to the outside: they may tell who is meant.
pub const SMALL: u64 = 11;
/// Age bands in years, the first year of each; the last one is open.
pub const AGE_BANDS: [i32; 7] = [0, 5, 12, 18, 50, 65, 80];

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct StatsQuery {
    /// Id of a [`Definition`].
    pub programme: String,
    /// Dimensions to break down by: `region`, `sex`, `age`, `birth_month`, `birth_year` for people; `vaccine`, `clinic`, `lot`, `day` for
    /// doses. People and doses do not mix.
    pub by: Vec<String>,
    /// Who had reached a status by that day. Then people can be broken down by region only.
    pub as_of: Option<Date>,
    /// What shares are of. A census is for people only.
    pub denominator: Denominator,
    /// Hide small counts.
    pub suppress: bool,
}

/// A count; `None` where it is hidden.
pub type Count = Option<u64>;

/// People or doses of one combination of the asked dimensions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Values in the order of the query's `by`; empty is "not known".
    pub values: Vec<String>,
    /// Living persons; with a breakdown of doses none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<People>,
    /// Doses, each event once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doses: Count,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct People {
    pub persons: Count,
    pub not: Count,
    pub partial: Count,
    pub full: Count,
    /// By mark: `immune`, `overdue`, …
    pub marks: BTreeMap<&'static str, Count>,
    /// When a census was asked for; then `not` is who is left of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub census: Option<OfCensus>,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    pub programme: Definition,
    /// The day as of which it holds.
    pub as_of: String,
    /// When it was counted, in microseconds since 1970.
    pub at_us: i64,
    /// What the percentages are of, in words.
    pub denominator: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub census: Option<CensusUsed>,
    pub by: Vec<String>,
    /// All together.
    pub total: Group,
    pub groups: Vec<Group>,
    /// Some counts are hidden.
    pub suppressed: bool,
}

/// Dimensions of people and of doses.
const OF_PEOPLE: &[&str] = &["region", "sex", "age", "birth_month", "birth_year"];
const OF_DOSES: &[&str] = &["vaccine", "clinic", "lot", "day"];

#[derive(Clone, Copy, Default)]
struct Sum {
    persons: i64,
    partial: i64,
    full: i64,
    marks: [i64; MARKS.len()],
}

fn refused(text: String) -> Error {
    Error::new(400, "invalid", text)
}

impl Registry {
    /// See [`StatsQuery`]. Numbers are those of all commits that were acknowledged before the call.
    pub fn stats(&self, session: &Session, query: &StatsQuery) -> Result<Stats, Error> {
        let definitions = self.definitions();
        let tenancy = self.tenancy(&session.tenant)?;
        let census = |day: Date| self.census(&session.tenant, day);
        let at = (self.today(), self.now_us());
        let live = tenancy.live.read();
        reckon(&live.tally, &definitions, at, census, query)
    }

    /// Says what is wrong with a query before anything is counted for it.
    pub fn check_query(&self, query: &StatsQuery) -> Result<(), Error> {
        asked(&self.definitions(), self.today(), query).map(|_| ())
    }

    /// A table of counts as it is: values of its dimensions, and the count. For exports and pages.
    pub fn table(&self, session: &Session, kind: Kind) -> Result<Vec<(Vec<String>, i64)>, Error> {
        let tenancy = self.tenancy(&session.tenant)?;
        let mut rows = Vec::new();
        tenancy.live.read().tally.each(kind, |values, n| {
            rows.push((values.iter().map(|value| (*value).to_owned()).collect(), n));
        });
        rows.sort_unstable();
        Ok(rows)
    }

    /// As [`Registry::table`], without a copy: calls `each` with the values of every cell and its count, in no order. Writes wait
    /// meanwhile.
    pub fn each_count(&self, session: &Session, kind: Kind, each: impl FnMut(&[&str], i64)) -> Result<(), Error> {
        self.tenancy(&session.tenant)?.live.read().tally.each(kind, each);
        Ok(())
    }

    /// Changes when a commit has changed a count.
    pub fn changes(&self, session: &Session) -> Result<tokio::sync::watch::Receiver<u64>, Error> {
        Ok(self.tenancy(&session.tenant)?.changes.subscribe())
    }
}

/// A query that can be answered, unless it wants a census table that is not there.
struct Asked {
    programme: Definition,
    of_doses: bool,
    as_of: Date,
}

fn asked(definitions: &Definitions, today: Date, query: &StatsQuery) -> Result<Asked, Error> {
    let programme = programme(definitions, &query.programme)?;
    let of_doses = of_doses(&query.by)?;
    let as_of = query.as_of.unwrap_or(today);
    if as_of < today
        && query.by.iter().any(|by| !matches!(by.as_str(), "region" | "vaccine" | "clinic" | "lot" | "day"))
    {
        return Err(refused("as_of: people of an earlier day can be broken down by region only".into()));
    }
    Ok(Asked { programme, of_doses, as_of })
}

/// Answers a query from counts. `at`: the day it is, and the moment in microseconds since 1970.
pub(crate) fn reckon(
    tally: &Tally,
    definitions: &Definitions,
    at: (Date, i64),
    census: impl FnOnce(Date) -> Option<Arc<Census>>,
    query: &StatsQuery,
) -> Result<Stats, Error> {
    let (today, at_us) = at;
    let Asked { programme, of_doses, as_of } = asked(definitions, today, query)?;
    let past = as_of < today;
    let census = match query.denominator {
        Denominator::Known => None,
        Denominator::Census if of_doses => {
            return Err(refused("denominator: a census is of people: ask for doses without it".into()));
        }
        Denominator::Census => Some(census(as_of).ok_or_else(|| {
            refused(
                "denominator: no census table is set up here: the operator names one in vaccines.census_files".into(),
            )
        })?),
    };
    let (mut total, mut groups) = if of_doses {
        doses(tally, &query.by, as_of, |cvx: u16| definitions.belongs(&query.programme, cvx))
    } else if past {
        milestones(tally, &query.programme, &query.by, as_of)
    } else {
        people(tally, &query.programme, &query.by, today)
    };
    let mut used = None;
    if let Some(census) = &census {
        share::complete(census, &query.by, &mut groups);
        let outside = share::outside(census, tally, today, query.suppress);
        used = Some(CensusUsed { table: census.about().clone(), outside });
    }
    let suppressed = query.suppress && suppress(&mut total, &mut groups);
    if let Some(census) = &census {
        share::put(census, &query.by, &mut total, &mut groups, query.suppress);
    }
    let denominator = used.as_ref().map_or_else(|| "known living persons".to_owned(), CensusUsed::words);
    let (as_of, by) = (as_of.to_string(), query.by.clone());
    Ok(Stats { programme, as_of, at_us, denominator, census: used, by, total, groups, suppressed })
}

fn programme(definitions: &Definitions, id: &str) -> Result<Definition, Error> {
    let all = definitions.list();
    all.iter().find(|one| one.id == id).cloned().ok_or_else(|| {
        let hint = fhir::nearest::hint(id, all.iter().map(|one| one.id.as_str()));
        refused(format!("programme: there is none of this id{hint}; GET /programmes lists them"))
    })
}

/// Whether the dimensions are those of doses.
fn of_doses(by: &[String]) -> Result<bool, Error> {
    let of_doses = by.iter().any(|by| OF_DOSES.contains(&by.as_str()));
    let known = if of_doses { OF_DOSES } else { OF_PEOPLE };
    let Some(wrong) = by.iter().find(|by| !known.contains(&by.as_str())) else { return Ok(of_doses) };
    Err(refused(format!(
        "by: `{wrong}` does not go here: use {} for people, or {} for doses",
        OF_PEOPLE.join(", "),
        OF_DOSES.join(", ")
    )))
}

/// Age in whole years of somebody born in `month` (`YYYY-MM`), by the month.
pub(crate) fn age(month: &str, today: Date) -> Option<i32> {
    let today = today.to_string();
    let number = |text: &str| text.parse::<i32>().ok();
    let (year, of_year) = (number(month.get(..4)?)?, number(month.get(5..7)?)?);
    let (this_year, this_month) = (number(&today[..4])?, number(&today[5..7])?);
    Some(this_year - year - i32::from(this_month < of_year))
}

/// `18-49`, `80+`; empty when the birth date is not known.
pub(crate) fn age_band(month: &str, today: Date) -> String {
    let Some(age) = age(month, today) else { return String::new() };
    let at = AGE_BANDS.iter().rposition(|from| *from <= age).unwrap_or(0);
    AGE_BANDS
        .get(at + 1)
        .map_or_else(|| format!("{}+", AGE_BANDS[at]), |next| format!("{}-{}", AGE_BANDS[at], next - 1))
}

fn dimension(by: &str, region: &str, sex: &str, month: &str, today: Date) -> String {
    match by {
        "region" => region.to_owned(),
        "sex" => sex.to_owned(),
        "age" => age_band(month, today),
        "birth_year" => month.get(..4).unwrap_or_default().to_owned(),
        _ => month.to_owned(),
    }
}

fn people(tally: &Tally, programme: &str, by: &[String], today: Date) -> (Group, Vec<Group>) {
    let mut sums: BTreeMap<Vec<String>, Sum> = BTreeMap::new();
    let key = |region: &str, sex: &str, month: &str| -> Vec<String> {
        by.iter().map(|by| dimension(by, region, sex, month, today)).collect()
    };
    tally.each(Kind::Persons, |values, n| {
        sums.entry(key(values[0], values[1], values[2])).or_default().persons += n;
    });
    tally.each(Kind::Standing, |values, n| {
        if values[0] != programme {
            return;
        }
        let sum = sums.entry(key(values[3], values[4], values[5])).or_default();
        match values[1] {
            "partial" => sum.partial += n,
            "full" => sum.full += n,
            _ => {}
        }
        for (mark, count) in MARKS.iter().zip(&mut sum.marks) {
            if values[2].split('+').any(|held| held == *mark) {
                *count += n;
            }
        }
    });
    grouped(sums, by)
}

/// Who had reached a status by a day that is past. Denominators are those of today.
fn milestones(tally: &Tally, programme: &str, by: &[String], as_of: Date) -> (Group, Vec<Group>) {
    let mut sums: BTreeMap<Vec<String>, Sum> = BTreeMap::new();
    let key = |region: &str| -> Vec<String> { by.iter().map(|_| region.to_owned()).collect() };
    tally.each(Kind::Persons, |values, n| sums.entry(key(values[0])).or_default().persons += n);
    let day = as_of.to_string();
    let boosted = MARKS.iter().position(|mark| *mark == "boosted").unwrap_or_default();
    tally.each(Kind::Milestone, |values, n| {
        if values[0] != programme || values[2] > day.as_str() {
            return;
        }
        let sum = sums.entry(key(values[3])).or_default();
        match values[1] {
            "first" => sum.partial += n,
            "full" => {
                sum.full += n;
                sum.partial -= n;
            }
            _ => sum.marks[boosted] += n,
        }
    });
    grouped(sums, by)
}

fn grouped(sums: BTreeMap<Vec<String>, Sum>, by: &[String]) -> (Group, Vec<Group>) {
    let mut all = Sum::default();
    let mut groups = Vec::new();
    for (values, sum) in sums {
        all.persons += sum.persons;
        all.partial += sum.partial;
        all.full += sum.full;
        for (total, n) in all.marks.iter_mut().zip(sum.marks) {
            *total += n;
        }
        groups.push(Group { values, people: Some(sum.people()), doses: None });
    }
    if by.is_empty() {
        groups.clear();
    }
    (Group { values: Vec::new(), people: Some(all.people()), doses: None }, groups)
}

fn count(n: i64) -> Count {
    Some(u64::try_from(n).unwrap_or(0))
}

impl Sum {
    fn people(self) -> People {
        People {
            persons: count(self.persons),
            not: count(self.persons - self.partial - self.full),
            partial: count(self.partial),
            full: count(self.full),
            marks: MARKS.iter().zip(self.marks).map(|(mark, n)| (*mark, count(n))).collect(),
            census: None,
        }
    }
}

impl People {
    pub(crate) fn nobody() -> People {
        Sum::default().people()
    }
}

fn doses(tally: &Tally, by: &[String], as_of: Date, belongs: impl Fn(u16) -> bool) -> (Group, Vec<Group>) {
    let mut sums: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    let (mut total, day) = (0, as_of.to_string());
    let of_vaccine = |values: &[&str], by: &str| match by {
        "vaccine" => values[0].to_owned(),
        "clinic" => values[1].to_owned(),
        "lot" => values[2].to_owned(),
        _ => values[3].to_owned(),
    };
    tally.each(Kind::Dose, |values, n| {
        if values[3] <= day.as_str() && values[0].parse().is_ok_and(&belongs) {
            total += n;
            *sums.entry(by.iter().map(|by| of_vaccine(values, by)).collect()).or_default() += n;
        }
    });
    let group = |(values, n)| Group { values, people: None, doses: count(n) };
    (Group { values: Vec::new(), people: None, doses: count(total) }, sums.into_iter().map(group).collect())
}

/// Hides counts that are small, and where only one of a column is hidden the next smallest too: else the total would tell.
pub(crate) fn suppress(total: &mut Group, groups: &mut [Group]) -> bool {
    let mut hidden = hide(std::slice::from_mut(total), false);
    hidden |= hide(groups, true);
    hidden
}

/// The same for one column of counts that add up to a total which is known elsewhere. Answers whether any is hidden.
pub fn hide_small(counts: &mut [Count]) -> bool {
    let mut groups: Vec<Group> = counts.iter().map(|count| Group { doses: *count, ..Group::default() }).collect();
    let hidden = hide(&mut groups, true);
    for (count, group) in counts.iter_mut().zip(groups) {
        *count = group.doses;
    }
    hidden
}

/// Whether a count may tell who is meant; that there is nobody tells nobody.
pub(crate) fn is_small(n: u64) -> bool {
    (1..SMALL).contains(&n)
}

type Column = Box<dyn Fn(&mut Group) -> Option<&mut Count>>;

fn columns() -> Vec<Column> {
    let mut columns: Vec<Column> = vec![
        Box::new(|group| group.doses.is_some().then_some(&mut group.doses)),
        Box::new(|group| group.people.as_mut().map(|people| &mut people.persons)),
        Box::new(|group| group.people.as_mut().map(|people| &mut people.not)),
        Box::new(|group| group.people.as_mut().map(|people| &mut people.partial)),
        Box::new(|group| group.people.as_mut().map(|people| &mut people.full)),
    ];
    for mark in MARKS {
        columns.push(Box::new(move |group| group.people.as_mut().and_then(|people| people.marks.get_mut(mark))));
    }
    columns
}

fn hide(groups: &mut [Group], with_complement: bool) -> bool {
    let mut any = false;
    for column in columns() {
        let mut hidden = 0;
        for group in groups.iter_mut() {
            if let Some(count) = column(group)
                && count.is_some_and(is_small)
            {
                *count = None;
                hidden += 1;
            }
        }
        any |= hidden > 0;
        if hidden == 1 && with_complement {
            let size = |group: &mut Group| column(group).and_then(|count| *count).filter(|n| *n > 0);
            let next = groups.iter_mut().enumerate().filter_map(|(at, group)| Some((size(group)?, at))).min();
            if let Some((_, at)) = next
                && let Some(count) = column(&mut groups[at])
            {
                *count = None;
            }
        }
    }
    // Of not, partial and full a single hidden one is the persons less the others.
    for people in groups.iter_mut().filter_map(|group| group.people.as_mut()) {
        let parts = [people.not, people.partial, people.full];
        if people.persons.is_some() && parts.iter().filter(|part| part.is_none()).count() == 1 {
            let smallest = parts.iter().flatten().filter(|n| **n > 0).min().copied();
            for part in [&mut people.not, &mut people.partial, &mut people.full] {
                if part.is_some() && *part == smallest {
                    *part = None;
                    break;
                }
            }
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_bands_follow_the_day() {
        let band = |month: &str| age_band(month, "2026-11-28".parse().unwrap());
        assert_eq!(band("2021-12"), "0-4");
        assert_eq!(band("2021-11"), "5-11");
        assert_eq!(band("1940-01"), "80+");
        assert_eq!(band(""), "");
    }

    fn group(value: &str, persons: u64, partial: u64, full: u64) -> Group {
        let people = People {
            persons: Some(persons),
            not: Some(persons - partial - full),
            partial: Some(partial),
            full: Some(full),
            ..People::default()
        };
        Group { values: vec![value.into()], people: Some(people), doses: None }
    }

    #[test]
    fn a_small_count_cannot_be_reckoned_from_the_others() {
        let mut total = group("", 300, 30, 57);
        let mut groups = vec![group("a", 100, 7, 20), group("b", 100, 12, 20), group("c", 100, 11, 17)];
        assert!(suppress(&mut total, &mut groups));
        let partial: Vec<Count> = groups.iter().map(|group| group.people.as_ref().unwrap().partial).collect();
        assert_eq!(partial, [None, Some(12), None], "one hidden count alone is the total less the others");
        for group in &groups {
            let people = group.people.as_ref().unwrap();
            let hidden = [people.not, people.partial, people.full].iter().filter(|count| count.is_none()).count();
            assert_ne!(hidden, 1, "the third of three follows from the persons");
        }
    }

    #[test]
    fn a_column_hides_two_or_none() {
        let mut counts = [Some(50), Some(3), Some(12), Some(0)];
        assert!(hide_small(&mut counts));
        assert_eq!(counts, [Some(50), None, None, Some(0)]);
        assert!(!hide_small(&mut [Some(11), Some(0)]));
    }

    #[test]
    fn zero_and_large_counts_are_shown() {
        let mut groups = vec![group("a", 50, 0, 20)];
        assert!(!suppress(&mut group("", 50, 0, 20), &mut groups));
    }
}
