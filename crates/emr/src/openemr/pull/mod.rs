//! Reading an OpenEMR: what has changed, and now and then everything.
//!
//! A *round* asks each type for changes since the last one, with two minutes of overlap, and reads the types whose time of change
//! is none for the patients that were touched. A *sweep* reads everything, in windows of time or patient by patient: it finds
//! edits that no time shows and, by what it did not meet, deletions. Both go on where they stopped: after each step the caller
//! applies what was pulled, then keeps marks, touched patients and cursor in one commit. Nothing is in memory between two steps.

mod cursor;
mod known;
mod reliability;

pub use cursor::Cursor;
pub use known::{Known, KnownError, Mark};
pub use reliability::{Reach, reach};

use super::OpenEmr;
use super::plan::Plan;
use super::probe_suite::{Findings, Paging};
use super::search::{BYTES_MAX, SearchError, instant, read, search};
use crate::turns::Turns;
use cursor::{Place, Window};
use delivery::{Problem, hash_of};
use fhir::json::Value;
use fhir::temporal::PartialDateTime;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Changes are asked for from so long before the newest that is known: clocks differ, transactions end late.
const OVERLAP_S: i64 = 120;
/// Nothing is older than the first release of OpenEMR; what claims to be is in the first window.
const FIRST_S: i64 = 1_104_537_600;
/// The longest window of a sweep.
const WIDTH_MAX_S: i64 = 90 * 86_400;
/// Records of one window, about.
const WINDOW_COUNT: usize = 1_000;
/// An answer for a window is no longer than this, unless the window cannot be narrowed: in memory it is several times as much.
const WINDOW_BYTES: usize = 8 << 20;
/// The most that OpenEMR gives.
const PAGE: usize = 200;
/// Pages begin so many records before the end of the last: one that was changed meanwhile has moved the others.
const PAGE_OVERLAP: usize = 20;
/// Marks looked at at once.
const MARKS: usize = 200;

/// A record that is new, has changed, or is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    pub ty: String,
    /// Its FHIR id there.
    pub remote_id: String,
    /// As OpenEMR shows it, references and all. `None`: it is gone.
    pub resource: Option<Value>,
}

/// What one step has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// To be applied before marks and cursor are kept.
    pub pulled: Vec<Pulled>,
    /// Type, id and mark; `None` takes the mark away.
    pub marks: Vec<(String, String, Option<Mark>)>,
    /// Ids of patients to be remembered as touched (true) or forgotten (false): types whose records have no time of change are
    /// read again for them. Each once.
    pub touched: Vec<(String, bool)>,
    /// A few hundred bytes, however much is pulled.
    pub cursor: Cursor,
    /// The round or sweep is over.
    pub done: bool,
}

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PullError {
    /// Passes; `after` is what OpenEMR asked for.
    #[error("OpenEMR could not be read: {}", answered(.problem))]
    Failed { problem: Problem, after: Option<Duration> },
    /// The dispatcher ends.
    #[error("stopped")]
    Ending,
    #[error(transparent)]
    Known(#[from] KnownError),
}

/// A problem in words; without an answer there is no status.
fn answered(problem: &Problem) -> String {
    if problem.status == 0 { problem.text.clone() } else { format!("{} {}", problem.status, problem.text) }
}

impl From<SearchError> for PullError {
    fn from(error: SearchError) -> PullError {
        match error {
            SearchError::TooMuch(problem) => PullError::Failed { problem, after: None },
            SearchError::Failed { problem, after } => PullError::Failed { problem, after },
            SearchError::Ending => PullError::Ending,
        }
    }
}

/// Whether a step is part of a round or of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Round,
    Sweep,
}

#[derive(Clone, Debug)]
struct Type {
    name: String,
    reach: Reach,
    /// Whether `_lastUpdated` may be asked for; without, everything comes at once.
    times: bool,
}

/// A pull of one OpenEMR.
#[derive(Debug)]
pub struct Pull {
    emr: Arc<OpenEmr>,
    findings: Findings,
    /// Patient first: others are found by it.
    types: Vec<Type>,
}

