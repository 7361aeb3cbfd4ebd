//! Every dose of an antigen against the doses of a series (chapter 6).

use crate::case::{Case, Moment};
use crate::conflict;
use crate::date::Date;
use crate::interval::reference_date;
use crate::outcome::{DoseReason, DoseStatus};
use crate::person::Dose;
use crate::schedule::{Interval, Series, SeriesDose, Vaccine};
use crate::skip::{Context, History};
use crate::track::{Evaluation, Track, age_rule};

/// Evaluates the doses (positions in `Person::doses`, by date) in the series.
pub(crate) fn evaluate<'s>(
    case: &Case<'_, 's>,
    series: &'s Series,
    doses: &[usize],
    complete_groups: &[u16],
) -> Track<'s> {
    let mut track = Track::new(series);
    for &position in doses {
        let dose = case.dose(position);
        let on = Moment::On(dose.date);
        while let Some(target) = track.target() {
            if !(History { case, track: &track, complete_groups }).skips(target, Context::Evaluation, on) {
                break;
            }
            track.skip();
        }
        let target = track.target();
        let (status, reasons) = match target {
            None => (DoseStatus::Extraneous, vec![DoseReason::SeriesAlreadyComplete]),
            Some(_) if dose.substandard => (DoseStatus::SubStandard, vec![DoseReason::SubStandard]),
            Some(target) => judge(case, &track, target, position),
        };
        let dose_number = target.map(|target| target.number);
        track.evaluations.push(Evaluation { dose: position, date: dose.date, dose_number, status, reasons });
        if status == DoseStatus::Valid {
            track.satisfy(dose.date);
        }
    }
    track
}

/// Tables 6-13 to 6-31: what the dose counts for, with all reasons.
fn judge(
    case: &Case<'_, '_>,
    track: &Track<'_>,
    target: &SeriesDose,
    position: usize,
) -> (DoseStatus, Vec<DoseReason>) {
    let dose = case.dose(position);
    if target.inadvertent.contains(&dose.cvx) {
        return (DoseStatus::NotValid, vec![DoseReason::Inadvertent]);
    }
    let mut reasons = Vec::new();
    reasons.extend(age_reason(case, target, dose.date));
    reasons.extend(interval_reason(case, track, target, dose.date));
    if conflict::is_impacted(case, track, position) {
        reasons.push(DoseReason::VaccineConflict);
    }
    reasons.extend(vaccine_reasons(case, target, dose));
    let harmless = |reason: &DoseReason| matches!(reason, DoseReason::AgeGracePeriod | DoseReason::IntervalGracePeriod);
    let status = if reasons.contains(&DoseReason::TooOld) {
        DoseStatus::Extraneous
    } else if reasons.iter().all(harmless) {
        DoseStatus::Valid
    } else {
        DoseStatus::NotValid
    };
    (status, reasons)
}

fn age_reason(case: &Case<'_, '_>, target: &SeriesDose, date: Date) -> Option<DoseReason> {
    let rule = age_rule(target, Moment::On(date))?;
    if rule.absolute_min.is_some_and(|age| date < case.at(age)) {
        Some(DoseReason::TooYoung)
    } else if rule.max.is_some_and(|age| date >= case.at(age)) {
        Some(DoseReason::TooOld)
    } else {
        rule.min.is_some_and(|age| date < case.at(age)).then_some(DoseReason::AgeGracePeriod)
    }
}

/// All preferable intervals must hold, or else all allowable ones.
fn interval_reason(case: &Case<'_, '_>, track: &Track<'_>, target: &SeriesDose, date: Date) -> Option<DoseReason> {
    let in_force = |interval: &&Interval| interval.force.at(Moment::On(date));
    let mut grace = false;
    let mut holds = |interval: &Interval| {
        let Some(reference) = reference_date(case, track, interval) else { return true };
        grace |= interval.min.is_some_and(|min| date < reference + min);
        interval.absolute_min.is_none_or(|min| date >= reference + min)
    };
    if target.intervals.iter().filter(in_force).all(&mut holds) {
        return grace.then_some(DoseReason::IntervalGracePeriod);
    }
    let mut allowable = target.allowable_intervals.iter().filter(in_force).peekable();
    let allowed = allowable.peek().is_some() && allowable.all(&mut holds);
    (!allowed).then_some(DoseReason::TooSoon)
}

/// Tables 6-26 and 6-29; a vaccine of the series at the wrong age is one reason more.
fn vaccine_reasons(case: &Case<'_, '_>, target: &SeriesDose, dose: &Dose) -> &'static [DoseReason] {
    let on = Moment::On(dose.date);
    let is_product = |vaccine: &Vaccine| vaccine.mvx.is_none() || vaccine.mvx == dose.mvx;
    let preferable = target.preferable.iter().filter(|vaccine| vaccine.cvx == dose.cvx && is_product(vaccine));
    let allowable = target.allowable.iter().filter(|vaccine| vaccine.cvx == dose.cvx);
    let mut named = preferable.chain(allowable).peekable();
    if named.peek().is_none() {
        &[DoseReason::NotPreferableOrAllowable]
    } else if named.any(|vaccine| case.aged(vaccine.age, on)) {
        &[]
    } else {
        &[DoseReason::NotPreferableOrAllowable, DoseReason::VaccineOutOfAgeRange]
    }
}
