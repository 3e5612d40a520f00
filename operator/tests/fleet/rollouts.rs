//! Versions that go out in waves, and back.

use std::time::Duration;

use sluice_client::Telemetry;
use sluice_plan::Hash;
use sluice_proto::v1::CounterSample;
use tokio::time::{sleep, timeout};

use crate::agent::{Agent, NEW};
use crate::operator::{Operator, PATIENCE};
use crate::trio::Trio;

const NODES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A filter that drops this protocol.
fn filter(name: &str, protocol: &str, order: &str, rollout: &str) -> String {
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: {name}, annotations: {{sluice.dev/rollout: \
         \"{order}\"}}}}\nspec:\n  interfaces: {{names: [eth0]}}\n  rules: [{{name: bad, action: Drop, match: {{protocols: \
         [{protocol}]}}}}]\n  rollout: {rollout}\n"
    )
}

fn agents(operator: &Operator) -> Vec<Agent> {
    NODES.iter().map(|node| operator.agent(node, NEW)).collect()
}

/// Which nodes have this generation of a filter; 0: none of it.
fn having(agents: &[Agent], name: &str, generation: i64) -> Vec<&'static str> {
    let of = |agent: &Agent| {
        let filters = agent.filters.borrow();
        filters.iter().find(|(one, _)| one == name).map_or(0, |(_, generation)| *generation)
    };
    NODES.iter().zip(agents).filter(|(_, agent)| of(agent) == generation).map(|(node, _)| *node).collect()
}

/// Waits until so many nodes have it.
async fn spread(agents: &mut [Agent], name: &str, generation: i64, nodes: usize) {
    let all = async {
        while having(agents, name, generation).len() != nodes {
            let changes = agents.iter_mut().map(|agent| Box::pin(agent.filters.changed()));
            _ = futures::future::select_all(changes).await;
        }
    };
    let seen = timeout(PATIENCE, all).await;
    assert!(seen.is_ok(), "{name} {generation}: {:?} have it", having(agents, name, generation));
}

const HELD: &str = "{steps: [{nodes: \"20%\", hold: 1h}]}";

