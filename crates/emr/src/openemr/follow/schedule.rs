//! When a follower looks: changes every so often, everything once a night.

use super::run::{Report, Run};
use super::{Course, FollowError, Follower};
use crate::openemr::PullError;
use crate::turns::Turns;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use std::collections::BTreeMap;
use std::time::Duration;
use store::AuditRecord;

/// After a failure the next try waits at least so long; failures in a row double it.
const AGAIN: Duration = Duration::from_secs(5);
const AGAIN_MAX: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub struct Schedule {
    /// From the end of a round to the next.
    pub every: Duration,
    /// When a sweep begins, each day.
    pub sweep_at: Time,
    pub zone: TimeZone,
}

impl Schedule {
    /// The first sweep that is due after `after_us`.
    fn next_sweep_us(&self, after_us: i64) -> i64 {
        let after = Timestamp::from_microsecond(after_us).unwrap_or_default();
        let mut day = after.to_zoned(self.zone.clone()).date();
        loop {
            // An hour that daylight saving leaves out is the one after it.
            let at = day.to_datetime(self.sweep_at).to_zoned(self.zone.clone()).map(|at| at.timestamp());
            if let Ok(at) = at
                && at > after
            {
                return at.as_microsecond();
            }
            match day.checked_add(1.day()) {
                Ok(next) => day = next,
                Err(_) => return i64::MAX,
            }
        }
    }
}

/// A run under way.
#[derive(Debug)]
struct Going {
    started_us: i64,
    report: Report,
}

