//! What policies do and what is said of them.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sluice_e2e::cluster::Cluster;
use sluice_e2e::frames;
use sluice_e2e::netns::mac;
use sluice_e2e::process::eventually;
use sluice_e2e::sender::Sender;

use crate::users::User;
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
        // The nodes are hosts of its backends too, and must not answer for its address.
        let arp = ["/bin/cat", "/proc/sys/net/ipv4/conf/eth0/arp_ignore"];
        assert_eq!(cluster.on_node(node, &arp).unwrap().trim(), "1", "{node}");
        let found = cluster.object("xdpnode", node).unwrap();
        assert_eq!(found["status"]["nics"][0]["xdpMode"], "Native", "{found}");
    }
}

/// Frames to every node's eth0, which carries kubelet, agent and operator as well.
pub fn frames_meet_the_policy(cluster: &Cluster, viewer: &User) {
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

/// Nothing but the failsafe lets in what kubelets, agents and the operator live on.
const CLOSED: &str = "
apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {name: closed}
spec:
  interfaces: {names: [eth0]}
  priority: -1
  defaultAction: Drop
";

pub fn nobody_is_locked_out(cluster: &Cluster) {
    cluster.apply(CLOSED).unwrap();
    // That its status arrives shows that the operator reaches the API server, and the agents the operator.
    cluster.kubectl(&["wait", "--for=condition=Ready", "--timeout=20s", "xdpfilter/closed"]).unwrap();
    let renewed = |node| {
        let lease =
            cluster.kubectl(&["get", "lease", node, "-n=kube-node-lease", "-o=jsonpath={.spec.renewTime}"]);
        lease.unwrap()
    };
    for (node, before) in NODES.map(|node| (node, renewed(node))) {
        eventually(PATIENCE, || Ok((renewed(node) != before).then_some(())))
            .unwrap_or_else(|_| panic!("the kubelet of {node} does not reach the API server"));
    }
    // The API server reaches every kubelet.
    assert!(cluster.last_words().contains("plan in force"), "{}", cluster.last_words());
    cluster.kubectl(&["delete", "xdpfilter/closed"]).unwrap();
    for node in NODES {
        let open = eventually(PATIENCE, || Ok(connects(cluster, node).then_some(())));
        open.unwrap_or_else(|_| panic!("{node} does not open again\n{}", cluster.last_words()));
    }
}

/// Whether the node's web server, on a port of no failsafe, can be reached from outside.
fn connects(cluster: &Cluster, node: &str) -> bool {
    let address = NODES.iter().zip(11..).find(|(name, _)| **name == node).map(|(_, last)| [172, 30, 0, last]);
    let address = SocketAddr::from((address.unwrap(), 80));
    let connect = move || TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_ok();
    cluster.netns("cp").spawn(connect).join().unwrap()
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
    // Rules that met nothing are listed, too.
    let drops = found.flatten().filter(|counter| counter["verdict"] == "drop" && counter["packets"] != 0);
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
