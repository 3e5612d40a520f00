//! `kubectl sluice why` and `status --watch`: what stands between a policy and a node, named as it comes and goes.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;

use serde_json::Value;
use sluice_e2e::fleet::{Fleet, Options, labelled};
use sluice_e2e::process::eventually;

use crate::fleet::{Cli, PATIENCE};

/// Drops on this interface of the nodes with this label.
fn filter(name: &str, zone: &str, interface: &str, more: &str) -> String {
    format!(
        "apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {{name: {name}}}
spec:
  nodeSelector: {{matchLabels: {{zone: {zone}}}}}
  interfaces: {{names: [{interface}]}}
  rules: [{{name: flood, action: Drop, match: {{protocols: [UDP], destinationPorts: [\"5353\"]}}}}]
{more}"
    )
}

/// Waits until the answer has the reason; what it is then.
fn says(fleet: &Fleet, node: &str, policy: &str, reason: &str) -> Value {
    let (cli, line) = (Cli(fleet), format!("why {node} {policy} -o json"));
    let mut last = Value::Null;
    let said = eventually(PATIENCE, || {
        let said = cli.run(&line);
        // A node that has not joined yet is none.
        let Ok(found) = serde_json::from_str(&said.out) else { return Ok(None) };
        last = found;
        let code = i32::from(last["programmed"] != true);
        assert_eq!(said.code, code, "{said:?}");
        Ok((last["reason"] == reason).then(|| last.clone()))
    });
    said.unwrap_or_else(|error| panic!("{error}: {last:#}{}", fleet.last_words()))
}

#[track_caller]
fn has(said: &Value, by: &str, part: &str) {
    assert_eq!(said["saidBy"], by, "{said:#}");
    assert!(said["message"].as_str().unwrap().contains(part), "{part:?} is not in {said:#}");
}

#[test]
fn what_stands_between_a_policy_and_a_node_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::build(Options::unique("slwh", 2, directory.path())).unwrap();
    for (edge, zone) in [(0, "zone=a"), (1, "zone=b")] {
        fleet.edges[edge].arguments = labelled(zone);
    }
    fleet.write_policy("one.yaml", &filter("one", "a", "eth0", "")).unwrap();
    fleet.start().unwrap();
    let found = says(&fleet, "edge-1", "one", "Programmed");
    has(&found, "agent", "read back from its kernel");
    assert_eq!((&found["generation"], &found["enforced"]), (&1.into(), &1.into()));
    assert!(found["since"].as_str().unwrap().starts_with("20"), "{found:#}");
    assert_eq!(found["interfaces"][0]["name"], "eth0");
    let cli = Cli(&fleet);
    let text = cli.run("why edge-1 XdpFilter/one").well();
    assert!(text.starts_with("XdpFilter/one is in force on edge-1: Programmed\n"), "{text}");
    assert!(text.contains("eth0 (native)"), "{text}");

    has(&says(&fleet, "edge-2", "one", "NotSelected"), "operator", "it asks for zone=a, the node has zone=b");
    cli.run("why edge-9 one").fails(1, &["there is no node edge-9", "kubectl sluice nodes"]);
    cli.run("why edge-1 nobody").fails(1, &["no policy is named nobody", "kubectl sluice status"]);

    let watched = watched(&fleet);
    fleet.write_policy("one.yaml", &filter("one", "a", "nothere0", "")).unwrap();
    has(&says(&fleet, "edge-1", "one", "InterfaceMissing"), "agent", "nothere0");
    let seen = |reason: &str| {
        let line = watched.lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{reason}: {error}"));
        line["policies"][0]["reason"] == reason
    };
    while !seen("Rejected") {}
    let bad = filter("one", "a", "eth0", "").replace("[UDP]", "[UPD]");
    fleet.write_policy("one.yaml", &bad).unwrap();
    let refused = says(&fleet, "edge-1", "one", "Invalid");
    has(&refused, "operator", "UPD");

    // A version that may go to no other node before an hour has passed.
    let rollout = "  rollout: {steps: [{nodes: \"1\", hold: 1h}]}\n";
    let two = |zone: &str, port: &str| {
        let both = filter("two", zone, "eth0", rollout).replace("{matchLabels: {zone: all}}", "{}");
        both.replace("5353", port)
    };
    fleet.write_policy("two.yaml", &two("all", "5354")).unwrap();
    let waits = ["edge-1", "edge-2"].map(|node| {
        let answered = eventually(PATIENCE, || {
            let said = cli.run(&format!("why {node} two -o json"));
            let found: Option<Value> = serde_json::from_str(&said.out).ok();
            Ok(found.filter(|found| ["RollingOut", "Programmed"].iter().any(|one| found["reason"] == *one)))
        });
        answered.unwrap()
    });
    let [waiting] = waits.iter().filter(|found| found["programmed"] == false).collect::<Vec<_>>()[..] else {
        panic!("{waits:#?}")
    };
    has(waiting, "operator", "this node's turn is in wave 2/2; now wave 1/2: ");

    fleet.write_policy("one.yaml", &filter("one", "a", "eth0", "")).unwrap();
    says(&fleet, "edge-1", "one", "Programmed");
    while !seen("Programmed") {}
    fleet.edges[0].agent.as_mut().unwrap().stop(PATIENCE).unwrap();
    has(&says(&fleet, "edge-1", "one", "Unreachable"), "operator", "no word from its agent for ");
}

/// A `status --watch`, which ends with it.
struct Watched {
    lines: mpsc::Receiver<Value>,
    child: Child,
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It may have ended.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// What `status --watch` says, line by line.
fn watched(fleet: &Fleet) -> Watched {
    let mut command = Cli(fleet).command("status --watch -o json");
    command.arg("--data").arg(fleet.data());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let (say, lines) = mpsc::channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in out.lines() {
            let line = serde_json::from_str(&line.unwrap()).unwrap();
            if say.send(line).is_err() {
                break;
            }
        }
    });
    Watched { lines, child }
}
