//! What happens to a cluster, and what must not come of it.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::Value;
use sluice_e2e::cluster::Cluster;
use sluice_e2e::traffic::{Route, Traffic};

use crate::{NAMESPACE, PATIENCE};

/// Status must tell of a silent node within this: if its agent was still on its way back to an operator that started anew,
/// that waits 35 s for it.
const TOLD: Duration = Duration::from_secs(45);
/// Beside a whole cluster on the same two CPUs.
const PER_SECOND: u64 = 20_000;

/// To node-b's eth0; port 5001 is dropped by the example.
pub fn traffic(cluster: &Cluster, node: &str) -> Traffic {
    let (from, to) = (cluster.netns("cp"), cluster.netns(node));
    let route = Route {
        from: &from,
        to: &to,
        interface: &format!("v-{node}"),
        address: Ipv4Addr::new(172, 30, 0, 12),
        passed: 7001,
        dropped: 5001,
    };
    let traffic = Traffic::start(route, PER_SECOND).unwrap();
    traffic.flow(1000, PATIENCE).unwrap();
    traffic
}

pub fn agent_pod_deleted(cluster: &Cluster, node: &str) {
    let of_node = format!("--field-selector=spec.nodeName={node}");
    let agents = ["-n", NAMESPACE, "-l", "app.kubernetes.io/component=agent"];
    cluster.kubectl(&[&["delete", "pod"], &agents[..], &[&of_node]].concat()).unwrap();
    cluster.kubectl(&["rollout", "status", "-n", NAMESPACE, "ds/sluice-agent", "--timeout=30s"]).unwrap();
    ready_everywhere(cluster);
}

/// One after the other, the one that decides among them. The others go on, and each serves the same plans from its volume:
/// nobody loads anything anew.
pub fn operator_pods_replaced(cluster: &Cluster) {
    let before = cluster.object("xdpfilter", "edge").unwrap();
    let operator = ["-n", NAMESPACE, "sts/sluice-operator"];
    cluster.kubectl(&[&["rollout", "restart"], &operator[..]].concat()).unwrap();
    cluster.kubectl(&[&["rollout", "status", "--timeout=90s"], &operator[..]].concat()).unwrap();
    let after = ready_everywhere(cluster);
    assert_eq!(before["status"]["hash"], after["status"]["hash"]);
    let transition = |object: &Value| {
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().find(|one| one["type"] == "Ready").map(|one| one["lastTransitionTime"].clone())
    };
    assert_eq!(transition(&before), transition(&after), "Ready was never taken back");
}

pub fn node_off_and_on(cluster: &Cluster, node: &str) {
    let begun = Instant::now();
    cluster.script("node.sh", &["stop", node]).unwrap();
    let told = |object: &Value| {
        object["status"]["nodes"]["unreachable"] == 1 && condition(object, "Ready") == "Unreachable"
    };
    cluster.wait_for("xdpfilter", "edge", TOLD, told).unwrap();
    println!("node off → status says so: {:.1} s", begun.elapsed().as_secs_f64());
    cluster.script("node.sh", &["start", node]).unwrap();
    let begun = Instant::now();
    cluster
        .wait_for("xdpfilter", "edge", Duration::from_secs(90), |object| {
            condition(object, "Ready") == "Programmed"
        })
        .unwrap();
    println!("node on → Ready again: {:.1} s", begun.elapsed().as_secs_f64());
}

/// Agents and operator go on without it, and an edit made after it is back takes effect.
pub fn api_server_killed(cluster: &Cluster, traffic: &Traffic) {
    cluster.script("control-plane.sh", &["stop", "kube-apiserver"]).unwrap();
    traffic.flow(PER_SECOND, PATIENCE).unwrap();
    cluster.script("control-plane.sh", &["start", "kube-apiserver"]).unwrap();
    // It answers before it knows its custom resources again.
    let before = cluster.wait_for("xdpfilter", "edge", PATIENCE, |_| true).unwrap();
    let patch = r#"[{"op":"replace","path":"/spec/rules/4/match/destinationPorts","value":["1-21"]}]"#;
    cluster.kubectl(&["patch", "xdpfilter", "edge", "--type=json", "-p", patch]).unwrap();
    let changed = |object: &Value| {
        object["status"]["hash"] != before["status"]["hash"] && condition(object, "Ready") == "Programmed"
    };
    cluster.wait_for("xdpfilter", "edge", PATIENCE, changed).unwrap();
}

fn ready_everywhere(cluster: &Cluster) -> Value {
    let ready = |object: &Value| {
        object["status"]["nodes"]["summary"] == "3/3" && condition(object, "Ready") == "Programmed"
    };
    cluster.wait_for("xdpfilter", "edge", PATIENCE, ready).unwrap()
}

/// The reason of a condition.
fn condition(object: &Value, kind: &str) -> String {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|one| one["type"] == kind);
    found.and_then(|one| one["reason"].as_str()).unwrap_or_default().to_owned()
}