impl Pull {
    /// `types`: resource types to pull; those that the plan cannot search are left out. Patient is always among them.
    pub fn new(emr: Arc<OpenEmr>, findings: Findings, plan: &Plan, types: &[&str]) -> Pull {
        let mut names = vec!["Patient"];
        names.extend(types.iter().copied().filter(|name| *name != "Patient" && plan.can(name, "search-type")));
        let of = |name: &str| {
            let times = plan.searches(name, "_lastUpdated");
            let by_patient = plan.searches(name, "patient");
            let reach = match reach(name) {
                Reach::Patient if by_patient => Reach::Patient,
                _ if !times && by_patient => Reach::Patient,
                _ => Reach::Time,
            };
            Type { name: name.to_owned(), reach, times }
        };
        Pull { emr, findings, types: names.into_iter().map(of).collect() }
    }

    /// One step of the round that is under way, or of a new one: one request at most.
    pub async fn round(&self, cursor: &Cursor, known: &dyn Known, turns: &dyn Turns) -> Result<Step, PullError> {
        let mut step = Step { cursor: cursor.clone(), ..Step::default() };
        let place = step.cursor.round.take().or_else(|| self.next_changes(&step.cursor, None));
        step.cursor.round = match place {
            Some(Place::Window { ty, window }) => {
                let next = self.window(Course::Round, &ty, window, &mut step, known, turns).await?;
                next.or_else(|| self.next_changes(&step.cursor, Some(&ty)))
                    .or_else(|| self.next_untimed(&step.cursor, None))
            }
            Some(Place::Patient { ty, after }) => match known.touched(&after, 1).await?.into_iter().next() {
                Some(patient) => {
                    self.of_patient(Course::Round, &ty, &patient, &mut step, known, turns).await?;
                    if self.next_untimed(&step.cursor, Some(&ty)).is_none() {
                        step.touched.push((patient.clone(), false));
                    }
                    Some(Place::Patient { ty, after: patient })
                }
                None => self.next_untimed(&step.cursor, Some(&ty)),
            },
            Some(Place::Missing { .. }) | None => None,
        };
        step.done = step.cursor.round.is_none();
        Ok(step)
    }

    /// One step of the sweep that is under way, or of a new one: one request at most.
    pub async fn sweep(&self, cursor: &Cursor, known: &dyn Known, turns: &dyn Turns) -> Result<Step, PullError> {
        let mut step = Step { cursor: cursor.clone(), ..Step::default() };
        let place = match step.cursor.sweep.take() {
            Some(place) => place,
            None => {
                step.cursor.sweeps += 1;
                self.everything(&self.types[0])
            }
        };
        step.cursor.sweep = match place {
            Place::Window { ty, window } => {
                let next = self.window(Course::Sweep, &ty, window, &mut step, known, turns).await?;
                next.or_else(|| self.missing_of(&ty))
            }
            Place::Patient { ty, after } => match self.patient_after(known, &after).await? {
                Some(patient) => {
                    self.of_patient(Course::Sweep, &ty, &patient, &mut step, known, turns).await?;
                    Some(Place::Patient { ty, after: patient })
                }
                None => {
                    // Of an EMR without patients, too, changes are known from here on.
                    let now_s = self.emr.clock.now_us() / 1_000_000;
                    step.cursor.since_s.entry(ty.clone()).or_insert(now_s);
                    self.missing_of(&ty)
                }
            },
            Place::Missing { ty, after } => {
                let next = self.missing(&ty, &after, &mut step, known, turns).await?;
                next.or_else(|| self.type_after(Some(&ty)).map(|next| self.everything(next)))
            }
        };
        step.done = step.cursor.sweep.is_none();
        Ok(step)
    }

    fn type_after(&self, name: Option<&str>) -> Option<&Type> {
        let Some(name) = name else { return self.types.first() };
        self.types.iter().skip_while(|ty| ty.name != name).nth(1)
    }

    fn of_name(&self, name: &str) -> Option<&Type> {
        self.types.iter().find(|ty| ty.name == name)
    }