impl Follower {
    /// Runs until `turns` has none left because the process ends. `turns` gives the calls of the dispatcher that runs now.
    pub async fn run<T: Turns>(&self, schedule: &Schedule, turns: impl Fn() -> Option<T>) {
        let mut under_way: BTreeMap<Course, Going> = BTreeMap::new();
        let mut failures = 0_u32;
        loop {
            let course = self.due(schedule).await;
            let Some(course) = course else {
                self.wait(schedule).await;
                continue;
            };
            let Some(turns) = turns() else {
                tokio::time::sleep(AGAIN).await;
                continue;
            };
            let going = under_way.entry(course).or_insert_with(|| self.begin(course));
            match self.step(course, &turns, &mut going.report).await {
                Ok(done) => {
                    failures = 0;
                    if done {
                        self.end(course, going, None).await;
                        under_way.remove(&course);
                    }
                }
                // Its dispatcher has ended: there may be another.
                Err(FollowError::Pull(PullError::Ending)) => tokio::time::sleep(AGAIN).await,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let asked = match &error {
                        FollowError::Pull(PullError::Failed { after, .. }) => after.unwrap_or_default(),
                        _ => Duration::ZERO,
                    };
                    let text = error.to_string();
                    tracing::warn!(
                        sync.destination = self.name(),
                        error = text,
                        "synchronisation failed, goes on later"
                    );
                    self.end(course, going, Some(text)).await;
                    under_way.remove(&course);
                    let pause = AGAIN.saturating_mul(1 << failures.min(6)).min(AGAIN_MAX).max(asked);
                    // Somebody who asks need not wait: the calls have a pace of their own.
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.asked.notified() => {}
                    }
                }
            }
        }
    }

    /// Asks for a run now.
    pub fn ask(&self, course: Course) {
        self.wanted().insert(course);
        self.asked.notify_one();
    }

    /// What is to be done now. A round goes before a sweep, which may take all night.
    async fn due(&self, schedule: &Schedule) -> Option<Course> {
        let now_us = self.clock.now_us();
        let cursor = self.kept.cursor().await.unwrap_or_default();
        let wanted = self.wanted().clone();
        let state = self.look().clone();
        // Before the first sweep nobody knows since when changes are to be looked for.
        let first = cursor.sweeps == 0 || (cursor.sweeps == 1 && cursor.in_sweep());
        let every_us = i64::try_from(schedule.every.as_micros()).unwrap_or(i64::MAX / 2);
        let round_us = state.last_round.map_or(i64::MIN, |run| run.ended_us.saturating_add(every_us));
        let round = cursor.in_round() || wanted.contains(&Course::Round) || round_us <= now_us;
        let swept_us = state.last_sweep.map(|run| run.started_us);
        let sweep_us = swept_us.map_or(i64::MIN, |swept_us| schedule.next_sweep_us(swept_us));
        let sweep = cursor.in_sweep() || first || wanted.contains(&Course::Sweep) || sweep_us <= now_us;
        let mut shown = self.look();
        shown.next_round_us = Some(round_us.max(now_us));
        shown.next_sweep_us = Some(sweep_us.max(now_us));
        match (first, round, sweep) {
            (true, ..) => Some(Course::Sweep),
            (_, true, _) => Some(Course::Round),
            (.., true) => Some(Course::Sweep),
            _ => None,
        }
    }

    /// Until the next run is due, or somebody asks for one.
    async fn wait(&self, schedule: &Schedule) {
        let next_us = self.look().next_round_us.unwrap_or_default();
        let wait = SignedDuration::from_micros(next_us - self.clock.now_us());
        let wait = Duration::try_from(wait).unwrap_or_default().min(schedule.every);
        tokio::select! {
            () = tokio::time::sleep(wait.max(Duration::from_millis(10))) => {}
            () = self.asked.notified() => {}
        }
    }

    fn begin(&self, course: Course) -> Going {
        let started_us = self.clock.now_us();
        self.wanted().remove(&course);
        let mut state = self.look();
        state.under_way = Some(course.word());
        state.since_us = Some(started_us);
        Going { started_us, report: Report::default() }
    }

    async fn end(&self, course: Course, going: &Going, problem: Option<String>) {
        let run =
            Run { started_us: going.started_us, ended_us: self.clock.now_us(), problem, report: going.report.clone() };
        let succeeded = run.problem.is_none();
        self.witness.ran(succeeded);
        let audit =
            self.record(&format!("sync-{}", course.word()), &format!("sync/{}", self.name()), succeeded, &run.report);
        {
            let mut state = self.look();
            state.under_way = None;
            state.since_us = None;
            state.runs += 1;
            state.runs_failed += u64::from(!succeeded);
            state.total.add(&run.report);
            match course {
                Course::Round => state.last_round = Some(run.clone()),
                // One that failed is not over: it goes on.
                Course::Sweep if succeeded || state.last_sweep.is_none() => state.last_sweep = Some(run.clone()),
                Course::Sweep => {}
            }
        }
        if let Err(error) = self.kept.run(course, &run, audit).await {
            let text = error.to_string();
            tracing::warn!(sync.destination = self.name(), error = text, "the end of a run could not be noted");
        }
    }

    /// Who synchronised what from where to where, and with which result.
    fn record(&self, interaction: &str, who: &str, succeeded: bool, report: &Report) -> AuditRecord {
        let settings = self.sync.settings();
        let numbers = report.numbers().map(|(name, number)| format!("{name}={number}")).join("&");
        AuditRecord {
            at_us: self.clock.now_us(),
            interaction: interaction.into(),
            outcome: if succeeded { 0 } else { 8 },
            status: if succeeded { 200 } else { 502 },
            who: who.to_owned(),
            request_id: String::new(),
            entity: String::new(),
            patient: None,
            query: Some(format!("from={}&{numbers}", settings.base)),
        }
    }

    /// Notes a manual synchronisation.
    pub async fn note(
        &self,
        who: &str,
        patient: &str,
        outcome: &Result<Report, FollowError>,
    ) -> Result<(), engine::Error> {
        let report = outcome.as_ref().ok().cloned().unwrap_or_default();
        let mut record = self.record("sync-manual", who, outcome.is_ok(), &report);
        record.entity = format!("Patient/{patient}");
        self.kept.audit(record).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_due_each_day_at_its_hour_even_when_the_clock_skips_it() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let schedule = Schedule { every: Duration::from_secs(60), sweep_at: Time::constant(2, 30, 0, 0), zone };
        let us = |text: &str| text.parse::<Timestamp>().unwrap().as_microsecond();
        assert_eq!(schedule.next_sweep_us(us("2026-11-24T00:00:00Z")), us("2026-11-24T01:30:00Z"));
        assert_eq!(schedule.next_sweep_us(us("2026-11-24T01:30:00Z")), us("2026-11-25T01:30:00Z"));
        // At 02:00 it is 03:00.
        assert_eq!(schedule.next_sweep_us(us("2027-03-27T12:00:00Z")), us("2027-03-28T01:30:00Z"));
    }
}
