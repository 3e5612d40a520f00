//! Values that people may well set, each with what must come of it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{KUBERNETES, chart, find, helm, parse};

const SETS: [&str; 8] = [
    "small",
    "three-replicas",
    "own-authority",
    "taint",
    "no-network-policy",
    "monitoring",
    "definitions-apart",
    "edge",
];

fn file(set: &str) -> PathBuf {
    Path::new(&chart()).join(format!("ci/{set}-values.yaml"))
}

/// Linted, and all that it renders.
fn rendered(set: &str) -> Vec<Value> {
    let values = file(set).display().to_string();
    helm(&["lint", "--strict", "--quiet", &chart(), KUBERNETES, "-f", &values]).unwrap();
    let yaml =
        helm(&["template", "sluice", &chart(), "--namespace=sluice-system", KUBERNETES, "-f", &values]);
    parse(&yaml.unwrap()).unwrap()
}

fn has(objects: &[Value], kind: &str) -> usize {
    objects.iter().filter(|object| object["kind"] == kind).count()
}

/// Where an object has what.
fn holds(objects: &[Value], kind: &str, name: &str, expected: &[(&str, Value)]) {
    let object = find(objects, kind, name);
    for (pointer, value) in expected {
        assert_eq!(object.pointer(pointer), Some(value), "{kind} {name} {pointer}");
    }
}

const POD: &str = "/spec/template/spec";

fn pod(path: &str) -> String {
    format!("{POD}/{path}")
}

#[test]
fn every_file_of_values_is_tested() {
    let directory = Path::new(&chart()).join("ci");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    let mut tested: Vec<PathBuf> = SETS.map(file).to_vec();
    files.sort();
    tested.sort();
    assert_eq!(files, tested);
}

#[test]
fn small() {
    let objects = rendered("small");
    let expected = [(&*pod("containers/0/resources/requests/memory"), json!("32Mi"))];
    holds(&objects, "StatefulSet", "sluice-operator", &expected);
    let operator = &find(&objects, "StatefulSet", "sluice-operator")["spec"];
    for absent in ["hostNetwork", "priorityClassName", "affinity", "tolerations"] {
        assert!(operator["template"]["spec"][absent].is_null(), "{absent}");
    }
    assert!(operator["volumeClaimTemplates"].is_null());
    for kind in ["PodDisruptionBudget", "PodMonitor", "ServiceMonitor", "PrometheusRule"] {
        assert_eq!(has(&objects, kind), 0, "{kind}");
    }
}

#[test]
fn three_replicas() {
    let objects = rendered("three-replicas");
    let claim = "/spec/volumeClaimTemplates/0/spec";
    let expected = [
        ("/spec/replicas", json!(3)),
        (&format!("{claim}/storageClassName"), json!("fast")),
        (&format!("{claim}/resources/requests/storage"), json!("4Gi")),
        (&pod("priorityClassName"), json!("system-cluster-critical")),
        (&pod("nodeSelector"), json!({"node-role.kubernetes.io/control-plane": ""})),
        (&pod("tolerations/0/key"), json!("node-role.kubernetes.io/control-plane")),
        (
            &pod("affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/0/topologyKey"),
            json!("kubernetes.io/hostname"),
        ),
    ];
    holds(&objects, "StatefulSet", "sluice-operator", &expected);
    holds(&objects, "PodDisruptionBudget", "sluice-operator", &[("/spec/maxUnavailable", json!(1))]);
}

#[test]
fn own_authority() {
    let objects = rendered("own-authority");
    assert_eq!(has(&objects, "Secret"), 0, "each rendering would make another");
    let certificate = find(&objects, "ConfigMap", "sluice-ca")["data"]["ca.crt"].as_str().unwrap();
    assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----\nMIIB"), "{certificate}");
    assert_eq!(objects, rendered("own-authority"), "one text, whenever it is rendered");
}

#[test]
fn taint() {
    let objects = rendered("taint");
    let key = json!("sluice.dev/agent-not-ready");
    let operator = find(&objects, "StatefulSet", "sluice-operator");
    assert!(
        operator["spec"]["template"]["spec"]["containers"][0]["args"]
            .to_string()
            .contains("--readiness-taint")
    );
    // Whoever is to take it off, or to clean up, must not wait for it to be off.
    for (kind, name, own) in [
        ("StatefulSet", "sluice-operator", "infra"),
        ("DaemonSet", "sluice-agent", "edge"),
        ("Job", "sluice-uninstall", "infra"),
    ] {
        let expected = [(&*pod("tolerations/0/key"), json!(own)), (&pod("tolerations/1/key"), key.clone())];
        holds(&objects, kind, name, &expected);
    }
    assert!(may_patch_nodes(&objects));
    assert!(!may_patch_nodes(&rendered("small")), "only by choice");
}