    /// Where a sweep of a type begins.
    fn everything(&self, ty: &Type) -> Place {
        if ty.reach == Reach::Patient {
            return Place::Patient { ty: ty.name.clone(), after: String::new() };
        }
        let to_s = (ty.times && self.findings.windows).then_some(FIRST_S);
        let now_s = self.emr.clock.now_us() / 1_000_000;
        let window = Window { to_s, last_s: now_s, width_s: WIDTH_MAX_S, ..Window::default() };
        Place::Window { ty: ty.name.clone(), window }
    }

    fn missing_of(&self, ty: &str) -> Option<Place> {
        Some(Place::Missing { ty: ty.to_owned(), after: String::new() })
    }

    /// The window of changes of the next type that was swept once.
    fn next_changes(&self, cursor: &Cursor, after: Option<&str>) -> Option<Place> {
        let mut ty = self.type_after(after)?;
        loop {
            if let (true, Some(since_s)) = (ty.times, cursor.since_s.get(&ty.name)) {
                let from_s = Some(since_s - OVERLAP_S);
                let now_s = self.emr.clock.now_us() / 1_000_000;
                let window = Window { from_s, last_s: now_s, width_s: WIDTH_MAX_S, ..Window::default() };
                return Some(Place::Window { ty: ty.name.clone(), window });
            }
            ty = self.type_after(Some(&ty.name))?;
        }
    }

    /// The next type without a time of change that was swept once, to be read for each touched patient.
    fn next_untimed(&self, cursor: &Cursor, after: Option<&str>) -> Option<Place> {
        let past = self.types.iter().skip_while(|ty| after.is_some_and(|name| ty.name != name));
        let mut rest = past.skip(usize::from(after.is_some()));
        let ty = rest.find(|ty| ty.reach == Reach::Patient && cursor.since_s.contains_key(&ty.name))?;
        Some(Place::Patient { ty: ty.name.clone(), after: String::new() })
    }

    /// Reads a window, or a page of it. The next window of the type, if there is one.
    async fn window(
        &self,
        course: Course,
        name: &str,
        window: Window,
        step: &mut Step,
        known: &dyn Known,
        turns: &dyn Turns,
    ) -> Result<Option<Place>, PullError> {
        let pages = name == "Patient" && self.findings.paging == Paging::Paged;
        let place = |window| Some(Place::Window { ty: name.to_owned(), window });
        let less = if self.findings.windows { window.narrower() } else { None };
        let bytes_max = if less.is_some() { WINDOW_BYTES } else { BYTES_MAX };
        let found = match search(&self.emr, turns, name, &query(&window, pages), bytes_max).await {
            Ok(found) => found,
            Err(SearchError::TooMuch(problem)) => {
                return less.map(place).ok_or(PullError::Failed { problem, after: None });
            }
            Err(error) => return Err(error.into()),
        };
        let count = found.resources.len();
        let newest_s = found.resources.iter().filter_map(last_updated_s).max();
        let mut window = Window { newest_s: window.newest_s.max(newest_s), ..window };
        self.note(course, name, found.resources, step, known).await?;
        window.count += count;
        if pages && count >= PAGE {
            window.offset += PAGE - PAGE_OVERLAP;
            return Ok(place(window));
        }
        if let Some(next) = window.next() {
            return Ok(place(next));
        }
        self.advance(course, name, &window, found.at_s, step);
        Ok(None)
    }

    /// Sets the time up to which changes are known.
    fn advance(&self, course: Course, name: &str, window: &Window, at_s: Option<i64>, step: &mut Step) {
        let before = step.cursor.since_s.get(name).copied();
        let since_s = match (course, before) {
            // Rounds go on from where they are.
            (Course::Sweep, Some(before)) => before,
            // What changes during the first sweep is for the first round.
            (Course::Sweep, None) => window.newest_s.map_or(window.last_s, |newest| newest.min(window.last_s)),
            (Course::Round, _) => {
                // In the other half of the year OpenEMR shows times that are off by an hour, perhaps in the future.
                let newest_s = window.newest_s.map(|newest| at_s.map_or(newest, |at| newest.min(at)));
                newest_s.max(before).unwrap_or(window.last_s)
            }
        };
        step.cursor.since_s.insert(name.to_owned(), since_s);
    }

