//! The main job without Kubernetes: a file is saved, a real kernel drops real packets, status and counters say so.
//! Needs root.
#![allow(clippy::unwrap_used, reason = "a test says what failed by failing")]

use std::time::Duration;

use sluice_e2e::fleet::{Fleet, Options};
use sluice_e2e::frames;
use sluice_e2e::netns::mac;
use sluice_e2e::process::eventually;
use sluice_e2e::sender::Sender;

const PATIENCE: Duration = Duration::from_secs(20);

fn fleet(prefix: &str, edges: usize) -> (Fleet, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (Fleet::build(Options::unique(prefix, edges, directory.path())).unwrap(), directory)
}

fn policy(port: &str) -> String {
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: edge}}\nspec:\n  \
         interfaces: {{names: [eth0]}}\n  rules:\n  - name: flood\n    action: Drop\n    \
         match: {{protocols: [UDP], destinationPorts: [\"{port}\"]}}\n"
    )
}

/// Packets that a rule dropped on a node.
fn dropped(fleet: &Fleet, node: &str, rule: &str) -> u64 {
    let nodes = fleet.counters().unwrap_or_default();
    let counters = nodes.iter().filter(|found| found.node == node).flat_map(|found| &found.counters);
    counters.filter(|found| found.rule == rule && found.verdict == "drop").map(|found| found.packets).sum()
}

/// Sends UDP to a port of an edge and waits until the counter has grown by exactly that many.
fn send(fleet: &Fleet, edge: usize, port: u16, count: u64) {
    let to = mac(&fleet.edges[edge].netns, "eth0").unwrap();
    let frame = frames::udp(
        [2, 0, 0, 0, 0, 9],
        to,
        [10, 80, edge as u8 + 1, 1],
        [10, 80, edge as u8 + 1, 2],
        4000,
        port,
    );
    let sender =
        Sender::start(&fleet.hub, &format!("to-edge-{}", edge + 1), 20_000, count, move |_, buffer| {
            buffer[..frame.len()].copy_from_slice(&frame);
            frame.len()
        });
    assert_eq!(sender.finish().unwrap(), count);
}

#[test]
fn a_saved_policy_drops_packets_on_every_node_and_counts_them_to_the_packet() {
    let (mut fleet, _directory) = fleet("slfp", 3);
    fleet.write_policy("edge.yaml", &policy("5353")).unwrap();
    fleet.start().unwrap();
    let first = fleet.wait_ready("edge", 3, "", PATIENCE).unwrap();
    for edge in 0..3 {
        send(&fleet, edge, 5353, 500);
        send(&fleet, edge, 5354, 500);
        let name = format!("edge-{}", edge + 1);
        let counted = eventually(PATIENCE, || Ok((dropped(&fleet, &name, "flood") >= 500).then_some(())));
        counted.unwrap_or_else(|error| {
            panic!("{name}: {error:#}: {:?}{}", fleet.counters(), fleet.last_words())
        });
        assert_eq!(dropped(&fleet, &name, "flood"), 500, "only the named port is dropped");
    }

    // An edit reaches every node, and the rule's counter goes on.
    fleet.write_policy("edge.yaml", &policy("5354")).unwrap();
    fleet.wait_ready("edge", 3, &first.hash, PATIENCE).unwrap();
    send(&fleet, 0, 5354, 300);
    send(&fleet, 0, 5353, 300);
    eventually(PATIENCE, || Ok((dropped(&fleet, "edge-1", "flood") >= 800).then_some(()))).unwrap();
    assert_eq!(dropped(&fleet, "edge-1", "flood"), 800);

    // A broken file changes nothing but what is said.
    fleet.write_policy("edge.yaml", "kind: [broken").unwrap();
    send(&fleet, 1, 5354, 100);
    eventually(PATIENCE, || Ok((dropped(&fleet, "edge-2", "flood") >= 600).then_some(()))).unwrap();

    // A deleted policy is detached.
    std::fs::remove_file(fleet.policies().join("edge.yaml")).unwrap();
    eventually(PATIENCE, || {
        let link = fleet.edges[0].netns.ip(&["-d", "link", "show", "dev", "eth0"])?;
        Ok((!link.contains("xdp")).then_some(()))
    })
    .unwrap_or_else(|error| panic!("still attached: {error:#}{}", fleet.last_words()));
}

#[test]
fn enforcement_outlives_agent_and_operator() {
    let (mut fleet, _directory) = fleet("slol", 1);
    fleet.write_policy("edge.yaml", &policy("5353")).unwrap();
    fleet.start().unwrap();
    fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    let epoch = fleet.epoch().unwrap();

    // Killed, both: the kernel goes on without them.
    fleet.edges[0].agent.as_mut().unwrap().kill().unwrap();
    fleet.operator.as_mut().unwrap().kill().unwrap();
    send(&fleet, 0, 5353, 400);
    let link = fleet.edges[0].netns.ip(&["-d", "link", "show", "dev", "eth0"]).unwrap();
    assert!(link.contains("xdp"), "nothing detaches: {link}");

    // Back: the same epoch from disk, and every packet was counted meanwhile.
    fleet.start_operator().unwrap();
    fleet.start_agent(0).unwrap();
    fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    assert_eq!(fleet.epoch().unwrap(), epoch, "a restart moves nobody");
    eventually(PATIENCE, || Ok((dropped(&fleet, "edge-1", "flood") >= 400).then_some(()))).unwrap();
    assert_eq!(dropped(&fleet, "edge-1", "flood"), 400);

    // A second restart of the operator numbers its updates from one again; the agent answers those all the same.
    let before = fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    fleet.operator.as_mut().unwrap().kill().unwrap();
    fleet.start_operator().unwrap();
    fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    fleet.write_policy("edge.yaml", &policy("5354")).unwrap();
    fleet.wait_ready("edge", 1, &before.hash, PATIENCE).unwrap();
}

#[test]
fn a_filter_ends_at_its_moment_without_the_operator() {
    let (mut fleet, _directory) = fleet("slen", 1);
    fleet.write_policy("edge.yaml", &policy("5353")).unwrap();
    fleet.start().unwrap();
    fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    let edge = |fleet: &Fleet| fleet.statuses().ok()?.into_iter().find(|status| status.name == "edge");
    let end = jiff::Timestamp::now() + Duration::from_secs(5);
    let brief = policy("5353").replace("spec:\n", &format!("spec:\n  expiresAt: \"{end}\"\n"));
    fleet.write_policy("edge.yaml", &brief).unwrap();
    let newest = || Ok(edge(&fleet).filter(|status| (status.generation, &*status.ready) == (2, "True")));
    assert_eq!(eventually(PATIENCE, newest).unwrap().programmed, 1);

    fleet.operator.as_mut().unwrap().kill().unwrap();
    let is_attached = |fleet: &Fleet| {
        fleet.edges[0].netns.ip(&["-d", "link", "show", "dev", "eth0"]).unwrap().contains("prog/xdp")
    };
    assert!(is_attached(&fleet) && jiff::Timestamp::now() < end);
    eventually(PATIENCE, || Ok((!is_attached(&fleet)).then_some(()))).unwrap();
    assert!(jiff::Timestamp::now() >= end, "not before its moment");
    let applied =
        |fleet: &Fleet| fleet.edges[0].agent.as_ref().unwrap().log().matches("plan in force").count();
    eventually(PATIENCE, || Ok((applied(&fleet) == 3).then_some(()))).unwrap();

    // The operator comes to the same by itself, and has nothing to send.
    fleet.start_operator().unwrap();
    let ended = || Ok(edge(&fleet).filter(|status| status.reason == "Expired"));
    let status = eventually(PATIENCE, ended).unwrap();
    assert_eq!((&*status.ready, status.desired), ("True", 0), "{status:?}");
    assert_eq!(applied(&fleet), 3);
}

/// A rule that names a set, the set, and the list that it draws from.
fn write_set(fleet: &Fleet, list: &str) {
    fleet.write_policy("strangers.txt", list).unwrap();
    let set = "apiVersion: sluice.dev/v1alpha1\nkind: XdpAddressSet\nmetadata: {name: strangers}\n\
               spec: {files: [strangers.txt]}\n";
    fleet.write_policy("strangers.yaml", set).unwrap();
    let filter = "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {name: edge}\nspec:\n  \
                  interfaces: {names: [eth0]}\n  rules:\n  - name: strangers\n    action: Drop\n    \
                  match: {sources: {sets: [strangers]}}\n";
    fleet.write_policy("edge.yaml", filter).unwrap();
}

#[test]
fn an_address_set_decides_on_every_node_and_follows_its_list() {
    let (mut fleet, _directory) = fleet("slas", 2);
    // Of each node's neighbour, which sends, the first one's alone.
    write_set(&fleet, "10.80.1.1\n203.0.113.0/24\n");
    fleet.start().unwrap();
    fleet.wait_ready("edge", 2, "", PATIENCE).unwrap();
    let first = fleet.wait_ready("strangers", 2, "", PATIENCE).unwrap();
    let set = first.set.expect("a set's status");
    assert_eq!((set.entries, set.prefixes), (2, 2));
    assert_eq!(set.kernel_bytes, 2 * 4096);
    (0..2).for_each(|edge| send(&fleet, edge, 4444, 300));
    eventually(PATIENCE, || Ok((dropped(&fleet, "edge-1", "strangers") >= 300).then_some(()))).unwrap();

    fleet.write_policy("strangers.txt", "10.80.2.1\n").unwrap();
    fleet.wait_ready("strangers", 2, &first.hash, PATIENCE).unwrap();
    (0..2).for_each(|edge| send(&fleet, edge, 4444, 200));
    eventually(PATIENCE, || Ok((dropped(&fleet, "edge-2", "strangers") >= 200).then_some(()))).unwrap();
    assert_eq!(dropped(&fleet, "edge-1", "strangers"), 300, "{}", fleet.last_words());
    assert_eq!(dropped(&fleet, "edge-2", "strangers"), 200);

    // Killed and started: from disk, with its set.
    fleet.edges[1].agent.as_mut().unwrap().kill().unwrap();
    fleet.operator.as_mut().unwrap().kill().unwrap();
    fleet.start_agent(1).unwrap();
    send(&fleet, 1, 4444, 100);
    fleet.start_operator().unwrap();
    fleet.wait_ready("strangers", 2, "", PATIENCE).unwrap();
    eventually(PATIENCE, || Ok((dropped(&fleet, "edge-2", "strangers") >= 300).then_some(()))).unwrap();
}
