//! How many people a core can evaluate and forecast a second, all antigens, with histories as long as those of a register.

use crate::latency::Latencies;
use crate::options::Options;
use crate::random::Random;
use crate::report::{Report, Target};
use ::vaccines::{Date, Dose, Person, Schedule, Sex};
use anyhow::{Context, Result};
use std::time::Instant;

const PEOPLE: u64 = 2_000;
const ASSESSMENT: &str = "2025-11-10";
/// Of a hundred doses that are due, so many are given.
const COVERAGE: u64 = 85;

/// Vaccine types and the ages in days at which they are due.
const ROUTINE: &[(u16, &[i32])] = &[
    (8, &[0, 35, 185]),
    (116, &[62, 124, 186]),
    (20, &[62, 124, 186, 470, 1500]),
    (48, &[62, 124, 186, 400]),
    (133, &[62, 124, 186, 400]),
    (10, &[62, 124, 200, 1500]),
    (3, &[370, 1500]),
    (21, &[370, 1500]),
    (83, &[370, 560]),
    (115, &[4030, 7700, 11400, 15100]),
    (114, &[4030, 5850]),
    (165, &[4030, 4220]),
    (140, &[400, 800, 1200, 5000, 9000, 13000, 17000, 21000, 25000]),
    (187, &[18300, 18400]),
    (33, &[23800]),
];

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let started = Instant::now();
    let schedule = load(options)?;
    let loading = started.elapsed().as_secs_f64() * 1000.0;
    report.figure("vaccines: loading the supporting data", loading, "ms", Target::None);
    let assessment: Date = ASSESSMENT.parse()?;
    let mut random = Random::new(4);
    let people: Vec<Person> = (0..PEOPLE).map(|_| person(assessment, &mut random)).collect();
    let doses: usize = people.iter().map(|person| person.doses.len()).sum();
    report.figure("vaccines: doses of a person", doses as f64 / PEOPLE as f64, "", Target::None);
    let (mut latencies, mut recommendations) = (Latencies::default(), 0);
    let started = Instant::now();
    while started.elapsed() < options.time {
        for person in &people {
            let asked = Instant::now();
            recommendations += ::vaccines::forecast(&schedule, person, assessment).recommendations.len();
            latencies.push(asked.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
        }
    }
    let rate = latencies.count() as f64 / started.elapsed().as_secs_f64();
    latencies.sort();
    anyhow::ensure!(recommendations > 0, "nothing was recommended to anybody");
    report.figure("vaccines: people evaluated and forecast on one core", rate, "/s", Target::AtLeast(10_000.0));
    report.figure("vaccines: p50 of a person", latencies.percentile_ms(50.0), "ms", Target::None);
    report.figure("vaccines: p99 of a person", latencies.percentile_ms(99.0), "ms", Target::AtMost(0.5));
    Ok(())
}

fn load(options: &Options) -> Result<Schedule> {
    let folder = options.data.join("cdsi/supporting-data-4.64");
    let (mut schedule, mut antigens) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "ScheduleSupportingData.xml" {
            schedule = std::fs::read(&path)?;
        } else if name.ends_with(".xml") {
            antigens.push(std::fs::read(&path)?);
        }
    }
    Ok(Schedule::load("4.64", &schedule, antigens.iter().map(Vec::as_slice))?)
}

/// Somebody of up to eighty years who was given most of what was due, most of it late.
fn person(assessment: Date, random: &mut Random) -> Person {
    let birth = assessment.plus_days(-((random.next() % (80 * 365)) as i32));
    let mut doses = Vec::new();
    for (cvx, ages) in ROUTINE {
        for age in *ages {
            let date = birth.plus_days(age + (random.next() % 60) as i32);
            if date <= assessment && random.next() % 100 < COVERAGE {
                doses.push(Dose { date, cvx: *cvx, mvx: None, substandard: false });
            }
        }
    }
    let sex = *random.pick(&[Sex::Female, Sex::Male]);
    Person { birth, sex, born_in_us: true, doses, observations: Vec::new() }
}
