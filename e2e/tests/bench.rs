//! The bench measures what it says. What it finds is for docs/benchmarks.md: no test waits for a number.

use sluice_datapath::test_run::XdpAction;
use sluice_e2e::bench::{rows, wire};

/// Any interface will do where nothing is timed.
const LOOPBACK: u32 = 1;
const REPEATED: u32 = 100;

#[test]
fn every_row_gets_its_verdict_ours_and_those_of_others() {
    if skips_privileged() {
        return;
    }
    let all = rows::all(LOOPBACK).unwrap();
    for row in &all.rows {
        let run =
            |program: &sluice_datapath::measure::Repeatable| program.run(&row.frame, REPEATED, LOOPBACK);
        assert_eq!(run(&row.program).unwrap(), row.expected, "{}", row.label.name);
        assert_eq!(run(&row.empty).unwrap(), XdpAction::Drop, "{}", row.label.name);
    }
    assert!(all.rows.iter().any(|row| row.label.name.starts_with("xdp-filter")));
    assert_eq!(all.missing, [""; 0]);
}

/// Verdicts are counted by the kernel, and a row whose counters say something else fails.
#[test]
fn frames_over_a_cable_meet_what_stands_at_its_end() {
    if skips_privileged() {
        return;
    }
    let found = wire::one_process(1).unwrap();
    let costs = |row: &wire::Ratio| row.drops.is_finite() && row.passes.is_none_or(f64::is_finite);
    assert!(found.rows.iter().all(costs), "{found:?}");
    assert!(found.rows.iter().any(|row| row.passes.is_some()), "{found:?}");
    assert_eq!(found.missing, [""; 0]);
}

fn skips_privileged() -> bool {
    std::env::var_os("SLUICE_SKIP_PRIVILEGED").is_some_and(|value| value == "1")
}
