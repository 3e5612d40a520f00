//! No packet meets a wrong verdict, whatever happens to agent, operator and policies. Needs root.
//!
//! Two hundred thousand numbered datagrams a second, half of which must pass and half must not. The longest time
//! without a passed one is printed for each event, and beside it the longest time in which none was sent.
#![allow(clippy::unwrap_used, reason = "a test says what failed by failing")]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use sluice_e2e::fleet::{Fleet, Options};
use sluice_e2e::netns::{End, connect};
use sluice_e2e::process::{Process, eventually};
use sluice_e2e::traffic::{Route, Tally, Traffic};

const PATIENCE: Duration = Duration::from_secs(20);
const PER_SECOND: u64 = 220_000;
/// While the sender has a processor: what else the machine is busy with is no fault of the filter.
const REACHED: u64 = 200_000;
/// Of a thousand datagrams, those that may meet a full queue instead of a verdict.
const UNDECIDED: u64 = 1;
/// SIGTERM ends both programs within this; the operator gives its agents five seconds to hang up.
const DRAIN: Duration = Duration::from_secs(6);
const PASSED: u16 = 7001;
const DROPPED: u16 = 7002;
/// Passed datagrams after each event: the event's effect, if any, is among them.
const AFTER: u64 = 20_000;

fn fleet(prefix: &str) -> (Fleet, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::build(Options::unique(prefix, 1, directory.path())).unwrap();
    fleet.write_policy("edge.yaml", &policy(0)).unwrap();
    fleet.start().unwrap();
    fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    (fleet, directory)
}

/// The verdicts on the traffic are always the same; what else the policy has differs by `version`, every fifth in the
/// kinds of matches, so that another program is loaded.
fn policy(version: u32) -> String {
    let (port, more) = (10_000 + version, if version.is_multiple_of(5) { "" } else { MORE });
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: edge}}\nspec:\n  \
         interfaces: {{names: [eth0]}}\n  rules:\n  - name: other\n    action: Drop\n    \
         match: {{protocols: [TCP], destinationPorts: [\"{port}\"]}}\n{more}  - name: flood\n    action: Drop\n    \
         match: {{protocols: [UDP], destinationPorts: [\"{DROPPED}\"]}}\n"
    )
}

const MORE: &str = "  - name: nets\n    action: Drop\n    match:\n      sources: {cidrs: [198.51.100.0/24]}\n      \
                    tcpFlags: {set: [SYN], unset: [ACK]}\n";

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
    traffic.flow(AFTER, PATIENCE).unwrap();
    traffic.longest_gap();
    traffic
}

/// Lets traffic flow after an event and prints the longest gap since the last one.
fn passed(traffic: &Traffic, event: &str) {
    traffic.flow(AFTER, PATIENCE).unwrap();
    say(event, traffic.longest_gap(), traffic.longest_pause());
}

fn say(event: &str, gap: Duration, pause: Duration) {
    let [gap, pause] = [gap, pause].map(|time| time.as_secs_f64() * 1e3);
    println!("{event:<34} longest gap {gap:>7.1} ms, sender's longest pause {pause:>7.1} ms");
}

fn finish(traffic: Traffic) -> Tally {
    let tally = traffic.stop().unwrap();
    println!("{tally:?}");
    assert!(tally.per_second_running >= REACHED, "{tally:?}");
    assert!(tally.overflowed <= tally.sent * UNDECIDED / 1000, "{tally:?}");
    tally
}

/// Ends a program with SIGTERM.
fn drain(process: &mut Process) {
    let begun = Instant::now();
    let status = process.stop(PATIENCE).unwrap();
    assert!(status.success(), "{status}");
    assert!(begun.elapsed() < DRAIN, "{:?}", begun.elapsed());
}

#[test]
fn no_verdict_is_wrong_while_agent_and_operator_come_and_go() {
    let (mut fleet, _directory) = fleet("slkw");
    let traffic = start(&fleet);
    passed(&traffic, "nothing happens");

    drain(fleet.edges[0].agent.as_mut().unwrap());
    passed(&traffic, "agent SIGTERM");
    fleet.start_agent(0).unwrap();
    fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    passed(&traffic, "agent started again");
    fleet.edges[0].agent.as_mut().unwrap().kill().unwrap();
    passed(&traffic, "agent SIGKILL");
    fleet.start_agent(0).unwrap();
    fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    passed(&traffic, "agent started again");
    fleet.operator.as_mut().unwrap().kill().unwrap();
    passed(&traffic, "operator SIGKILL");
    fleet.start_operator().unwrap();
    fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    passed(&traffic, "operator started again");
    let before = fleet.epoch().unwrap();
    drain(fleet.operator.as_mut().unwrap());
    passed(&traffic, "operator SIGTERM");
    let log = fleet.edges[0].agent.as_ref().unwrap().log();
    assert!(log.contains("the operator restarts"), "the agent was told");
    fleet.start_operator().unwrap();
    fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    assert_eq!(fleet.epoch().unwrap(), before, "what was agreed is on disk");
    passed(&traffic, "operator started again");

    let tally = finish(traffic);
    assert_eq!(tally.wrong(), 0, "{tally:?}");
    assert!(tally.sent >= 9 * AFTER, "{tally:?}");
}

