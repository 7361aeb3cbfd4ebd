//! The dispatcher in virtual time: an EMR that fails in every way, a process that is killed at any await, two nodes that fight
//! for the lease, clocks that jump. Each seed is one history; `WEIR_SIM_SEEDS` (default 200) and `WEIR_SIM_SEED` change the run.

mod book;
mod emr;
mod many;
mod story;

use story::{Story, run};

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var_os(name).and_then(|text| text.to_str()?.parse().ok());
    match (number("WEIR_SIM_SEED"), number("WEIR_SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(200),
    }
}

/// Most backlogs are longer than what is in memory: in half of the histories that is next to nothing.
fn lookahead(seed: u64) -> usize {
    match seed % 4 {
        0 => 4,
        1 => 1 + seed as usize / 4 % 12,
        _ => 10_000,
    }
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order_and_the_rate_holds() {
    for seed in seeds() {
        run(&Story {
            seed,
            patients: 8,
            changes: 60,
            kills: 4,
            faults: true,
            lookahead: lookahead(seed),
            ..Story::default()
        });
    }
}

#[test]
fn two_nodes_that_fight_for_the_lease_do_no_harm() {
    for seed in seeds().step_by(4) {
        run(&Story {
            seed,
            patients: 6,
            changes: 40,
            kills: 3,
            faults: true,
            nodes: 2,
            lookahead: lookahead(seed / 4),
            ..Story::default()
        });
    }
}

#[test]
fn a_backlog_is_drained_in_time_and_the_estimate_is_right() {
    let story =
        Story { seed: 7, patients: 400, changes: 2_000, outage_s: 7_200, rate: 5, sessions: false, ..Story::default() };
    let told = run(&story);
    let ideal = told.backlog as f64 / told.allowed_per_s;
    assert!(told.drained_s <= 1.10 * ideal, "{told:?}: {ideal} s would be ideal");
    assert!((told.eta_s - told.drained_s).abs() <= 0.10 * told.drained_s, "{told:?}");
    assert!(told.utilisation >= 0.95, "{told:?}");
}

#[test]
fn no_call_is_made_outside_its_window() {
    for seed in seeds().take(20) {
        run(&Story {
            seed,
            patients: 8,
            changes: 60,
            kills: 2,
            faults: true,
            windows: true,
            lookahead: lookahead(seed),
            ..Story::default()
        });
    }
}

#[test]
fn a_refused_resource_blocks_nobody_else_and_is_replayed() {
    for seed in seeds().take(40) {
        let refuse = Some(if seed % 2 == 0 { "Patient/p0" } else { "Organization/o0" });
        let lookahead = 2 + seed as usize / 2 % 5;
        let kills = (seed % 4 / 2 * 3) as u32;
        let told = run(&Story { seed, patients: 8, changes: 150, kills, refuse, lookahead, ..Story::default() });
        assert!(told.shelved_max > 1, "seed {seed}: {told:?}");
    }
}

#[test]
fn a_backlog_far_longer_than_what_is_in_memory_gets_there() {
    for seed in seeds().take(10) {
        let told =
            run(&Story { seed, patients: 60, changes: 600, kills: 3, outage_s: 60, lookahead: 6, ..Story::default() });
        assert!(told.backlog > 100 && told.shelved_max > 0, "seed {seed}: {told:?}");
    }
}

#[test]
fn of_fifty_destinations_one_that_hangs_delays_no_other() {
    let p99 = |delays: Vec<std::time::Duration>| delays[delays.len() * 99 / 100];
    for seed in 0..2 {
        let (healthy, with_hung) = (p99(many::delays(false, seed)), p99(many::delays(true, seed)));
        assert!(
            with_hung.as_secs_f64() <= healthy.as_secs_f64() * 1.05,
            "seed {seed}: {healthy:?}, then {with_hung:?}"
        );
    }
}
