//! What Helm brings and what it leaves.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sluice_e2e::cluster::{Cluster, output};
use sluice_e2e::http;
use sluice_e2e::netns::Netns;
use sluice_e2e::process::eventually;

use crate::upgrades::previous_chart;
use crate::{NAMESPACE, NODES, PATIENCE};

/// A volume of a node, made by hand: this cluster provisions none.
fn volume(node: &str) -> String {
    format!(
        "
apiVersion: v1
kind: PersistentVolume
metadata: {{name: sluice-operator-{node}}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  local: {{path: /var/lib/sluice-operator}}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{node}]}}]
"
    )
}

const POOLS: &str =
    r#"fleet.addressPools=[{"name":"public","prefixes":["203.0.113.0/24"],"namespaces":["default","shop"]}]"#;

/// Seconds that a node may take to detach.
const PATIENT: &str = "uninstall.timeoutSeconds=10";

/// For every install and upgrade of this cluster.
pub fn values() -> Vec<&'static str> {
    let values = [
        ["--set", "image.pullPolicy=Never"],
        ["--set", "operator.persistence.storageClass=-"],
        ["--set", "operator.replicas=3"],
        ["--set", "ca.existingSecret=own"],
        ["--set", PATIENT],
        ["--set-json", POOLS],
    ];
    [values.as_flattened(), &["--namespace", NAMESPACE, "--wait", "--timeout", "60s"]].concat()
}

/// The previous chart, with an authority that is there already.
pub fn install(cluster: &Cluster, directory: &Path) {
    for node in NODES {
        cluster.on_node(node, &["/usr/bin/mkdir", "-p", "/var/lib/sluice-operator"]).unwrap();
        cluster.apply(&volume(node)).unwrap();
        cluster.kubectl(&["label", "node", node, "role=edge"]).unwrap();
    }
    let (chart, values) = (previous_chart(), values());
    let install = [&["install", "sluice", &chart][..], &values].concat();
    cluster.kubectl(&["create", "namespace", NAMESPACE]).unwrap();
    let early = format!("{:#}", cluster.helm(&install).unwrap_err());
    assert!(early.contains("Helm can read no ca.crt in Secret sluice-system/own"), "{early}");
    make_authority(cluster, directory);
    cluster.helm(&install).unwrap();
    cluster.helm(&[&["upgrade", "sluice", &chart][..], &values].concat()).unwrap();
    let secrets = cluster.kubectl(&["get", "secret", "-n", NAMESPACE, "-o", "name", OF_THE_CHART]).unwrap();
    assert_eq!(secrets, "", "the authority is the one that was there");
    // The programs are of this version, and ask for rights that the previous chart does not give.
    cluster.apply(&rights(cluster)).unwrap();
}

fn rights(cluster: &Cluster) -> String {
    let only =
        ["--kube-version=1.37.0", "--show-only=templates/operator-rbac.yaml", "--set=ca.certificate=none"];
    cluster.helm(&[&["template", "sluice", &chart()][..], &values(), &only].concat()).unwrap()
}

const OF_THE_CHART: &str = "--selector=app.kubernetes.io/name=sluice";

/// As docs/kubernetes.md says it.
fn make_authority(cluster: &Cluster, directory: &Path) {
    let [key, certificate] = ["ca.key", "ca.crt"].map(|name| directory.join(name).display().to_string());
    let request = ["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "3650", "-subj", "/CN=sluice-ca"];
    let files = ["-keyout", &key, "-out", &certificate];
    output(Command::new("openssl").args(request).args(files)).unwrap();
    let [key, certificate] = [key, certificate].map(|file| format!("--from-file={file}"));
    let secret = ["create", "secret", "generic", "own", "-n", NAMESPACE, &key, &certificate];
    cluster.kubectl(&secret).unwrap();
}

pub fn chart() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/sluice").display().to_string()
}

/// As the kernel sees the process, and not as the pod asks for it.
pub fn agents_run_unprivileged(cluster: &Cluster) {
    // BPF 39, PERFMON 38, NET_ADMIN 12.
    let wanted = format!("{:016x}", 1u64 << 39 | 1 << 38 | 1 << 12);
    for node in NODES {
        let status = cluster
            .on_node(node, &["/bin/sh", "-c", "cat /proc/$(/usr/bin/pgrep -x sluice-agent)/status"])
            .unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().to_owned()
        };
        assert_eq!(field("CapEff:"), wanted, "{node}");
        assert_eq!(field("CapBnd:"), wanted, "{node}");
        assert_eq!(field("NoNewPrivs:"), "1", "{node}");
        assert_eq!(field("Seccomp:"), "2", "{node}: a filter is in force");
    }
    let can = |verb: &str, what: &str| {
        let account = format!("--as=system:serviceaccount:{NAMESPACE}:sluice-agent");
        // Exit code 1 means no.
        cluster.kubectl(&["auth", "can-i", verb, what, &account]).is_ok()
    };
    for what in ["xdpfilters.sluice.dev", "xdpnodes.sluice.dev", "nodes", "configmaps", "secrets", "pods"] {
        assert!(!can("get", what) && !can("list", what), "an agent may read {what}");
    }
}

/// The example's backends are on the nodes: a web server each.
pub fn serve_backends(cluster: &Cluster) -> Vec<Netns> {
    let namespaces: Vec<Netns> = NODES.iter().map(|node| cluster.netns(node)).collect();
    for (number, netns) in (1..).zip(&namespaces) {
        netns.ip(&["addr", "add", &format!("192.0.2.1{number}/32"), "dev", "eth0"]).unwrap();
        for other in (1..=3).filter(|other| *other != number) {
            let (to, via) = (format!("192.0.2.1{other}/32"), format!("172.30.0.1{other}"));
            netns.ip(&["route", "add", &to, "via", &via]).unwrap();
        }
        let name = NODES[number - 1];
        netns.spawn(move || http::serve(80, name));
    }
    namespaces
}

