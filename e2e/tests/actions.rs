//! Actions that packets go on from, on a live node: Count, RateLimit and Mark. Needs root.
#![allow(clippy::unwrap_used, reason = "a test says what failed by failing")]

use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use sluice_e2e::fleet::{Fleet, Options};
use sluice_e2e::frames;
use sluice_e2e::netns::{End, connect, mac};
use sluice_e2e::process::eventually;
use sluice_e2e::sender::Sender;

const PATIENCE: Duration = Duration::from_secs(20);

/// Packets a second of each limit.
const RATE: u64 = 10_000;
/// A tenth of a second: as long as a sender may be without its CPU.
const BURST: u64 = 1000;
const TIME: Duration = Duration::from_secs(2);
/// Of each sender, well above the rate.
const SENT: u64 = 30_000;

const BY_RULE: u16 = 5001;
const BY_SOURCE: u16 = 5002;
const AUDITED: u16 = 5003;
const MARKED: u16 = 5004;
const UNMARKED: u16 = 5005;

const POLICY: &str = "apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {name: actions}
spec:
  interfaces: {names: [eth0, eth1]}
  rules:
  - {name: all, action: Count, match: {protocols: [UDP], destinationPorts: [\"5001-5003\"]}}
  - name: by-rule
    action: RateLimit
    rateLimit: {packetsPerSecond: 10000, burst: 1000}
    match: {protocols: [UDP], destinationPorts: [\"5001\"]}
  - name: by-source
    action: RateLimit
    rateLimit: {packetsPerSecond: 10000, burst: 1000, per: Source}
    match: {protocols: [UDP], destinationPorts: [\"5002\"]}
  - name: audited
    action: RateLimit
    mode: Audit
    rateLimit: {packetsPerSecond: 10000, burst: 1000}
    match: {protocols: [UDP], destinationPorts: [\"5003\"]}
  - {name: marked, action: Mark, mark: {value: 16, mask: 255}, match: {destinationPorts: [\"5004\"]}}
  - {name: first, action: Drop, match: {sources: {cidrs: [198.18.0.1/32]}, destinationPorts: [\"5001-5003\"]}}
  - {name: second, action: Drop, match: {sources: {cidrs: [198.18.0.2/32]}, destinationPorts: [\"5001-5003\"]}}
";

#[test]
fn packets_are_counted_and_rates_hold() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { prefix: "slac".to_owned(), edges: 1, directory: directory.path().to_owned() };
    let mut fleet = Fleet::build(options).unwrap();
    // Two interfaces, so that two CPUs run the program at the same time.
    let hub = End { netns: &fleet.hub, interface: "to-eth1", addresses: &[] };
    connect(hub, End { netns: &fleet.edges[0].netns, interface: "eth1", addresses: &[] }).unwrap();
    fleet.write_policy("actions.yaml", POLICY).unwrap();
    fleet.start().unwrap();
    fleet.wait_ready("actions", 1, "", PATIENCE).unwrap();

    a_rate_is_that_of_all_cpus(&fleet);
    each_source_has_its_own_rate(&fleet);
    audit_drops_nothing(&fleet);
    a_mark_is_seen_behind_xdp(&fleet);
}

/// What a rule counted.
fn counted(fleet: &Fleet, rule: &str, verdict: &str) -> u64 {
    let nodes = fleet.counters().unwrap_or_default();
    let counters = nodes.iter().flat_map(|node| &node.counters);
    counters.filter(|found| found.rule == rule && found.verdict == verdict).map(|found| found.packets).sum()
}

/// Waits until the rules have counted as many packets as were sent.
fn wait_for(fleet: &Fleet, wanted: u64, counted: impl Fn() -> u64) {
    let seen = eventually(PATIENCE, || Ok((counted() >= wanted).then_some(())));
    seen.unwrap_or_else(|error| panic!("{error:#}: {} of {wanted}{}", counted(), fleet.last_words()));
    assert_eq!(counted(), wanted);
}

/// Two senders, each on a CPU and to an interface of its own. How long they sent.
fn flood(fleet: &Fleet, port: u16) -> Duration {
    let begun = Instant::now();
    let senders = [0, 1].map(|cpu| {
        let to = mac(&fleet.edges[0].netns, &format!("eth{cpu}")).unwrap();
        let from = [198, 18, 0, cpu as u8 + 1];
        let frame = frames::udp([2, 0, 0, 0, 0, 9], to, from, [10, 80, 1, 2], 4000, port);
        let interface = ["to-edge-1", "to-eth1"][cpu];
        let total = SENT * TIME.as_secs();
        Sender::start(&fleet.hub, interface, SENT, total, move |number, buffer| {
            if number == 0 {
                let mut only = CpuSet::new();
                only.set(cpu).unwrap();
                sched_setaffinity(Pid::from_raw(0), &only).unwrap();
            }
            buffer[..frame.len()].copy_from_slice(&frame);
            frame.len()
        })
    });
    let sent: u64 = senders.into_iter().map(|sender| sender.finish().unwrap()).sum();
    let took = begun.elapsed();
    assert_eq!(sent, 2 * SENT * TIME.as_secs());
    println!("port {port}: {sent} packets in {took:?}");
    took
}

/// Within 5 % of what the rate allows in that time.
fn assert_rate(passed: u64, took: Duration, what: &str) {
    let allowed = BURST as f64 + RATE as f64 * took.as_secs_f64();
    println!("{what}: {passed} passed, {allowed:.0} allowed");
    assert!((passed as f64 / allowed - 1.0).abs() <= 0.05, "{what}: {passed} passed, {allowed:.0} allowed");
}

fn a_rate_is_that_of_all_cpus(fleet: &Fleet) {
    let took = flood(fleet, BY_RULE);
    let all = 2 * SENT * TIME.as_secs();
    wait_for(fleet, all, || counted(fleet, "by-rule", "continue") + counted(fleet, "by-rule", "drop"));
    let passed = counted(fleet, "by-rule", "continue");
    assert_rate(passed, took, "per rule, two CPUs");
    assert_eq!(counted(fleet, "all", "continue"), all, "every packet was counted on the way");
    let went_on = counted(fleet, "first", "drop") + counted(fleet, "second", "drop");
    assert_eq!(went_on, passed, "what is within the rate goes on with the next rules");
}

fn each_source_has_its_own_rate(fleet: &Fleet) {
    let before = ["first", "second"].map(|rule| counted(fleet, rule, "drop"));
    let took = flood(fleet, BY_SOURCE);
    let all = 2 * SENT * TIME.as_secs();
    wait_for(fleet, all, || counted(fleet, "by-source", "continue") + counted(fleet, "by-source", "drop"));
    for (rule, before) in ["first", "second"].into_iter().zip(before) {
        assert_rate(counted(fleet, rule, "drop") - before, took, &format!("per source, {rule}"));
    }
}

fn audit_drops_nothing(fleet: &Fleet) {
    let before = counted(fleet, "first", "drop") + counted(fleet, "second", "drop");
    let took = flood(fleet, AUDITED);
    let all = 2 * SENT * TIME.as_secs();
    wait_for(fleet, all, || counted(fleet, "audited", "continue") + counted(fleet, "audited", "audited"));
    assert_rate(counted(fleet, "audited", "continue"), took, "audited");
    let went_on = counted(fleet, "first", "drop") + counted(fleet, "second", "drop") - before;
    assert_eq!((went_on, counted(fleet, "audited", "drop")), (all, 0));
}

/// What is marked with 16 under the mask 255, as nftables sees it.
const COUNT_MARKED: &str = "table inet probe {
    chain first { type filter hook prerouting priority -300; meta mark and 0xff == 0x10 counter; }
}";

fn a_mark_is_seen_behind_xdp(fleet: &Fleet) {
    let edge = &fleet.edges[0].netns;
    edge.command("nft").arg(COUNT_MARKED).status().unwrap();
    let to = mac(edge, "eth0").unwrap();
    let send = |port: u16, count: u64| {
        let frame = frames::udp([2, 0, 0, 0, 0, 9], to, [10, 80, 1, 1], [10, 80, 1, 2], 4000, port);
        let sender = Sender::start(&fleet.hub, "to-edge-1", 20_000, count, move |_, buffer| {
            buffer[..frame.len()].copy_from_slice(&frame);
            frame.len()
        });
        assert_eq!(sender.finish().unwrap(), count);
    };
    send(UNMARKED, 300);
    send(MARKED, 500);
    wait_for(fleet, 500, || counted(fleet, "marked", "continue"));
    let nft = edge.command("nft").args(["list", "table", "inet", "probe"]).output().unwrap();
    let nft = String::from_utf8(nft.stdout).unwrap();
    assert!(nft.contains("counter packets 500 "), "{nft}");
    // Without the rule there is no program behind XDP, and no mark.
    let marks = fleet.bpffs(0).join("marks");
    assert_eq!(std::fs::read_dir(&marks).unwrap().count(), 2, "one for each interface");
    let before = fleet.wait_ready("actions", 1, "", PATIENCE).unwrap();
    let without: String = POLICY
        .lines()
        .filter(|line| !line.contains("action: Mark"))
        .map(|line| format!("{line}\n"))
        .collect();
    fleet.write_policy("actions.yaml", &without).unwrap();
    fleet.wait_ready("actions", 1, &before.hash, PATIENCE).unwrap();
    assert_eq!(std::fs::read_dir(&marks).unwrap().count(), 0);
}
