//! `kubectl sluice rollout`, and what a rollout does on real nodes: a version that one of them cannot have comes no
//! further and goes back by itself, and packets are dropped as before.

use serde_json::Value;
use sluice_e2e::fleet::{Fleet, Options};

use crate::fleet::{Cli, PATIENCE, send};

/// Drops a port, on this interface.
fn edge(port: u16, interface: &str, order: &str, hold: &str) -> String {
    format!(
        "apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {{name: edge, annotations: {{sluice.dev/rollout: {order}}}}}
spec:
  interfaces: {{names: [{interface}]}}
  rules: [{{name: flood, action: Drop, match: {{protocols: [UDP], destinationPorts: [\"{port}\"]}}}}]
  rollout: {{steps: [{{nodes: \"1\", hold: {hold}}}]}}
"
    )
}

fn of_edge(found: &Value) -> &Value {
    &found["filters"][0]
}

/// Packets that the rule dropped on a node.
fn dropped(cli: &Cli, node: &str) -> u64 {
    let found = cli.run("get counters edge -o json").json();
    let nodes = found["nodes"].as_array().unwrap();
    let found = nodes.iter().find(|found| found["node"] == node).unwrap();
    let counters = found["counters"].as_array().unwrap().iter();
    counters
        .filter(|counter| counter["rule"] == "flood")
        .map(|counter| counter["packets"].as_u64().unwrap())
        .sum()
}

#[test]
fn a_version_goes_out_in_waves_and_back_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::build(Options::unique("slro", 3, directory.path())).unwrap();
    fleet.write_policy("edge.yaml", &edge(5353, "eth0", "promote@1", "1h")).unwrap();
    fleet.start().unwrap();
    fleet.wait_ready("edge", 3, "", PATIENCE).unwrap();
    let cli = Cli(&fleet);
    let status = "rollout status edge -o json";

    // On the interface of nobody: the first node says so, and the others never hear of it.
    fleet.write_policy("edge.yaml", &edge(5354, "nothere0", "resume@1", "1h")).unwrap();
    let is_back = |found: &Value| {
        let message = of_edge(found)["message"].as_str().unwrap();
        of_edge(found)["phase"] == "RolledBack" && message.ends_with("save another version")
    };
    let back = cli.until(status, is_back);
    let message = of_edge(&back)["message"].as_str().unwrap();
    assert!(message.starts_with("maxRejects did not hold: 1 of 1 nodes refuse it: edge-"), "{message}");
    assert!(message.contains("InterfaceMissing"), "{message}");
    cli.run("rollout status edge --wait 1s").fails(1, &[]);
    for index in 0..3 {
        send(&fleet, index, 5353, 50);
        let node = format!("edge-{}", index + 1);
        cli.until("get counters edge -o json", |_| dropped(&cli, &node) == 50);
    }

    // More than a nanosecond for a packet is what every node measures.
    let dear = edge(5354, "eth0", "resume@1", "1h") + "    gates: {maxNsPerPacket: 1}\n";
    let dear = dear.replace(
        "rollout: {steps: [{nodes: \"1\", hold: 1h}]}\n",
        "rollout:\n    steps: [{nodes: \"1\", hold: 1h}]\n",
    );
    fleet.write_policy("edge.yaml", &dear).unwrap();
    let is_dear = |found: &Value| of_edge(found)["message"].as_str().unwrap().starts_with("maxNsPerPacket");
    let back = cli.until(status, is_dear);
    let message = of_edge(&back)["message"].as_str().unwrap();
    assert!(message.contains("a packet takes more than 1 ns on 1 nodes: edge-"), "{message}");

    fleet.write_policy("edge.yaml", &edge(5354, "eth0", "resume@1", "1h")).unwrap();
    let holding = cli.until(status, |found| of_edge(found)["phase"] == "Holding");
    assert_eq!((&of_edge(&holding)["updated"], &of_edge(&holding)["total"]), (&1.into(), &3.into()));
    let shown = cli.run("rollout status").well();
    assert!(shown.contains("edge             4  Holding  1/2   1/3"), "{shown}");
    cli.run("rollout pause edge")
        .fails(1, &["write `annotations: {sluice.dev/rollout: pause@4}` under metadata"]);
    fleet.write_policy("edge.yaml", &edge(5354, "eth0", "promote@4", "1h")).unwrap();
    cli.run("rollout status edge --wait 20s").well();
    fleet.wait_ready("edge", 3, "", PATIENCE).unwrap();

    let history = cli.run("rollout history edge").well();
    assert_eq!(history.lines().count(), 5, "{history}");
    let changes = cli.run("rollout history edge --revision 4").well();
    assert!(changes.contains("--- generation 3") && changes.contains("+++ generation 4"), "{changes}");
    assert!(
        changes.lines().any(|line| line.starts_with('-') && line.contains("maxNsPerPacket")),
        "{changes}"
    );
    cli.run("rollout history edge --revision 9")
        .fails(1, &["generation 9 is not kept: those are 1, 2, 3, 4"]);
    cli.run("rollout history nobody").fails(1, &["there is no XdpFilter nobody"]);
}