/// What is in force when the release goes.
const LEFT: &str = "
apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {name: left}
spec: {interfaces: {names: [dp0]}, rules: [{name: ping, action: Drop, match: {icmp: [{type: 8}]}}]}
";

/// The node that nobody can reach meanwhile.
const LOST: &str = "node-c";
const LOST_PORT: &str = "v-node-c";
/// What a node may take, the Job's own time and Helm's.
const BOUND: Duration = Duration::from_secs(40);

pub fn uninstall_with_a_node_lost(cluster: &Cluster) {
    cluster.apply(LEFT).unwrap();
    cluster.kubectl(&["wait", "--for=condition=Ready", "--timeout=20s", "xdpfilter/left"]).unwrap();
    let switch = cluster.netns("cp");
    switch.ip(&["link", "set", LOST_PORT, "down"]).unwrap();
    // Seconds pass before the cluster notices, and the Job must not start there.
    cluster.kubectl(&["cordon", LOST]).unwrap();
    let begun = Instant::now();
    let said = cluster.helm(&["uninstall", "sluice", "--namespace", NAMESPACE, "--wait"]).unwrap();
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert!(said.contains(&format!("not reached, and still enforcing what they had: {LOST}")), "{said}");
    for node in NODES.into_iter().filter(|node| *node != LOST) {
        assert!(said.contains(&format!("{node}: detached")), "{said}");
        assert!(is_clean(cluster, node), "{node}");
    }
    assert!(is_attached(cluster, LOST), "it enforces on");
    switch.ip(&["link", "set", LOST_PORT, "up"]).unwrap();
    let ended =
        || Ok(cluster.on_node(LOST, &["/usr/bin/pgrep", "-x", "sluice-agent"]).is_err().then_some(()));
    eventually(PATIENCE, ended).unwrap();
    assert!(is_attached(cluster, LOST), "also without its agent");
    cluster.on_node(LOST, &["/usr/bin/rm", "-r", "/sys/fs/bpf/sluice", "/var/lib/sluice-agent"]).unwrap();
    eventually(PATIENCE, || Ok(is_clean(cluster, LOST).then_some(()))).unwrap();
    nothing_else_is_left(cluster);
}

fn is_attached(cluster: &Cluster, node: &str) -> bool {
    cluster.netns(node).ip(&["-d", "link"]).unwrap().contains("sluice_xdp")
}

fn is_clean(cluster: &Cluster, node: &str) -> bool {
    let left = cluster.on_node(node, &["/bin/sh", "-c", "ls /sys/fs/bpf/sluice /var/lib/sluice-agent/*"]);
    left.is_err() && !is_attached(cluster, node)
}

fn nothing_else_is_left(cluster: &Cluster) {
    let ready = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
    let ready = cluster.kubectl(&["get", "xdpfilter/left", "-o", ready]).unwrap();
    assert_eq!(ready, "False", "policies stay, and none says that it is in force");
    let crds = cluster.kubectl(&["get", "crd", "-o", "name"]).unwrap();
    let ours = ["xdpaddresssets", "xdpfilters", "xdploadbalancers", "xdpnodes"];
    let kept = crds.lines().filter_map(|name| name.rsplit('/').next()?.strip_suffix(".sluice.dev"));
    assert!(kept.eq(ours), "{crds}");
    let kinds = "all,configmap,secret,serviceaccount,role,rolebinding,pvc";
    let left = eventually(PATIENCE, || {
        let left = cluster.kubectl(&["get", kinds, "-n", NAMESPACE, "-o", "name"])?;
        let left: Vec<&str> = left.lines().filter(|name| !OF_THE_NAMESPACE.contains(name)).collect();
        let claims = [0, 1, 2].map(|replica| format!("persistentvolumeclaim/data-sluice-operator-{replica}"));
        Ok((left == claims).then_some(()))
    });
    left.unwrap_or_else(|_| panic!("{}", cluster.kubectl(&["get", kinds, "-n", NAMESPACE]).unwrap()));
    let roles = cluster.kubectl(&["get", "clusterrole,clusterrolebinding", "-o", "name"]).unwrap();
    assert!(!roles.contains("sluice"), "{roles}");
    what_is_left_goes_without_an_operator(cluster);
}

/// By the commands of docs/kubernetes.md, with an object still there: no finalizer waits for somebody who is gone.
fn what_is_left_goes_without_an_operator(cluster: &Cluster) {
    let crds = ["xdpfilters", "xdploadbalancers", "xdpaddresssets", "xdpnodes"]
        .map(|kind| format!("{kind}.sluice.dev"));
    let crds: Vec<&str> = crds.iter().map(String::as_str).collect();
    cluster.kubectl(&[&["delete", "crd", "--timeout=20s"], &crds[..]].concat()).unwrap();
    let claims = ["delete", "pvc", "--selector=app.kubernetes.io/component=operator", "-n", NAMESPACE];
    cluster.kubectl(&[&claims[..], &["--timeout=20s"]].concat()).unwrap();
    cluster.kubectl(&["delete", "namespace", NAMESPACE, "--timeout=30s"]).unwrap();
}

/// The namespace's own, and what the test made there.
const OF_THE_NAMESPACE: [&str; 4] = [
    "configmap/kube-root-ca.crt",
    "secret/own",
    "serviceaccount/default",
    "rolebinding.rbac.authorization.k8s.io/users",
];
