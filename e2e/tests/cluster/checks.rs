//! What policies do and what is said of them.

use std::path::Path;

use serde_json::Value;
use sluice_e2e::cluster::Cluster;
use sluice_e2e::frames;
use sluice_e2e::netns::mac;
use sluice_e2e::process::eventually;
use sluice_e2e::sender::Sender;

use crate::users::Viewer;
use crate::{NODES, PATIENCE};

pub fn apply_examples(cluster: &Cluster) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    for file in ["xdpfilter.yaml", "xdploadbalancer.yaml"] {
        cluster.kubectl(&["apply", "-f", &examples.join(file).display().to_string()]).unwrap();
    }
    let wait = ["wait", "--for=condition=Ready", "--timeout=20s", "xdpfilter/edge", "xdploadbalancer/web"];
    cluster.kubectl(&wait).unwrap();
    let filter = cluster.object("xdpfilter", "edge").unwrap();
    assert_eq!(filter["status"]["nodes"]["summary"], "3/3", "{filter}");
    let balancer = cluster.object("xdploadbalancer", "web").unwrap();
    assert_eq!(balancer["status"]["healthy"], "3/3", "{balancer}");
    // Status writes are no difference to what was applied.
    cluster.kubectl(&["diff", "-f", &examples.join("xdpfilter.yaml").display().to_string()]).unwrap();
    assert!(cluster.kubectl(&["get", "xf", "-o", "wide"]).unwrap().contains("Programmed"));
    for node in NODES {
        let found = cluster.object("xdpnode", node).unwrap();
        assert_eq!(found["status"]["nics"][0]["xdpMode"], "Native", "{found}");
    }
}

/// Frames to every node's eth0, which carries kubelet, agent and operator as well.
pub fn frames_meet_the_policy(cluster: &Cluster, viewer: &Viewer) {
    const FRAMES: u64 = 1000;
    for (last, node) in (11..).zip(NODES) {
        let to = mac(&cluster.netns(node), "eth0").unwrap();
        let address = [172, 30, 0, last];
        send(cluster, node, FRAMES, frames::udp(FROM, to, [198, 51, 100, 7], address, 4000, 7));
        send(cluster, node, FRAMES, frames::udp(FROM, to, [192, 0, 2, 200], address, 4000, 5001));
        send(cluster, node, FRAMES, frames::syn(FROM, to, [192, 0, 2, 200], address, 4000, 25));
        send(cluster, node, FRAMES, frames::later_fragment(FROM, to, [192, 0, 2, 200], address));
        send(cluster, node, FRAMES, frames::udp(FROM, to, [192, 0, 2, 200], address, 4000, 7));
    }
    let rules = ["bad-nets", "syn-elsewhere", "udp-flood", "udp-fragments"];
    for node in NODES {
        let expected = rules.map(|rule| (rule.to_owned(), FRAMES));
        let counted = eventually(PATIENCE, || {
            let mut counted = drops(&viewer.counters()?, node);
            counted.sort();
            Ok((counted == expected).then_some(()))
        });
        counted.unwrap_or_else(|_| panic!("{node}: {:?}", viewer.counters()));
    }
}

const FROM: [u8; 6] = [2, 0, 0, 0, 0, 9];

fn send(cluster: &Cluster, node: &str, count: u64, frame: Vec<u8>) {
    let control_plane = cluster.netns("cp");
    let sender = Sender::start(&control_plane, &format!("v-{node}"), 50_000, count, move |_, buffer| {
        buffer[..frame.len()].copy_from_slice(&frame);
        frame.len()
    });
    assert_eq!(sender.finish().unwrap(), count);
}

fn drops(counters: &Value, node: &str) -> Vec<(String, u64)> {
    let nodes = counters["nodes"].as_array().into_iter().flatten();
    let found = nodes.filter(|found| found["node"] == node).flat_map(|found| found["counters"].as_array());
    let drops = found.flatten().filter(|counter| counter["verdict"] == "drop");
    drops
        .map(|counter| (counter["rule"].as_str().unwrap().to_owned(), counter["packets"].as_u64().unwrap()))
        .collect()
}

pub fn deleted_policies_are_detached(cluster: &Cluster) {
    cluster.kubectl(&["delete", "xdpfilter/edge", "xdploadbalancer/web"]).unwrap();
    for node in NODES {
        let detached = eventually(PATIENCE, || {
            Ok((!cluster.netns(node).ip(&["-d", "link"])?.contains("sluice_xdp")).then_some(()))
        });
        detached.unwrap_or_else(|_| panic!("{node} still has a program"));
    }
}