    /// Everything of one type of one patient.
    async fn of_patient(
        &self,
        course: Course,
        name: &str,
        patient: &str,
        step: &mut Step,
        known: &dyn Known,
        turns: &dyn Turns,
    ) -> Result<(), PullError> {
        let found = search(&self.emr, turns, name, &[("patient", patient.to_owned())], BYTES_MAX).await?;
        if course == Course::Sweep && !step.cursor.since_s.contains_key(name) {
            let now_s = self.emr.clock.now_us() / 1_000_000;
            step.cursor.since_s.insert(name.to_owned(), found.at_s.unwrap_or(now_s));
        }
        self.note(course, name, found.resources, step, known).await
    }

    async fn patient_after(&self, known: &dyn Known, after: &str) -> Result<Option<String>, PullError> {
        Ok(known.list("Patient", after, 1).await?.into_iter().next().map(|(id, _)| id))
    }

    /// Compares what was read with what is known.
    async fn note(
        &self,
        course: Course,
        name: &str,
        resources: Vec<Value>,
        step: &mut Step,
        known: &dyn Known,
    ) -> Result<(), PullError> {
        let mut read: Vec<(String, Value)> = Vec::with_capacity(resources.len());
        for resource in resources {
            // Pages overlap, and without an order one record may be on two.
            if let Some(id) = resource.str("id").map(str::to_owned)
                && !id.is_empty()
            {
                read.push((id, resource));
            }
        }
        read.sort_by(|one, other| one.0.cmp(&other.0));
        read.dedup_by(|one, other| one.0 == other.0);
        let ids: Vec<String> = read.iter().map(|(id, _)| id.clone()).collect();
        let marks = known.marks(name, &ids).await?;
        let by_time = self.of_name(name).is_some_and(|ty| ty.reach == Reach::Time);
        let touches = course == Course::Round && by_time && self.next_untimed(&step.cursor, None).is_some();
        let mut touched = BTreeSet::new();
        for ((id, resource), before) in read.into_iter().zip(marks) {
            let mark = Mark { hash: hash_of(&projection(&resource)), sweep: step.cursor.sweeps };
            let is_new = before.is_none_or(|before| before.hash != mark.hash);
            if is_new && touches {
                touched.extend(patient_of(&resource).map(str::to_owned));
            }
            if before != Some(mark) {
                step.marks.push((name.to_owned(), id.clone(), Some(mark)));
            }
            if is_new {
                step.pulled.push(Pulled { ty: name.to_owned(), remote_id: id, resource: Some(resource) });
            }
        }
        step.touched.extend(touched.into_iter().map(|patient| (patient, true)));
        Ok(())
    }

    /// The next record of a type that the sweep has not met is read by its id: it is gone, or it had moved out of sight.
    async fn missing(
        &self,
        name: &str,
        after: &str,
        step: &mut Step,
        known: &dyn Known,
        turns: &dyn Turns,
    ) -> Result<Option<Place>, PullError> {
        let marks = known.list(name, after, MARKS).await?;
        let Some((last, _)) = marks.last() else { return Ok(None) };
        let place = |after: &str| Some(Place::Missing { ty: name.to_owned(), after: after.to_owned() });
        let missing = marks.iter().find(|(_, mark)| mark.sweep < step.cursor.sweeps);
        let Some((id, _)) = missing else { return Ok(place(last)) };
        match read(&self.emr, turns, name, id).await? {
            Some(resource) => self.note(Course::Sweep, name, vec![resource], step, known).await?,
            None => {
                step.marks.push((name.to_owned(), id.clone(), None));
                step.pulled.push(Pulled { ty: name.to_owned(), remote_id: id.clone(), resource: None });
            }
        }
        Ok(place(id))
    }
}

