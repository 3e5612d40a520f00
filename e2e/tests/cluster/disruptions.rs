//! What happens to a cluster, and what must not come of it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::Value;
use sluice_e2e::cluster::Cluster;
use sluice_e2e::traffic::{Route, Traffic};

use crate::{NAMESPACE, NODES, PATIENCE};

/// Status must tell of a silent node within this: if its agent was still on its way back to an operator that started anew,
/// that waits 35 s for it.
pub const TOLD: Duration = Duration::from_secs(45);
/// To each node, beside a whole cluster on the same two CPUs.
const PER_SECOND: u64 = 6_000;

/// Traffic to every node's eth0; port 5001 is dropped by the example.
pub struct Floods(BTreeMap<&'static str, Traffic>);

impl Floods {
    pub fn start(cluster: &Cluster) -> Floods {
        let floods = Floods(NODES.into_iter().map(|node| (node, flood(cluster, node))).collect());
        floods.flow();
        floods
    }

    /// Waits until every node took more of what must pass, and shows that none took what must not.
    pub fn flow(&self) {
        for (node, traffic) in &self.0 {
            traffic.flow(1000, PATIENCE).unwrap_or_else(|error| panic!("{node}: {error:#}"));
        }
    }

    /// Frames to a node so far that must not have passed, judged or not.
    pub fn leaked(&self, node: &str) -> u64 {
        self.0[node].leaked()
    }

    /// While the node has no power or no cable. All until now is judged, and [`Floods::leaked`] counts anew.
    pub fn judge_nothing(&mut self, cluster: &Cluster, node: &str) {
        let (node, before) = self.0.remove_entry(node).unwrap();
        judge(node, before);
        let traffic = flood(cluster, node);
        traffic.judge_nothing();
        self.0.insert(node, traffic);
    }

    pub fn judge_from_now(&mut self, node: &str) {
        self.0.get_mut(node).unwrap().judge_from_now().unwrap();
    }

    pub fn stop(self) {
        self.0.into_iter().for_each(|(node, traffic)| judge(node, traffic));
    }
}

fn flood(cluster: &Cluster, node: &str) -> Traffic {
    let (from, to) = (cluster.netns("cp"), cluster.netns(node));
    let number = (11..).zip(NODES).find(|(_, name)| *name == node);
    let route = Route {
        from: &from,
        to: &to,
        interface: &format!("v-{node}"),
        address: Ipv4Addr::new(172, 30, 0, number.unwrap().0),
        passed: 7001,
        dropped: 5001,
    };
    Traffic::start(route, PER_SECOND).unwrap()
}

fn judge(node: &str, traffic: Traffic) {
    let tally = traffic.stop().unwrap();
    println!("{node}: {tally:?}");
    assert_eq!(tally.wrong(), 0, "{node}: {tally:?}");
}

pub fn agent_pod_deleted(cluster: &Cluster, node: &str) {
    let of_node = format!("--field-selector=spec.nodeName={node}");
    let agents = ["-n", NAMESPACE, "-l", "app.kubernetes.io/component=agent"];
    cluster.kubectl(&[&["delete", "pod"], &agents[..], &[&of_node]].concat()).unwrap();
    cluster.kubectl(&["rollout", "status", "-n", NAMESPACE, "ds/sluice-agent", "--timeout=30s"]).unwrap();
    ready_everywhere(cluster);
}

pub fn node_off_and_on(cluster: &Cluster, node: &str, floods: &mut Floods) {
    floods.judge_nothing(cluster, node);
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
    let leaked = floods.leaked(node);
    floods.judge_from_now(node);
    floods.flow();
    assert_eq!(floods.leaked(node), leaked, "it said Ready and was not");
}

/// Agents and operator go on without it, and an edit made after it is back takes effect.
pub fn api_server_killed(cluster: &Cluster, floods: &Floods) {
    cluster.script("control-plane.sh", &["stop", "kube-apiserver"]).unwrap();
    floods.flow();
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

pub fn ready_everywhere(cluster: &Cluster) -> Value {
    let ready = |object: &Value| {
        object["status"]["nodes"]["summary"] == "3/3" && condition(object, "Ready") == "Programmed"
    };
    cluster.wait_for("xdpfilter", "edge", PATIENCE, ready).unwrap()
}

/// A balancer goes with its namespace, and does not hold it up.
pub fn namespace_deleted(cluster: &Cluster) {
    cluster.apply(SHOP).unwrap();
    let wait = ["wait", "--for=condition=Ready", "--timeout=20s", "-n=shop", "xdploadbalancer/shop"];
    cluster.kubectl(&wait).unwrap();
    cluster.kubectl(&["delete", "namespace", "shop", "--timeout=30s"]).unwrap();
    ready_everywhere(cluster);
}

const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: sluice.dev/v1alpha1
kind: XdpLoadBalancer
metadata: {name: shop, namespace: shop}
spec:
  nodeSelector: {matchLabels: {role: edge}}
  interfaces: {names: [eth0]}
  addresses: [203.0.113.20]
  ports: [{name: http, protocol: TCP, port: 80}]
  backends: {static: [{address: 192.0.2.11}]}
";

/// The reason of a condition.
pub fn condition(object: &Value, kind: &str) -> String {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|one| one["type"] == kind);
    found.and_then(|one| one["reason"].as_str()).unwrap_or_default().to_owned()
}
