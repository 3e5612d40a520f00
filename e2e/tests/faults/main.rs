//! What befalls a node, counted in packets with a wrong verdict and in edits that came to nothing: none. Needs root.
#![allow(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod bpffs;
mod crash_points;
mod network;
mod probes;
mod process;
mod storms;
mod versions;
mod wire;

use std::time::Duration;

use sluice_e2e::fleet::{Fleet, Options};
use sluice_e2e::traffic::{Route, Traffic};

use probes::Probes;

const PATIENCE: Duration = Duration::from_secs(30);
const PER_SECOND: u64 = 20_000;
const PASSED: u16 = 7001;
const DROPPED: u16 = 7002;
/// Passed datagrams after each event: the event's effect, if any, is among them.
const AFTER: u64 = 2_000;

fn fleet(prefix: &str, edges: usize) -> (Fleet, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (Fleet::build(Options::unique(prefix, edges, directory.path())).unwrap(), directory)
}

/// Half must pass the filter and half must not.
fn start(fleet: &Fleet, edge: usize) -> Traffic {
    let number = edge + 1;
    let route = Route {
        from: &fleet.hub,
        to: &fleet.edges[edge].netns,
        interface: &format!("to-edge-{number}"),
        address: format!("10.80.{number}.2").parse().unwrap(),
        passed: PASSED,
        dropped: DROPPED,
    };
    let traffic = Traffic::start(route, PER_SECOND).unwrap();
    flow(&traffic);
    traffic
}

/// The first node once `object` is in force there: the hash of that, and what watches the node from now on.
fn watch(fleet: &Fleet, object: &str) -> (String, Probes, Traffic) {
    let hash = fleet.wait_ready(object, 1, "", PATIENCE).unwrap().hash;
    (hash, Probes::new(fleet, 0), start(fleet, 0))
}

/// A fleet of one node that enforces version 0 of the filter `edge`, and is watched.
fn enforcing(prefix: &str) -> (Fleet, tempfile::TempDir, String, Probes, Traffic) {
    let (mut fleet, directory) = fleet(prefix, 1);
    probes::write_objects(&fleet);
    fleet.write_policy("edge.yaml", &probes::policy(0)).unwrap();
    fleet.start().unwrap();
    let (hash, probes, traffic) = watch(&fleet, "edge");
    (fleet, directory, hash, probes, traffic)
}

fn flow(traffic: &Traffic) {
    traffic.flow(AFTER, PATIENCE).unwrap();
}

/// No packet met a wrong verdict.
fn finish(traffic: Traffic) {
    let tally = traffic.stop().unwrap();
    println!("{tally:?}");
    assert!(tally.overflowed <= tally.sent / 1000, "{tally:?}");
    assert_eq!(tally.wrong(), 0, "{tally:?}");
}