impl Window {
    /// The same beginning and less of it. `None`: a second cannot be divided.
    fn narrower(&self) -> Option<Window> {
        let from_s = self.from_s.unwrap_or(0);
        let length_s = self.to_s.unwrap_or(self.last_s).saturating_sub(from_s);
        let width_s = length_s.min(self.width_s) / 8;
        let is_least = length_s <= 1 && self.to_s.is_some();
        let width_s = width_s.max(1);
        let next =
            Window { from_s: Some(from_s), to_s: Some(from_s + width_s), width_s, offset: 0, count: 0, ..self.clone() };
        (!is_least).then_some(next)
    }

    /// The window after this one, wider or narrower by how full this one was.
    fn next(&self) -> Option<Window> {
        let from_s = self.to_s?;
        let width_s = match self.count {
            count if count > 2 * WINDOW_COUNT => self.width_s / 4,
            count if count < WINDOW_COUNT / 4 => self.width_s.saturating_mul(4),
            _ => self.width_s,
        };
        let width_s = width_s.clamp(1, WIDTH_MAX_S);
        let to_s = Some(from_s + width_s).filter(|to| *to < self.last_s);
        Some(Window { from_s: Some(from_s), to_s, width_s, offset: 0, count: 0, ..self.clone() })
    }
}

fn query(window: &Window, pages: bool) -> Vec<(&'static str, String)> {
    let from = window.from_s.map(|from| ("_lastUpdated", format!("ge{}", instant(from))));
    let to = window.to_s.map(|to| ("_lastUpdated", format!("lt{}", instant(to))));
    let mut query: Vec<_> = from.into_iter().chain(to).collect();
    if pages {
        query.push(("_count", PAGE.to_string()));
        query.push(("_offset", window.offset.to_string()));
        query.push(("_sort", "_lastUpdated".to_owned()));
    }
    query
}

/// What counts as the content of a record.
fn projection(resource: &Value) -> Value {
    match resource {
        Value::Object(members) => {
            Value::Object(members.iter().filter(|(name, _)| name != "meta" && name != "text").cloned().collect())
        }
        other => other.clone(),
    }
}

fn last_updated_s(resource: &Value) -> Option<i64> {
    let text = resource.path(&["meta", "lastUpdated"])?.as_str()?;
    Some(PartialDateTime::parse(text)?.range_us().0 / 1_000_000)
}

/// The id of the patient whose record it is part of, or its own.
fn patient_of(resource: &Value) -> Option<&str> {
    if resource.str("resourceType") == Some("Patient") {
        return resource.str("id");
    }
    super::push::patient_of(resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_all_time_without_gaps_and_follow_the_density() {
        let start =
            Window { to_s: Some(FIRST_S), last_s: FIRST_S + 400 * 86_400, width_s: WIDTH_MAX_S, ..Window::default() };
        let (mut window, mut all) = (start, Vec::new());
        loop {
            all.push((window.from_s, window.to_s));
            window.count = 5_000;
            match window.next() {
                Some(next) => window = next,
                None => break,
            }
            assert!(all.len() < 10_000, "it does not end");
            // Dense at first, then empty.
            if all.len() > 4 {
                window.width_s = WIDTH_MAX_S;
            }
        }
        assert_eq!((all[0].0, all.last().unwrap().1), (None, None));
        assert!(all.windows(2).all(|pair| pair[0].1 == pair[1].0), "{all:?}");
        let lengths: Vec<i64> = all[1..4].iter().map(|(from, to)| to.unwrap() - from.unwrap()).collect();
        assert!(lengths.windows(2).all(|pair| pair[1] <= pair[0] / 4), "{lengths:?}");
    }

    #[test]
    fn a_window_that_is_too_much_shrinks_down_to_a_second() {
        let mut window = Window { from_s: Some(100), last_s: 1_000, width_s: WIDTH_MAX_S, ..Window::default() };
        for width in [112, 14, 1] {
            window = window.narrower().unwrap();
            assert_eq!((window.from_s, window.to_s), (Some(100), Some(100 + width)));
        }
        assert_eq!(window.narrower(), None);
    }
}
