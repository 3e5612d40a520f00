//! A policy that costs a node its operator is taken back by the node itself.

use serde_json::Value;
use sluice_e2e::cluster::Cluster;

use crate::disruptions::{condition, ready_everywhere};
use crate::upgrades::is_ready;
use crate::{NODES, PATIENCE};

/// Failsafe knows the operator's port, but not the tunnel that its packets come in here.
const CUT: &str = "
apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {name: cut}
spec:
  nodeSelector: {matchLabels: {kubernetes.io/hostname: NODE}}
  interfaces: {names: [eth0]}
  rules: [{name: vxlan, action: Drop, match: {protocols: [UDP], destinationPorts: ['4789']}}]
  rollout: {confirmTimeout: 10s}
";

/// Of a node without a replica of its own.
pub fn comes_back_by_itself(cluster: &Cluster, node: &str) {
    tunnels(cluster, node, "add");
    ready_everywhere(cluster);
    cluster.apply(&CUT.replace("NODE", node)).unwrap();
    // The agent's own words, which it can say only once the plan before is in force again.
    let undone = |object: &Value| condition(object, "Ready") == "NotConfirmed";
    cluster.wait_for("xdpnode", node, PATIENCE, undone).unwrap();
    let told = |object: &Value| !is_ready(object) && object["status"].to_string().contains("NotConfirmed");
    cluster.wait_for("xdpfilter", "cut", PATIENCE, told).unwrap();
    // The next plan is taken again.
    cluster.kubectl(&["delete", "xdpfilter", "cut"]).unwrap();
    ready_everywhere(cluster);
    tunnels(cluster, node, "del");
}

/// Between the node and each other one, for all that they say to each other's addresses.
fn tunnels(cluster: &Cluster, node: &str, action: &str) {
    let numbered: Vec<(usize, &str)> = (11..).zip(NODES).collect();
    let (own, _) = *numbered.iter().find(|(_, name)| *name == node).unwrap();
    for &(last, name) in &numbered {
        let netns = cluster.netns(name);
        netns.ip(&["addr", action, &format!("172.30.1.{last}/24"), "dev", "eth0"]).unwrap();
        if name == node {
            continue;
        }
        tunnel(cluster, name, last, own, last, action);
        tunnel(cluster, node, own, last, last, action);
    }
}

fn tunnel(cluster: &Cluster, on: &str, from: usize, to: usize, id: usize, action: &str) {
    let (netns, device, id) = (cluster.netns(on), format!("tun{to}"), id.to_string());
    if action == "del" {
        netns.ip(&["link", "del", &device]).unwrap();
        return;
    }
    let (local, remote) = (format!("172.30.1.{from}"), format!("172.30.1.{to}"));
    let link = ["link", "add", &device, "type", "vxlan", "id", &id, "dstport", "4789"];
    netns.ip(&[&link[..], &["local", &local, "remote", &remote]].concat()).unwrap();
    netns.ip(&["link", "set", &device, "up"]).unwrap();
    let (there, here) = (format!("172.30.0.{to}/32"), format!("172.30.0.{from}"));
    netns.ip(&["route", "add", &there, "dev", &device, "src", &here]).unwrap();
}