#[tokio::test(flavor = "multi_thread")]
async fn a_version_goes_out_in_waves_and_a_new_operator_goes_on() {
    let operator = Operator::start();
    let mut agents = agents(&operator);
    operator.save("edge.yaml", &filter("edge", "UDP", "promote@1", HELD));
    spread(&mut agents, "edge", 1, 5).await;
    let waves = |first, second| {
        format!("{{steps: [{{nodes: \"2\", hold: {first}}}, {{nodes: \"60%\", hold: {second}}}]}}")
    };
    operator.save("edge.yaml", &filter("edge", "TCP", "", &waves("1h", "1h")));
    spread(&mut agents, "edge", 2, 2).await;
    let first = having(&agents, "edge", 2);
    let said = operator.ready("xdpfilter-edge", "wave 1/3: all 2 nodes").await;
    assert!(
        said.starts_with("False RollingOut 2 of 5 nodes enforce generation 2; wave 1/3: all 2 nodes"),
        "{said}"
    );
    operator.save("edge.yaml", &filter("edge", "TCP", "", &waves("100ms", "1h")));
    spread(&mut agents, "edge", 3, 3).await;
    assert!(first.iter().all(|node| having(&agents, "edge", 3).contains(node)), "those of the first wave");
    operator.ready("xdpfilter-edge", "wave 2/3").await;

    let operator = operator.restart().await;
    operator.ready("xdpfilter-edge", "wave 2/3").await;
    assert_eq!(having(&agents, "edge", 1).len(), 2, "the others keep what they had");
    operator.save("edge.yaml", &filter("edge", "TCP", "", &waves("100ms", "100ms")));
    spread(&mut agents, "edge", 4, 5).await;
    operator.ready("xdpfilter-edge", "True Programmed 5 of 5 nodes enforce generation 4").await;
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_a_node_refuses_goes_back_by_itself() {
    let operator = Operator::start();
    let mut agents = agents(&operator);
    operator.save("edge.yaml", &filter("edge", "UDP", "promote@1", HELD));
    operator.save("other.yaml", &filter("other", "ICMP", "promote@1", HELD));
    spread(&mut agents, "edge", 1, 5).await;
    spread(&mut agents, "other", 1, 5).await;

    let bad = Some(("edge".to_owned(), 2));
    agents.iter().for_each(|agent| _ = agent.refuses.send_replace(bad.clone()));
    operator.save("other.yaml", &filter("other", "GRE", "", HELD));
    spread(&mut agents, "other", 2, 1).await;
    let canary = having(&agents, "other", 2);
    operator.save("edge.yaml", &filter("edge", "TCP", "", HELD));
    let said = operator.ready("xdpfilter-edge", "RolledBack").await;
    assert!(said.contains("maxRejects did not hold: 1 of 1 nodes refuse it: "), "{said}");
    assert!(
        said.contains("ProgramTooLarge: as the test wants it; promote it, or save another version"),
        "{said}"
    );
    spread(&mut agents, "edge", 1, 5).await;
    assert_eq!(having(&agents, "other", 2), canary, "the other goes its own way");
    operator.ready("xdpfilter-other", "RollingOut").await;

    let operator = operator.restart().await;
    operator.ready("xdpfilter-edge", "RolledBack").await;
    assert_eq!(having(&agents, "edge", 1).len(), 5, "it is not tried again");
    operator.save("edge.yaml", &filter("edge", "SCTP", "promote@3", HELD));
    spread(&mut agents, "edge", 3, 5).await;
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_pause_resume_abort_and_promote() {
    let operator = Operator::start();
    let mut agents = agents(&operator);
    let save = |protocol, order| {
        let rollout = "{canary: {matchLabels: {a: b}}, steps: [{nodes: \"20%\", hold: 100ms}]}";
        operator.save("edge.yaml", &filter("edge", protocol, order, rollout));
    };
    save("UDP", "promote@1");
    spread(&mut agents, "edge", 1, 5).await;
    save("TCP", "pause@2");
    spread(&mut agents, "edge", 2, 1).await;
    let said = operator.ready("xdpfilter-edge", "Paused").await;
    assert!(said.contains("paused by annotation: resume, promote or abort it"), "{said}");
    sleep(Duration::from_millis(500)).await;
    assert_eq!(having(&agents, "edge", 2).len(), 1, "the hold is over and it waits");
    save("TCP", "resume@2");
    spread(&mut agents, "edge", 2, 5).await;
    operator.ready("xdpfilter-edge", "True Programmed").await;
    save("TCP", "abort@2");
    spread(&mut agents, "edge", 1, 5).await;
    operator
        .ready("xdpfilter-edge", "RolledBack 0 of 5 nodes enforce generation 2; taken back by annotation")
        .await;
    save("TCP", "promote@2");
    spread(&mut agents, "edge", 2, 5).await;
    save("ICMP", "abort@2");
    spread(&mut agents, "edge", 3, 5).await;
    save("ICMP", "abort");
    operator.ready("xdpfilter-edge", "True Programmed").await;
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_goes_in_waves_and_a_policy_that_comes_back_is_whole_again() {
    let operator = Operator::start();
    let mut agents = agents(&operator);
    let rollout = "{steps: [{nodes: \"20%\", hold: 1s}]}";
    operator.save("edge.yaml", &filter("edge", "UDP", "promote@1", HELD));
    spread(&mut agents, "edge", 1, 5).await;
    operator.remove("edge.yaml");
    spread(&mut agents, "edge", 0, 1).await;
    let operator = operator.restart().await;
    operator.save("edge.yaml", &filter("edge", "UDP", "", HELD));
    spread(&mut agents, "edge", 1, 5).await;
    operator.save("edge.yaml", &filter("edge", "UDP", "", rollout));
    spread(&mut agents, "edge", 2, 5).await;
    operator.remove("edge.yaml");
    spread(&mut agents, "edge", 0, 5).await;
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_drops_too_much_goes_back() {
    let counted = |sent: u64, has_it: bool| counted("edge", sent, sent / if has_it { 4 } else { 10 });
    let found = "maxDropRatio did not hold: it drops 25.0 % of all packets, the version before 10.0 %";
    goes_back("maxDropRatio", counted, found).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_with_which_balancers_lose_packets_goes_back() {
    let counted = |sent: u64, has_it: bool| {
        let failed = if has_it { sent / 5 } else { 0 };
        let stats = [("packets", 10 * sent), ("transmitted", sent - failed), ("no_backend", failed)];
        let stats = stats.map(|(name, packets)| (name.to_owned(), packets)).into();
        Telemetry { stats, ..Telemetry::default() }
    };
    let found = "maxBalancerErrorRatio did not hold: with it 20.0 % of the packets to virtual addresses reach no backend, \
                 with the version before 0.0 %";
    goes_back("maxBalancerErrorRatio", counted, found).await;
}

/// From its first wave, by what the nodes count; `counted` is of so many packets, where the version is and elsewhere.
async fn goes_back(gate: &str, counted: impl Fn(u64, bool) -> Telemetry, found: &str) {
    let operator = Operator::start();
    let mut agents = agents(&operator);
    let rollout = format!("{{steps: [{{nodes: \"20%\", hold: 1h}}], gates: {{{gate}: \"0.05\"}}}}");
    operator.save("edge.yaml", &filter("edge", "UDP", "promote@1", &rollout));
    spread(&mut agents, "edge", 1, 5).await;
    operator.save("edge.yaml", &filter("edge", "TCP", "", &rollout));
    spread(&mut agents, "edge", 2, 1).await;
    operator.ready("xdpfilter-edge", &format!("{gate} says nothing")).await;
    let canary = having(&agents, "edge", 2)[0];
    let counting = async {
        for sent in 1_u64.. {
            for (node, agent) in NODES.iter().zip(&agents) {
                agent.telemetry.send_replace(counted(sent * 1_000, *node == canary));
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    let said = tokio::select! {
        () = counting => unreachable!("it counts for ever"),
        said = operator.ready("xdpfilter-edge", "RolledBack") => said,
    };
    assert!(said.contains(found), "{said}");
    spread(&mut agents, "edge", 1, 5).await;
    operator.end().await;
}

fn counted(name: &str, packets: u64, dropped: u64) -> Telemetry {
    let dropped = CounterSample {
        // As directory mode makes it.
        policy_uid: Hash::of(format!("XdpFilter/{name}").as_bytes()).to_hex()[..32].to_owned(),
        name: "bad".to_owned(),
        verdict: "drop".to_owned(),
        packets: dropped,
        ..CounterSample::default()
    };
    let stats = [("packets".to_owned(), packets)].into();
    Telemetry { counters: vec![dropped], stats, ..Telemetry::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_goes_on_where_the_one_that_decided_was() {
    let mut trio = Trio::start().await;
    let start = |node: &&str| Agent::start(node, trio.addresses(), trio.data(0).as_path(), NEW);
    let mut agents: Vec<Agent> = NODES[..3].iter().map(start).collect();
    let rollout = |hold| format!("{{steps: [{{nodes: \"1\", hold: {hold}}}], maxUnreachable: \"100%\"}}");
    trio.save(&filter("edge", "UDP", "promote@1", &rollout("1h")));
    spread(&mut agents, "edge", 1, 3).await;
    trio.save(&filter("edge", "TCP", "", &rollout("1h")));
    spread(&mut agents, "edge", 2, 1).await;
    let first = having(&agents, "edge", 2);
    let dies = trio.deciding().await;
    trio.says(dies, "wave 1/2: all 1 nodes of the wave have it").await;

    trio.kill(dies).await;
    let stays = (dies + 1) % 3;
    trio.says(stays, "wave 1/2: all 1 nodes of the wave have it").await;
    assert_eq!(having(&agents, "edge", 2), first, "no wave is decided twice");
    assert_eq!(having(&agents, "edge", 1).len(), 2);
    trio.save(&filter("edge", "TCP", "", &rollout("100ms")));
    spread(&mut agents, "edge", 3, 3).await;
    trio.end().await;
}
