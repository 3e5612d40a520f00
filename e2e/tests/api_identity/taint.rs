//! A node that waits for its agent.

use serde_json::Value;
use sluice_e2e::process::eventually;

use crate::agent::Agent;
use crate::server::{Operator, Server};
use crate::{AUDIENCE, PATIENCE};

pub const KEY: &str = "sluice.dev/agent-not-ready";
const LOST: &str = "node.kubernetes.io/unreachable:NoSchedule";

fn taints(server: &Server) -> Vec<String> {
    keys(&server.cluster.object("node", "node-b").unwrap()).map(str::to_owned).collect()
}

/// Of the taints of a node.
pub fn keys(node: &Value) -> impl Iterator<Item = &str> {
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    taints.map(|taint| taint["key"].as_str().unwrap_or_default())
}

/// Without touching the taints of others.
pub fn a_lost_node_waits_for_its_agent(server: &Server, operator: &Operator, agent: &Agent<'_>) {
    let identity = agent.enroll(&server.token_of_pod("agent-b", &[AUDIENCE])).unwrap();
    // The API server makes nodes that are not ready until somebody says so.
    let owned = r#"{"spec": {"taints": [{"key": "owner", "value": "team", "effect": "NoExecute"}]}}"#;
    server.kubectl(&["patch", "node", "node-b", "--type=merge", "--patch", owned]);
    let stream = agent.sync(&identity, "node-b").unwrap();
    server.wait_for_condition("xdpnode/node-b", "Connected");
    drop(stream);
    server.wait_for_condition("xdpnode/node-b", "Unreachable");
    assert_eq!(taints(server), ["owner"], "an agent that is away is no reason");
    server.kubectl(&["taint", "node", "node-b", LOST]);
    let waits = || Ok(taints(server).iter().any(|key| key == KEY).then_some(()));
    eventually(PATIENCE, waits).unwrap_or_else(|_| panic!("{:?}\n{}", taints(server), operator.log()));
    let node: Value = server.cluster.object("node", "node-b").unwrap();
    let own = node["spec"]["taints"].as_array().unwrap().iter().find(|taint| taint["key"] == KEY).unwrap();
    assert_eq!(own["effect"], "NoSchedule", "nothing that runs is evicted");
    assert!(taints(server).contains(&"owner".to_owned()), "{node}");
}