#[test]
fn no_verdict_is_wrong_while_policies_are_replaced_and_broken() {
    let (fleet, _directory) = fleet("slkp");
    let traffic = start(&fleet);
    let mut hash = fleet.wait_ready("edge", 1, "", PATIENCE).unwrap().hash;
    let (mut longest, mut pause, begun) = (Duration::ZERO, Duration::ZERO, Instant::now());
    for version in 1..=100 {
        if version % 10 == 0 {
            fleet.write_policy("edge.yaml", "kind: [broken").unwrap();
            eventually(PATIENCE, || Ok(problems(&fleet).contains("edge.yaml").then_some(()))).unwrap();
        }
        fleet.write_policy("edge.yaml", &policy(version)).unwrap();
        hash = fleet.wait_ready("edge", 1, &hash, PATIENCE).unwrap().hash;
        longest = longest.max(traffic.longest_gap());
        pause = pause.max(traffic.longest_pause());
    }
    println!("100 replacements, 10 of them after a broken one: {:?} each", begun.elapsed() / 100);
    say("over all of them", longest, pause);
    let tally = finish(traffic);
    assert_eq!(tally.wrong(), 0, "{tally:?}");
}

#[test]
fn an_interface_that_is_made_anew_is_filtered_within_a_second() {
    let (fleet, _directory) = fleet("slki");
    let edge = &fleet.edges[0].netns;
    let mut traffic = start(&fleet);
    assert_eq!(traffic.leaked(), 0);
    traffic.judge_nothing();
    edge.ip(&["link", "del", "eth0"]).unwrap();
    let hub_end = End { netns: &fleet.hub, interface: "to-edge-1", addresses: &["10.80.1.1/24"] };
    connect(hub_end, End { netns: edge, interface: "eth0", addresses: &["10.80.1.2/24"] }).unwrap();
    let up = Instant::now();
    eventually(PATIENCE, || {
        Ok(edge.ip(&["-d", "link", "show", "dev", "eth0"])?.contains("sluice_xdp").then_some(()))
    })
    .unwrap();
    let attached = up.elapsed();
    // What waits for the new interface's address is thrown away by the sender's own host.
    eventually(PATIENCE, || {
        Ok(fleet.hub.ip(&["neigh", "show", "10.80.1.2"])?.contains("lladdr").then_some(()))
    })
    .unwrap();
    traffic.judge_from_now().unwrap();
    println!("link up → filtered: {attached:?}; {} datagrams came before", traffic.leaked());
    assert!(attached < Duration::from_secs(1), "{attached:?}{}", fleet.last_words());
    traffic.flow(10 * AFTER, PATIENCE).unwrap();
    let tally = finish(traffic);
    assert_eq!(tally.wrong(), 0, "{tally:?}");
}

/// The control: what these tests count is not always zero.
#[test]
fn a_deliberate_detach_is_counted() {
    let (mut fleet, _directory) = fleet("slkd");
    let traffic = start(&fleet);
    drain(fleet.edges[0].agent.as_mut().unwrap());
    let mut detach = fleet.edges[0].netns.command(sluice_e2e::process::program("sluice-agent").unwrap());
    detach.arg("detach").arg("--bpffs").arg(fleet.bpffs(0));
    detach.arg("--state").arg(fleet.options.directory.join("state-edge-1"));
    assert!(detach.status().unwrap().success());
    // Without a program frames take another way to the socket, and may overtake those that are still on the old one.
    let overtaken = |error: anyhow::Error| assert!(error.to_string().contains("out of order"), "{error:#}");
    if let Err(error) = traffic.flow(AFTER, PATIENCE) {
        return overtaken(error);
    }
    match traffic.stop() {
        Ok(tally) => assert!(tally.leaked > 0, "{tally:?}"),
        Err(error) => overtaken(error),
    }
}

fn problems(fleet: &Fleet) -> String {
    std::fs::read_to_string(fleet.data().join("status/problems.txt")).unwrap_or_default()
}
