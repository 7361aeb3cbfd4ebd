//! Whatever happens in whatever order, every count is what a recount finds, and a restart changes nothing.

use crate::support::{ADA, BOB, DAY_US, Stand, Who, covid, patient, stand};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

#[derive(Clone, Debug)]
enum Step {
    Patient { slot: usize, who: usize },
    DropPatient { slot: usize },
    Dose { slot: usize, patient: usize, vaccine: usize, day: u32 },
    DropDose { slot: usize },
    Merge { one: usize, other: usize },
    Unmerge { slot: usize },
    Apart { one: usize, other: usize },
    Days { days: i64 },
    Restart,
}

const PATIENTS: usize = 6;
const DOSES: usize = 8;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..PATIENTS, 0..5_usize).prop_map(|(slot, who)| Step::Patient { slot, who }),
        1 => (0..PATIENTS).prop_map(|slot| Step::DropPatient { slot }),
        6 => (0..DOSES, 0..PATIENTS, 0..4_usize, 1..28_u32)
            .prop_map(|(slot, patient, vaccine, day)| Step::Dose { slot, patient, vaccine, day }),
        1 => (0..DOSES).prop_map(|slot| Step::DropDose { slot }),
        2 => (0..PATIENTS, 0..PATIENTS).prop_map(|(one, other)| Step::Merge { one, other }),
        2 => (0..PATIENTS).prop_map(|slot| Step::Unmerge { slot }),
        1 => (0..PATIENTS, 0..PATIENTS).prop_map(|(one, other)| Step::Apart { one, other }),
        1 => (1..400_i64).prop_map(|days| Step::Days { days }),
        1 => Just(Step::Restart),
    ]
}

fn who(number: usize) -> Who {
    match number {
        0 => ADA,
        1 => Who { family: "Lovelok", ..ADA },
        2 => Who { given: "Bertha", ..ADA },
        3 => Who { birth: "2021-01-20", ..BOB },
        _ => BOB,
    }
}

async fn apply(stand: Stand, step: &Step) -> Stand {
    let person = |slot: usize| stand.registry.person_of(&stand.session, &format!("p{slot}")).unwrap();
    match step {
        Step::Patient { slot, who: number } => stand.put("Patient", &format!("p{slot}"), &patient(who(*number))).await,
        Step::DropPatient { slot } => stand.delete("Patient", &format!("p{slot}")).await,
        Step::Dose { slot, patient, vaccine, day } => {
            let cvx = ["208", "212", "03", "210"][*vaccine];
            let body = covid(&format!("p{patient}"), cvx, &format!("2021-05-{day:02}"));
            stand.put("Immunization", &format!("d{slot}"), &body).await;
        }
        Step::DropDose { slot } => stand.delete("Immunization", &format!("d{slot}")).await,
        Step::Merge { one, other } => {
            if let (Some(into), Some(from)) = (person(*one), person(*other))
                && into != from
            {
                stand.registry.merge(&stand.engine, &stand.session, into, from, "").await.unwrap();
            }
        }
        Step::Unmerge { slot } => {
            if let Some(person) = person(*slot) {
                let records = [format!("p{slot}")];
                let result = stand.registry.unmerge(&stand.engine, &stand.session, person, &records, "").await;
                assert!(result.is_ok() || result.unwrap_err().status == 400, "one record must stay");
            }
        }
        Step::Apart { one, other } => {
            let (one, other) = (format!("p{one}"), format!("p{other}"));
            let result = stand.registry.keep_apart(&stand.engine, &stand.session, &one, &other, "").await;
            assert!(result.is_ok() || [404, 409].contains(&result.unwrap_err().status));
        }
        Step::Days { days } => {
            stand.clock.advance_us(days * DAY_US);
            stand.registry.turn(&stand.engine, &stand.session).await.unwrap();
        }
        Step::Restart => return stand.reopen().await,
    }
    stand
}

#[test]
fn counters_equal_a_recount_after_any_history() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    let outcome = runner.run(&proptest::collection::vec(step(), 1..40), |steps| {
        runtime.block_on(async {
            let mut stand = stand().await;
            for step in &steps {
                stand = apply(stand, step).await;
            }
            stand.audit().await;
            let tables = |stand: &Stand| -> Vec<_> {
                registry::KINDS.iter().map(|kind| stand.registry.table(&stand.session, *kind).unwrap()).collect()
            };
            let before = tables(&stand);
            let stand = stand.reopen().await;
            assert_eq!(tables(&stand), before, "a restart changes nothing");
        });
        Ok(())
    });
    outcome.unwrap();
}
