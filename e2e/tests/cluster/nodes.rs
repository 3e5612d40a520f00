//! Nodes that are emptied, cut off, lost and new.

use serde_json::Value;
use sluice_e2e::cluster::Cluster;
use sluice_e2e::process::eventually;

use crate::disruptions::{Floods, TOLD, condition, ready_everywhere};
use crate::upgrades::is_ready;
use crate::{NAMESPACE, PATIENCE};

/// Its agent stays, and its replica has nowhere else to go.
pub fn drained(cluster: &Cluster, node: &str, floods: &Floods, meanwhile: impl FnOnce()) {
    cluster
        .kubectl(&["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=30s"])
        .unwrap();
    floods.flow();
    ready_everywhere(cluster);
    meanwhile();
    cluster.kubectl(&["uncordon", node]).unwrap();
    cluster.kubectl(&["rollout", "status", "-n", NAMESPACE, "sts/sluice-operator", "--timeout=60s"]).unwrap();
}

/// Nobody reaches it, and it enforces what it had: also the first frame after the cable is back.
pub fn partitioned(cluster: &Cluster, node: &str, floods: &mut Floods) {
    let (switch, port) = (cluster.netns("cp"), format!("v-{node}"));
    floods.judge_nothing(cluster, node);
    switch.ip(&["link", "set", &port, "down"]).unwrap();
    let told = |object: &Value| object["status"]["nodes"]["unreachable"] == 1 && !is_ready(object);
    cluster.wait_for("xdpfilter", "edge", TOLD, told).unwrap();
    switch.ip(&["link", "set", &port, "up"]).unwrap();
    ready_everywhere(cluster);
    assert_eq!(floods.leaked(node), 0, "{node} enforced all the time");
    floods.judge_from_now(node);
}

/// What a node registers with, as docs/kubernetes.md has it: it waits for its agent.
const FLAGS: &str =
    "--register-with-taints=sluice.dev/agent-not-ready=:NoSchedule\n--node-labels=role=edge\n";

fn pod_of(node: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: guest, namespace: default}}
spec:
  nodeSelector: {{kubernetes.io/hostname: {node}}}
  terminationGracePeriodSeconds: 0
  containers: [{{name: guest, image: 'localhost/pause:1', imagePullPolicy: Never}}]
"
    )
}

fn tainted(cluster: &Cluster, node: &str) -> bool {
    let taints = cluster.kubectl(&["get", "node", node, "-o", "jsonpath={.spec.taints[*].key}"]);
    taints.is_ok_and(|taints| taints.contains("sluice.dev/agent-not-ready"))
}

/// Off for good, and replaced by another of its name, with nothing of the old one's but its address: no pod is put on it before
/// it enforces what is meant for it.
pub fn lost_and_replaced(cluster: &Cluster, node: &str, floods: &mut Floods) {
    let write = format!("printf '%b' '{}' >/etc/kubernetes/kubelet-flags", FLAGS.replace('\n', "\\n"));
    cluster.on_node(node, &["/bin/sh", "-c", &write]).unwrap();
    floods.judge_nothing(cluster, node);
    cluster.on_node(node, &["/bin/sh", "-c", "rm -r /var/lib/sluice-agent/*"]).unwrap();
    cluster.script("node.sh", &["stop", node]).unwrap();
    // The cluster knows after 16 s; what was tainted is what it would put pods on when it is back.
    eventually(TOLD, || Ok(tainted(cluster, node).then_some(())))
        .unwrap_or_else(|_| panic!("a lost node does not wait for its agent\n{}", cluster.last_words()));
    cluster.kubectl(&["delete", "node", node]).unwrap();
    let without = |object: &Value| {
        object["status"]["nodes"]["summary"] == "2/2" && condition(object, "Ready") == "Programmed"
    };
    cluster.wait_for("xdpfilter", "edge", PATIENCE, without).unwrap();
    cluster.apply(&pod_of(node)).unwrap();
    assert!(
        floods.leaked(node) > 0,
        "without power nothing was enforced there, or the count of leaks counts nothing"
    );

    cluster.script("node.sh", &["start", node]).unwrap();
    let placed = || {
        let on = cluster.kubectl(&["get", "pod", "guest", "-o", "jsonpath={.spec.nodeName}"])?;
        // Placed, and seconds from running: from now on a leak would meet it.
        Ok((!on.is_empty()).then(|| floods.leaked(node)))
    };
    let before = eventually(PATIENCE * 2, placed)
        .unwrap_or_else(|_| panic!("no pod is put on the new node\n{}", cluster.last_words()));
    floods.judge_from_now(node);
    cluster.kubectl(&["wait", "--for=condition=Ready", "--timeout=30s", "pod/guest"]).unwrap();
    ready_everywhere(cluster);
    floods.flow();
    assert_eq!(floods.leaked(node), before, "frames that must not pass met a pod");
    assert!(!tainted(cluster, node));
    cluster.kubectl(&["delete", "pod", "guest", "--timeout=20s"]).unwrap();
}
