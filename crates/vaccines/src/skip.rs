//! When a dose of a series is not needed (6.2, 7.1, 7.6).

use crate::case::{Case, Moment};
use crate::outcome::DoseStatus;
use crate::schedule::{Condition, Count, CountLogic, SeriesDose, Skip, SkipSet};
use crate::track::Track;

/// In which of the two steps a rule is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    Evaluation,
    Forecast,
}

/// What the conditions look at: the doses evaluated so far, and the series groups of the antigen that are complete.
pub(crate) struct History<'c, 'a, 's> {
    pub(crate) case: &'c Case<'a, 's>,
    pub(crate) track: &'c Track<'s>,
    pub(crate) complete_groups: &'c [u16],
}

impl History<'_, '_, '_> {
    pub(crate) fn skips(&self, dose: &SeriesDose, context: Context, moment: Moment<'_>) -> bool {
        let applies = |skip: &Skip| if context == Context::Evaluation { skip.in_evaluation } else { skip.in_forecast };
        dose.skips.iter().filter(|skip| applies(skip)).any(|skip| self.is_met(skip, moment))
    }

    fn is_met(&self, skip: &Skip, moment: Moment<'_>) -> bool {
        let mut sets = skip.sets.iter().filter(|set| set.force.at(moment)).peekable();
        if sets.peek().is_none() {
            return false;
        }
        if skip.any { sets.any(|set| self.set(set, moment)) } else { sets.all(|set| self.set(set, moment)) }
    }

    fn set(&self, set: &SkipSet, moment: Moment<'_>) -> bool {
        let mut conditions = set.conditions.iter();
        if set.any {
            conditions.any(|condition| self.condition(condition, moment))
        } else {
            conditions.all(|condition| self.condition(condition, moment))
        }
    }

    fn condition(&self, condition: &Condition, moment: Moment<'_>) -> bool {
        match condition {
            Condition::Age(range) => self.case.aged(*range, moment),
            Condition::Interval(period) => {
                self.track.evaluations.last().is_some_and(|previous| moment.reached(previous.date + *period))
            }
            Condition::CompletedSeries(groups) => groups.iter().any(|group| self.complete_groups.contains(group)),
            Condition::Count(count) => self.count(count),
        }
    }

    /// CONDSKIP-1 and table 6-9. Ends of ages and dates are exclusive; no list of vaccines means every one.
    fn count(&self, count: &Count) -> bool {
        let counted = self.track.evaluations.iter().filter(|evaluation| {
            (count.vaccines.is_empty() || count.vaccines.contains(&self.case.dose(evaluation.dose).cvx))
                && self.case.aged(count.age, Moment::On(evaluation.date))
                && count.start.is_none_or(|start| evaluation.date >= start)
                && count.end.is_none_or(|end| evaluation.date < end)
                && (!count.valid_only || evaluation.status == DoseStatus::Valid)
        });
        let counted = counted.count();
        match count.logic {
            CountLogic::Greater => counted > count.than,
            CountLogic::Equal => counted == count.than,
            CountLogic::Less => counted < count.than,
        }
    }
}
