//! Whether a person may and should get another dose (7.2 to 7.4).

use crate::case::Case;
use crate::outcome::{ForecastReason, Status};
use crate::schedule::{Antigen, Circumstance, SeriesDose, Vaccine};

/// Table 7-3.
pub(crate) fn is_immune(case: &Case<'_, '_>, antigen: &Antigen) -> bool {
    antigen.immune_by.iter().any(|code| case.observed(*code))
        || antigen.immune_born.iter().any(|born| {
            case.person.birth < born.date
                && (!born.in_us || case.person.born_in_us)
                && !born.unless.iter().any(|code| case.observed(*code))
        })
}

/// Whether an indication or contraindication applies today (tables 5-4 and 7-5).
pub(crate) fn applies(case: &Case<'_, '_>, circumstance: &Circumstance) -> bool {
    case.observed(circumstance.observation) && case.aged(circumstance.age, case.now())
}

/// Whether nothing of the antigen may be given.
pub(crate) fn is_contraindicated(case: &Case<'_, '_>, antigen: &Antigen) -> bool {
    antigen.contraindications.iter().any(|contraindication| applies(case, contraindication))
}

/// Whether the vaccine must not be given (table 7-6).
pub(crate) fn is_excluded(case: &Case<'_, '_>, antigen: &Antigen, vaccine: &Vaccine) -> bool {
    let observed = antigen.vaccine_contraindications.iter().filter(|rule| case.observed(rule.observation));
    observed.flat_map(|rule| &rule.vaccines).any(|rule| rule.cvx == vaccine.cvx && case.aged(rule.age, case.now()))
}

/// Whether every vaccine for the dose is excluded. The specification looks at preferable vaccines only, its test cases at
/// allowable ones too.
pub(crate) fn all_excluded(case: &Case<'_, '_>, antigen: &Antigen, dose: &SeriesDose) -> bool {
    let observed = antigen.vaccine_contraindications.iter().any(|rule| case.observed(rule.observation));
    observed
        && !dose.preferable.is_empty()
        && dose.preferable.iter().chain(&dose.allowable).all(|vaccine| is_excluded(case, antigen, vaccine))
}

/// What table 7-10 says of a series with a dose left, before its dates are known.
pub(crate) fn obstacle(case: &Case<'_, '_>, antigen: &Antigen, dose: &SeriesDose) -> Option<(Status, ForecastReason)> {
    if is_immune(case, antigen) {
        return Some((Status::Immune, ForecastReason::EvidenceOfImmunity));
    }
    if is_contraindicated(case, antigen) || all_excluded(case, antigen, dose) {
        return Some((Status::Contraindicated, ForecastReason::Contraindication));
    }
    if dose.season.end.is_some_and(|end| case.clock.reached(end.plus_days(1))) {
        return Some((Status::NotRecommended, ForecastReason::PastSeason));
    }
    None
}
