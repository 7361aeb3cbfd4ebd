//! Counting doses by a programme.

use super::{EarlyDose, Programme};
use crate::date::Date;
use crate::outcome::DoseReason;
use crate::person::{Dose, Person};
use crate::standing::{Invalid, Standing, Status};

/// CDC's grace period.
const GRACE_DAYS: i32 = 4;

/// A dose of the programme.
#[derive(Clone, Copy)]
struct Given {
    dose: usize,
    date: Date,
    product: usize,
    /// How many doses of its product are all.
    required: u8,
}

/// Doses that count together towards as many as `required`.
struct Class {
    required: u8,
    members: Vec<Given>,
    /// Positions in `members` of those that count.
    counted: Vec<usize>,
}

impl Class {
    fn counted(&self) -> impl Iterator<Item = &Given> {
        self.counted.iter().map(|at| &self.members[*at])
    }

    fn full_on(&self) -> Option<Date> {
        self.counted().nth(usize::from(self.required) - 1).map(|given| given.date)
    }
}

pub(super) fn standing(programme: &Programme, person: &Person, today: Date) -> Standing {
    let future = person.doses.iter().filter(|dose| dose.date > today && programme.product_of(dose).is_some());
    let next_transition = future.map(|dose| dose.date).min();
    let given = given(programme, person, today);
    let (mut invalid, mut eligible) = (Vec::new(), Vec::new());
    for one in &given {
        match obstacle(programme, person, &person.doses[one.dose]) {
            Some(reason) => invalid.push(Invalid { dose: one.dose, reasons: vec![reason] }),
            None => eligible.push(*one),
        }
    }
    let classes = classes(programme, &eligible);
    let full_on = classes.iter().filter_map(Class::full_on).min();
    let booster = full_on.and_then(|full| booster(programme, &eligible, full));
    let mut counted = counted(programme, &classes, full_on);
    counted.extend(booster.map(|booster| booster.dose));
    let counts = |one: &&Given| counted.contains(&one.dose);
    invalid.extend(eligible.iter().filter(|one| !counts(one)).map(|one| {
        let reason = why_not_counted(&eligible, &classes, &counted, one);
        Invalid { dose: one.dose, reasons: vec![reason] }
    }));
    invalid.sort_by_key(|one| one.dose);
    Standing {
        status: match (full_on, counted.is_empty()) {
            (Some(_), _) => Status::Full,
            (None, false) => Status::Partial,
            (None, true) => Status::Not,
        },
        boosted: booster.is_some(),
        up_to_date: full_on.is_some(),
        recorded_doses: given.len(),
        valid_doses: eligible.iter().filter(counts).count(),
        first_on: eligible.iter().find(counts).map(|one| one.date),
        full_on,
        boosted_on: booster.map(|booster| booster.date),
        invalid,
        next_transition,
        ..Standing::default()
    }
}

/// The doses of the programme by the day, in an order that is not that of the record: by date, then what needs fewer doses.
fn given(programme: &Programme, person: &Person, today: Date) -> Vec<Given> {
    let doses = person.doses.iter().enumerate().filter(|(_, dose)| dose.date <= today);
    let mut given: Vec<Given> = doses
        .filter_map(|(at, dose)| {
            let product = programme.product_of(dose)?;
            Some(Given { dose: at, date: dose.date, product, required: programme.products[product].doses_required })
        })
        .collect();
    given.sort_by_key(|one| {
        let dose = &person.doses[one.dose];
        (one.date, one.required, one.product, dose.cvx, &dose.mvx)
    });
    given
}

