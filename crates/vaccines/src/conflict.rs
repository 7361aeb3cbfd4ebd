//! Vaccines that must keep their distance (6.7).

use crate::case::Case;
use crate::date::Date;
use crate::outcome::DoseStatus;
use crate::schedule::SeriesDose;
use crate::track::Track;

/// Whether the dose came too soon after another vaccine, of whatever antigen (CONFLICT-3).
pub(crate) fn is_impacted(case: &Case<'_, '_>, track: &Track<'_>, position: usize) -> bool {
    let dose = case.dose(position);
    // A dose of the same day did not come before.
    case.conflicting
        .iter()
        .map(|other| (*other, case.dose(*other)))
        .take_while(|(_, other)| other.date < dose.date)
        .any(|(other, previous)| {
            let Some(conflict) = case.schedule.conflicts.get(&(previous.cvx, dose.cvx)) else { return false };
            let status = track
                .evaluations
                .iter()
                .find(|evaluation| evaluation.dose == other)
                .map(|evaluation| evaluation.status);
            // A dose of another antigen has no status here and counts like a valid one.
            let short = matches!(status, None | Some(DoseStatus::Valid));
            let end = previous.date + if short { conflict.short_end } else { conflict.end };
            dose.date >= previous.date + conflict.begin && dose.date < end
        })
}

/// The last day on which a conflict with a preferable vaccine of the dose ends (CALCDTCONFLICT-3).
pub(crate) fn latest_end(case: &Case<'_, '_>, dose: &SeriesDose) -> Option<Date> {
    let ends = case.conflicting.iter().flat_map(|position| {
        let previous = case.dose(*position);
        let conflicts =
            dose.preferable.iter().filter_map(|vaccine| case.schedule.conflicts.get(&(previous.cvx, vaccine.cvx)));
        conflicts.map(|conflict| previous.date + conflict.end)
    });
    ends.max()
}