fn may_patch_nodes(objects: &[Value]) -> bool {
    let rules = find(objects, "ClusterRole", "sluice-operator")["rules"].as_array().unwrap();
    rules.iter().any(|rule| rule["resources"] == json!(["nodes"]) && rule["verbs"] == json!(["patch"]))
}

#[test]
fn no_network_policy() {
    assert_eq!(has(&rendered("no-network-policy"), "NetworkPolicy"), 0);
    let usual = rendered("small");
    let chosen = |name| find(&usual, "NetworkPolicy", name)["spec"]["podSelector"].clone();
    for (kind, name) in [("StatefulSet", "sluice-operator"), ("DaemonSet", "sluice-agent")] {
        assert_eq!(chosen(name), find(&usual, kind, name)["spec"]["selector"], "{name}");
    }
    // Without a word about it everybody may try.
    holds(
        &usual,
        "NetworkPolicy",
        "sluice-operator",
        &[("/spec/ingress/0", json!({"ports": [AGENTS.clone()]}))],
    );
}

static AGENTS: std::sync::LazyLock<Value> =
    std::sync::LazyLock::new(|| json!({"port": "agents", "protocol": "TCP"}));

#[test]
fn monitoring() {
    let objects = rendered("monitoring");
    for component in ["operator", "agent"] {
        let name = format!("sluice-{component}");
        let expected = [
            ("/spec/endpoints", json!([{"port": "metrics", "interval": "15s"}])),
            ("/metadata/labels/release", json!("prometheus")),
        ];
        holds(&objects, "ServiceMonitor", &name, &expected);
        // It selects a Service that has the port.
        let service = find(&objects, "Service", &name);
        let wanted = find(&objects, "ServiceMonitor", &name)["spec"]["selector"]["matchLabels"].clone();
        for (label, value) in wanted.as_object().unwrap() {
            assert_eq!(&service["metadata"]["labels"][label], value, "{name} {label}");
        }
        let ports = service["spec"]["ports"].as_array().unwrap();
        assert!(ports.iter().any(|port| port["name"] == "metrics"), "{service}");
        let scraper =
            json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]);
        let ingress = find(&objects, "NetworkPolicy", &name)["spec"]["ingress"].as_array().unwrap();
        assert_eq!(ingress.last().unwrap()["from"], scraper, "{name}");
    }
    let told = |kind: &str, component: &str, name: &str| {
        let container = &find(&objects, kind, &format!("sluice-{component}"))["spec"]["template"]["spec"]["containers"]
            [0];
        let variable = container["env"].as_array().unwrap().iter().find(|variable| variable["name"] == name);
        variable.map(|variable| variable["value"].clone())
    };
    for (kind, component) in [("StatefulSet", "operator"), ("DaemonSet", "agent")] {
        let endpoint = told(kind, component, "SLUICE_OTLP_ENDPOINT");
        assert_eq!(endpoint, Some(json!("http://collector.monitoring:4317")), "{component}");
    }
    assert_eq!(told("StatefulSet", "operator", "SLUICE_TRACED_NODES"), Some(json!("20")));
    let nodes = json!([{"ipBlock": {"cidr": "10.0.0.0/16"}}, {"ipBlock": {"cidr": "2001:db8::/48"}}]);
    holds(&objects, "NetworkPolicy", "sluice-operator", &[("/spec/ingress/0/from", nodes)]);
    holds(&objects, "PrometheusRule", "sluice", &[("/metadata/labels/release", json!("prometheus"))]);
    holds(&objects, "ConfigMap", "sluice-dashboard", &[("/metadata/labels/grafana_dashboard", json!("1"))]);
}

#[test]
fn definitions_apart() {
    let objects = rendered("definitions-apart");
    assert_eq!((has(&objects, "CustomResourceDefinition"), has(&objects, "PodMonitor")), (0, 2));
    holds(
        &objects,
        "PodMonitor",
        "sluice-agent",
        &[("/spec/podMetricsEndpoints", json!([{"port": "metrics"}]))],
    );
}

#[test]
fn edge() {
    let objects = rendered("edge");
    let expected = [
        ("/spec/updateStrategy/rollingUpdate/maxUnavailable", json!(1)),
        (&pod("nodeSelector"), json!({"role": "edge"})),
        (&pod("imagePullSecrets"), json!([{"name": "registry"}])),
        (&pod("containers/0/image"), json!("registry.example/sluice/sluice-agent:1.2.3")),
        (&pod("containers/0/ports/0/hostPort"), json!(9999)),
        (&pod("volumes/0/hostPath/path"), json!("/mnt/state")),
    ];
    holds(&objects, "DaemonSet", "sluice-agent", &expected);
    let fleet = find(&objects, "ConfigMap", "sluice-fleet")["data"]["fleet.yaml"].as_str().unwrap();
    let fleet: sluice_plan::Fleet = serde_saphyr::from_str(fleet).unwrap();
    assert_eq!(fleet.address_pools[0].name, "public");
    assert_eq!(find(&objects, "Role", "sluice-operator-lists")["metadata"]["namespace"], "lists");
}