/// Why a dose does not count, whatever the other doses are.
fn obstacle(programme: &Programme, person: &Person, dose: &Dose) -> Option<DoseReason> {
    let grace = if programme.early_dose == EarlyDose::Grace { GRACE_DAYS } else { 0 };
    let before = programme.effective_from.is_some_and(|from| dose.date < from);
    if before || programme.effective_until.is_some_and(|until| dose.date > until) {
        Some(DoseReason::OutsideProgramme)
    } else if dose.substandard {
        Some(DoseReason::SubStandard)
    } else if programme.min_age.is_some_and(|age| dose.date.plus_days(grace) < person.birth + age) {
        Some(DoseReason::TooYoung)
    } else {
        None
    }
}

/// With mixing, a dose also counts towards what products ask for that need more doses: it is worth at least one of theirs.
fn classes(programme: &Programme, eligible: &[Given]) -> Vec<Class> {
    let mut keys: Vec<(u8, usize)> =
        eligible.iter().map(|one| (one.required, if programme.mixing { 0 } else { one.product })).collect();
    keys.sort_unstable();
    keys.dedup();
    let class = |(required, product): (u8, usize)| {
        let belongs = |one: &&Given| {
            if programme.mixing { one.required <= required } else { one.product == product }
        };
        let members: Vec<Given> = eligible.iter().filter(belongs).copied().collect();
        let counted = count(programme, &members);
        Class { required, members, counted }
    };
    keys.into_iter().map(class).collect()
}

/// The doses that keep their distance: each as early as it can be, which leaves room for the most.
fn count(programme: &Programme, members: &[Given]) -> Vec<usize> {
    let mut counted: Vec<usize> = Vec::new();
    for (at, one) in members.iter().enumerate() {
        let last = counted.last().map(|last| members[*last].date);
        if last.is_none_or(|last| one.date >= last.plus_days(distance(programme, one))) {
            counted.push(at);
        }
    }
    counted
}

/// Days to the last dose that counts. Two doses of one day are never two; a product of one dose needs no other.
fn distance(programme: &Programme, one: &Given) -> i32 {
    let days = i32::from(programme.products[one.product].min_interval_days);
    let kept = match programme.early_dose {
        _ if one.required == 1 => 0,
        EarlyDose::Count => 0,
        EarlyDose::Grace => days - GRACE_DAYS,
        EarlyDose::Strict => days,
    };
    kept.max(1)
}

/// The positions in the record of all doses that count. Without mixing those of the product that has come furthest, and after
/// it is full the others too.
fn counted(programme: &Programme, classes: &[Class], full_on: Option<Date>) -> Vec<usize> {
    let leading = classes.iter().enumerate().min_by_key(|(_, class)| {
        let first = class.counted().next().map(|one| one.date);
        (class.full_on().is_none(), class.full_on(), std::cmp::Reverse(class.counted.len()), first)
    });
    let mut counted = Vec::new();
    for (at, class) in classes.iter().enumerate() {
        let leads = leading.is_some_and(|(leading, _)| leading == at);
        let late = |one: &&Given| full_on.is_some_and(|full| one.date > full);
        let counting = class.counted().filter(|one| programme.mixing || leads || late(one));
        counted.extend(counting.map(|one| one.dose));
    }
    counted.sort_unstable();
    counted.dedup();
    counted
}

/// The first dose that is a booster. It must keep its own distance only.
fn booster(programme: &Programme, eligible: &[Given], full: Date) -> Option<Given> {
    let rule = programme.booster.as_ref()?;
    let from = full.plus_days(i32::from(rule.min_interval_days).max(1)).max(rule.from.unwrap_or(full));
    eligible.iter().find(|one| one.date >= from).copied()
}

fn why_not_counted(eligible: &[Given], classes: &[Class], counted: &[usize], one: &Given) -> DoseReason {
    let is_same_day = |other: &Given| other.dose != one.dose && other.date == one.date && counted.contains(&other.dose);
    if eligible.iter().any(is_same_day) {
        DoseReason::SameDay
    } else if classes.iter().any(|class| class.counted().any(|other| other.dose == one.dose)) {
        DoseReason::OtherProduct
    } else {
        DoseReason::TooSoon
    }
}
