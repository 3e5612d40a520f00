//! What befalls a node, counted in packets with a wrong verdict and in edits that came to nothing: none. Needs root.
#![allow(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod crash_points;
mod probes;

use std::net::Ipv4Addr;
use std::time::Duration;

use sluice_e2e::fleet::{Fleet, Options};
use sluice_e2e::traffic::{Route, Tally, Traffic};

const PATIENCE: Duration = Duration::from_secs(30);
const PER_SECOND: u64 = 40_000;
const PASSED: u16 = 7001;
const DROPPED: u16 = 7002;
/// Passed datagrams after each event: the event's effect, if any, is among them.
const AFTER: u64 = 4_000;

fn fleet(prefix: &str) -> (Fleet, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (Fleet::build(Options::unique(prefix, 1, directory.path())).unwrap(), directory)
}

/// Half must pass the filter and half must not.
fn start(fleet: &Fleet) -> Traffic {
    let route = Route {
        from: &fleet.hub,
        to: &fleet.edges[0].netns,
        interface: "to-edge-1",
        address: Ipv4Addr::new(10, 80, 1, 2),
        passed: PASSED,
        dropped: DROPPED,
    };
    let traffic = Traffic::start(route, PER_SECOND).unwrap();
    flow(&traffic);
    traffic
}

fn flow(traffic: &Traffic) {
    traffic.flow(AFTER, PATIENCE).unwrap();
}

fn finish(traffic: Traffic) -> Tally {
    let tally = traffic.stop().unwrap();
    println!("{tally:?}");
    assert!(tally.overflowed <= tally.sent / 1000, "{tally:?}");
    tally
}
