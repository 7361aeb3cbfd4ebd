//! Who may be meant: `$match`, and the record under which a vaccination of a person is kept.

use crate::Registry;
use crate::event::reasons;
use crate::live::{Known, Live};
use crate::patient::{Demographics, WEIGHT_MIN};
use crate::row::PersonId;
use engine::{Error, Session};
use fhir::json::Node;
use identity::{Candidate, Decision, Encoded, Grade};

/// A record that may be meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// Id of the Patient.
    pub record: String,
    pub person: PersonId,
    pub bits: f64,
    /// How probable it is that this is the person, 0 to 1.
    pub score: f64,
    pub grade: Grade,
    pub reasons: Vec<String>,
}

impl Registry {
    /// The records that may be those of the person whom a Patient resource describes, best first. Refuses (422) what would
    /// fit too many people.
    pub fn find(&self, session: &Session, patient: Node<'_>) -> Result<Vec<Match>, Error> {
        let demographics = Demographics::of(patient);
        if demographics.weight() < WEIGHT_MIN {
            let text = "too little to find a person by: give a full name and a birth date with an address, phone or identifier";
            return Err(Error::new(422, "business-rule", text));
        }
        self.tenancy(&session.tenant)?.compare(&demographics, |live, encoded| {
            let size = live.index.len();
            let matches = committed(live, encoded).map(|(candidate, name, known)| Match {
                record: name.to_owned(),
                person: known.person,
                bits: crate::event::round(candidate.score.bits),
                score: posterior(candidate.score.bits, size),
                grade: live.bands.grade(&candidate.score, size),
                reasons: reasons(&candidate.score),
            });
            matches.collect()
        })
    }

    /// The record of the person whom a Patient resource describes, if matching is sure of one: what is known of this person
    /// goes there. Guards apply as they do when the Patient is written.
    pub fn sure(&self, session: &Session, patient: Node<'_>) -> Result<Option<(String, PersonId)>, Error> {
        self.tenancy(&session.tenant)?.compare(&Demographics::of(patient), |live, encoded| {
            let best = committed(live, encoded)
                .find(|(candidate, ..)| live.bands.decide(&candidate.score, live.index.len()) == Decision::Auto);
            best.map(|(_, name, known)| (name.to_owned(), known.person))
        })
    }
}

/// Candidates for what is nobody's record yet, hence has no id, best first. Nobody can refer to a record whose commit may fail.
fn committed<'a>(live: &'a Live, encoded: &Encoded) -> impl Iterator<Item = (Candidate, &'a str, Known)> {
    live.candidates("", encoded).into_iter().filter(|(_, name, _)| !live.pending.contains_key(*name))
}

/// The score and what it means in an index of `size` records: the more there are, the more are alike by chance.
fn posterior(bits: f32, size: usize) -> f64 {
    let odds = f64::from(bits) - (size.max(1_000) as f64).log2();
    let probability = 1.0 / (1.0 + (-odds).exp2());
    (probability * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::posterior;

    #[test]
    fn the_same_score_means_less_in_a_larger_index() {
        assert!(posterior(20.0, 1_000) > 0.99);
        assert!(posterior(20.0, 1_000_000) < 0.6);
        assert_eq!(posterior(80.0, 10), 1.0);
    }
}
