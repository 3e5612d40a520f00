//! The network between agent and operator: silent, slow, and losing packets.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sluice_e2e::fleet::Fleet;
use sluice_e2e::process::eventually;
use sluice_e2e::traffic::Traffic;
use sluice_proto::v1::PolicyStatus;

use crate::probes::{self, Probes};
use crate::wire::{ALL, Cable, LATER, NONE, Relay, THREE_OF_TEN};
use crate::{PATIENCE, finish, flow, start};

/// After its last word a node is unreachable; what the operator looks at seconds later is shown at once.
const UNREACHABLE: Duration = Duration::from_secs(15);
const SHOWN: Duration = Duration::from_secs(2);

/// A node whose cable loses everything, so that its stream stands half-open, and one whose cable loses three of ten.
#[test]
fn edits_reach_nodes_behind_a_silent_and_a_lossy_network() {
    let (mut fleet, _directory) = crate::fleet("slfn", 2);
    probes::write_objects(&fleet);
    fleet.write_policy("edge.yaml", &probes::policy(0)).unwrap();
    fleet.start().unwrap();
    let first = fleet.wait_ready("edge", 2, "", PATIENCE).unwrap();
    let cables = [0, 1].map(|edge| cable(&fleet, edge));
    let nodes: Vec<(Probes, Traffic)> =
        (0..2).map(|edge| (Probes::new(&fleet, edge), start(&fleet, usize::from(edge)))).collect();

    let begun = Instant::now();
    cables[0].loses(ALL);
    cables[1].loses(THREE_OF_TEN);
    fleet.write_policy("edge.yaml", &probes::policy(1)).unwrap();
    let silent_for = until_the_other_has_it(&fleet, &first, begun);
    println!("silent → unreachable: {silent_for:?}; in force behind the other after {:?}", begun.elapsed());
    assert!(silent_for <= UNREACHABLE + SHOWN, "{silent_for:?}");
    for ((probes, _), version) in nodes.iter().zip([0, 1]) {
        probes.assert_newest(version);
    }

    cables.iter().for_each(|cable| cable.loses(NONE));
    fleet.wait_ready("edge", 2, &first.hash, PATIENCE).unwrap();
    for (probes, traffic) in nodes {
        probes.assert_newest(1);
        flow(&traffic);
        finish(traffic);
    }
}

fn cable(fleet: &Fleet, edge: usize) -> Cable<'_> {
    let hub = (&fleet.hub, format!("to-edge-{}", edge + 1));
    Cable::new([hub, (&fleet.edges[edge].netns, "eth0".to_owned())])
}

/// Messages of a stream that stands, and a stream that is opened anew.
#[test]
fn edits_reach_a_node_to_which_every_message_takes_seconds() {
    let (mut fleet, _directory) = crate::fleet("slfw", 1);
    probes::write_objects(&fleet);
    fleet.write_policy("edge.yaml", &probes::policy(0)).unwrap();
    fleet.start_operator().unwrap();
    let relay = relay(&mut fleet, 0);
    fleet.start_agent(0).unwrap();
    let (first, probes, traffic) = crate::watch(&fleet, "edge");

    relay.slow_down();
    let begun = Instant::now();
    fleet.write_policy("edge.yaml", &probes::policy(1)).unwrap();
    let second = fleet.wait_ready("edge", 1, &first, PATIENCE).unwrap().hash;
    println!("over a stream that stands: Ready after {:?}", begun.elapsed());
    assert!(begun.elapsed() >= 2 * LATER, "it was slow");
    probes.assert_newest(1);

    relay.cut();
    let begun = Instant::now();
    fleet.write_policy("edge.yaml", &probes::policy(2)).unwrap();
    fleet.wait_ready("edge", 1, &second, 2 * PATIENCE).unwrap();
    println!("over a new stream: Ready after {:?}", begun.elapsed());
    probes.assert_newest(2);
    flow(&traffic);
    finish(traffic);
}

fn relay(fleet: &mut Fleet, edge: usize) -> Relay {
    let operator: SocketAddr = fleet.edges[edge].operator.parse().unwrap();
    let relay = Relay::start(&fleet.hub, operator);
    fleet.edges[edge].operator = relay.address.to_string();
    relay
}

/// Until the second node has the newest version and the first is said to be unreachable; how long that took. The policy is
/// never said to be ready meanwhile.
fn until_the_other_has_it(fleet: &Fleet, before: &PolicyStatus, begun: Instant) -> Duration {
    let mut unreachable = None;
    let waited = eventually(PATIENCE, || {
        let status = fleet.statuses()?.into_iter().find(|status| status.name == "edge").unwrap();
        assert!(status.hash == before.hash || status.ready != "True", "{status:?}");
        if status.failing.iter().any(|node| node.node == "edge-1" && node.reason == "Unreachable") {
            unreachable = unreachable.or(Some(begun.elapsed()));
            assert_ne!(status.ready, "True");
        }
        let is_there = status.hash != before.hash && status.programmed == 1;
        Ok(unreachable.filter(|_| is_there))
    });
    waited.unwrap_or_else(|error| panic!("{error:#}: {:?}{}", fleet.statuses(), fleet.last_words()))
}
