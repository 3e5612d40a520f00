//! What the chart renders, without a cluster.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "chart/monitoring.rs"]
mod monitoring;
#[path = "chart/rights.rs"]
mod rights;
#[path = "chart/values.rs"]
mod values;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sluice_e2e::cluster::output;

/// What Helm assumes of the cluster when it has none.
const KUBERNETES: &str = "--kube-version=1.37.0";

fn chart() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/sluice").to_owned()
}

fn helm(arguments: &[&str]) -> anyhow::Result<String> {
    output(Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/helm")).args(arguments))
}

fn render(settings: &[&str]) -> anyhow::Result<Vec<Value>> {
    let chart = chart();
    let mut arguments = vec!["template", "sluice", &chart, "--namespace=sluice-system", KUBERNETES];
    arguments.extend(settings.iter().flat_map(|setting| ["--set-json", *setting]));
    parse(&helm(&arguments)?)
}

/// Several documents; what is empty is no object.
fn parse(yaml: &str) -> anyhow::Result<Vec<Value>> {
    let documents = yaml.split("\n---").map(serde_saphyr::from_str::<Value>);
    Ok(documents
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .filter(|document| document.is_object())
        .collect())
}

fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

#[test]
fn it_lints() {
    helm(&["lint", "--strict", "--quiet", &chart(), KUBERNETES]).unwrap();
}

#[test]
fn agents_have_three_capabilities_and_no_account_to_read_with() {
    let objects = render(&[]).unwrap();
    assert_eq!(find(&objects, "ServiceAccount", "sluice-agent")["automountServiceAccountToken"], false);
    let pod = &find(&objects, "DaemonSet", "sluice-agent")["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]));
    let expected = json!({
        "runAsUser": 0,
        "privileged": false,
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "seccompProfile": {"type": "RuntimeDefault"},
        "capabilities": {"drop": ["ALL"], "add": ["BPF", "NET_ADMIN", "PERFMON"]}
    });
    assert_eq!(pod["containers"][0]["securityContext"], expected);
    let subjects = objects.iter().filter_map(|object| object["subjects"].as_array()).flatten();
    let accounts: Vec<&str> = subjects.filter_map(|subject| subject["name"].as_str()).collect();
    assert!(!accounts.contains(&"sluice-agent"), "{accounts:?}");
}

/// No wildcard, and nothing that is written but status, XdpNodes, events and reviews.
#[test]
fn the_operator_may_do_what_it_does_and_no_more() {
    let mut expected = vec![
        "xdpfilters: list watch",
        "xdploadbalancers: list watch",
        "xdpaddresssets: list watch",
        "xdpfilters/status: patch",
        "xdploadbalancers/status: patch",
        "xdpaddresssets/status: patch",
        "xdpnodes/status: patch",
        "xdpnodes: list create patch delete",
        "events: create patch",
        "nodes: list watch",
        "services: list watch",
        "tokenreviews: create",
        "subjectaccessreviews: create",
    ];
    assert_eq!(operator_rules(&[]), expected);
    // Where there are addresses to claim.
    expected.insert(11, "pods: list watch");
    let pool = r#"fleet.addressPools=[{"name": "public", "prefixes": ["203.0.113.0/24"]}]"#;
    assert_eq!(operator_rules(&[pool]), expected);
    // Where nodes wait for their agent.
    expected.insert(10, "nodes: patch");
    assert_eq!(operator_rules(&[pool, "agent.readinessTaint=true"]), expected);
}

/// Lists of address sets: in the namespaces that are named, and no other.
#[test]
fn config_maps_are_read_only_where_the_chart_says_so() {
    let roles = |objects: &[Value]| -> Vec<String> {
        let roles = objects.iter().filter(|object| object["kind"] == "Role");
        let lists = roles.filter(|role| role["metadata"]["name"] == "sluice-operator-lists");
        lists
            .map(|role| {
                assert_eq!(
                    role["rules"],
                    json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]}])
                );
                role["metadata"]["namespace"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    assert!(roles(&render(&[]).unwrap()).is_empty());
    let named = render(&[r#"addressSets.configMapNamespaces=["security", "edge"]"#]).unwrap();
    assert_eq!(roles(&named), ["security", "edge"]);
    let bound = named.iter().filter(|object| object["roleRef"]["name"] == "sluice-operator-lists");
    assert!(
        bound.clone().all(|one| one["subjects"][0]["namespace"] == "sluice-system") && bound.count() == 2
    );
}

fn operator_rules(settings: &[&str]) -> Vec<String> {
    let objects = render(settings).unwrap();
    let mut allowed = Vec::new();
    for rule in find(&objects, "ClusterRole", "sluice-operator")["rules"].as_array().unwrap() {
        for resource in rule["resources"].as_array().unwrap() {
            let verbs: Vec<&str> =
                rule["verbs"].as_array().unwrap().iter().map(|verb| verb.as_str().unwrap()).collect();
            allowed.push(format!("{}: {}", resource.as_str().unwrap(), verbs.join(" ")));
        }
    }
    allowed
}

#[test]
fn definitions_are_part_of_the_release_and_outlive_it() {
    let keep = |objects: &[Value]| {
        let definitions: Vec<&Value> =
            objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition").collect();
        let kept = definitions
            .iter()
            .filter(|definition| definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep");
        (definitions.len(), kept.count())
    };
    assert_eq!(keep(&render(&[]).unwrap()), (4, 4));
    assert_eq!(keep(&render(&["crds.keep=false"]).unwrap()), (4, 0));
    assert_eq!(keep(&render(&["crds.install=false"]).unwrap()), (0, 0));
}

#[test]
fn options_render() {
    let objects = render(&[
        "podMonitor.enabled=true",
        "operator.persistence.enabled=false",
        "operator.hostNetwork=false",
        r#"image={"registry": "registry.example/sluice", "tag": "1.2.3"}"#,
        r#"agent.nodeSelector={"role": "edge"}"#,
        r#"fleet.addressPools=[{"name": "public", "prefixes": ["203.0.113.0/24"]}]"#,
    ])
    .unwrap();
    find(&objects, "PodMonitor", "sluice-operator");
    let operator = &find(&objects, "StatefulSet", "sluice-operator")["spec"];
    assert!(operator["volumeClaimTemplates"].is_null());
    assert!(operator["template"]["spec"]["hostNetwork"].is_null(), "no exception for Pod Security");
    let image = &operator["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, "registry.example/sluice/sluice-operator:1.2.3");
    let agent = &find(&objects, "DaemonSet", "sluice-agent")["spec"]["template"]["spec"];
    assert_eq!(agent["nodeSelector"]["role"], "edge");
    let fleet = find(&objects, "ConfigMap", "sluice-fleet")["data"]["fleet.yaml"].as_str().unwrap();
    assert!(fleet.contains("203.0.113.0/24"), "{fleet}");
}

#[test]
fn three_replicas_know_each_other_and_are_apart() {
    let arguments = |objects: &[Value]| {
        let pod = &find(objects, "StatefulSet", "sluice-operator")["spec"]["template"]["spec"];
        let arguments = pod["containers"][0]["args"].as_array().unwrap().clone();
        let replicas = arguments.iter().find_map(|argument| argument.as_str()?.strip_prefix("--replicas="));
        (replicas.unwrap().to_owned(), pod["affinity"].clone())
    };
    let address = |number| format!("sluice-operator-{number}.sluice-operator.sluice-system.svc:9443");
    let one = render(&[]).unwrap();
    assert_eq!(arguments(&one), (address(0), Value::Null));
    assert!(one.iter().all(|object| object["kind"] != "PodDisruptionBudget"), "it would hold up every drain");
    let three = render(&["operator.replicas=3"]).unwrap();
    let (replicas, affinity) = arguments(&three);
    assert_eq!(replicas, [0, 1, 2].map(address).join(","));
    let apart = &affinity["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0];
    let chosen = &find(&three, "StatefulSet", "sluice-operator")["spec"]["selector"];
    assert_eq!(&apart["labelSelector"], chosen);
    let budget = &find(&three, "PodDisruptionBudget", "sluice-operator")["spec"];
    assert_eq!((&budget["maxUnavailable"], &budget["selector"]), (&json!(1), chosen));
    assert!(render(&["operator.replicas=2"]).is_err(), "two cannot lose one");
}

#[test]
fn an_authority_of_ones_own_is_used_and_never_left_out() {
    let own = r#"ca.existingSecret="own""#;
    let error = format!("{:#}", render(&[own]).unwrap_err());
    assert!(error.contains("Secret sluice-system/own") && error.contains("ca.certificate"), "{error}");
    let objects = render(&[own, r#"ca.certificate="PEM""#]).unwrap();
    assert!(objects.iter().all(|object| object["kind"] != "Secret"), "none is made");
    assert_eq!(find(&objects, "ConfigMap", "sluice-ca")["data"]["ca.crt"], "PEM");
    let operator = &find(&objects, "StatefulSet", "sluice-operator")["spec"]["template"]["spec"];
    assert_eq!(operator["volumes"][0]["secret"]["secretName"], "own");
}

/// Agents tolerate the taints of a node that is lost; a Job that did would wait there for ever.
#[test]
fn the_uninstall_job_runs_where_the_operator_may_and_ends() {
    let job = |settings: &[&str]| find(&render(settings).unwrap(), "Job", "sluice-uninstall")["spec"].clone();
    let usual = job(&["uninstall.timeoutSeconds=20"]);
    assert!(usual["template"]["spec"]["tolerations"].is_null());
    assert_eq!(usual["activeDeadlineSeconds"], 80);
    let placed =
        job(&[r#"operator={"tolerations": [{"key": "edge"}], "nodeSelector": {"role": "control"}}"#]);
    assert_eq!(placed["template"]["spec"]["tolerations"], json!([{"key": "edge"}]));
    assert_eq!(placed["template"]["spec"]["nodeSelector"], json!({"role": "control"}));
}

/// What the operator reads by default is what its own code understands.
#[test]
fn the_fleet_configuration_is_one_that_the_operator_reads() {
    let objects = render(&[]).unwrap();
    let fleet = find(&objects, "ConfigMap", "sluice-fleet")["data"]["fleet.yaml"].as_str().unwrap();
    serde_saphyr::from_str::<sluice_plan::Fleet>(fleet).unwrap();
}

#[test]
fn a_wrong_value_is_named() {
    for (setting, expected) in [
        ("agents={}", "agents"),
        (r#"agent.metricsPort="x""#, "metricsPort"),
        (r#"fleet.failsafe.ports=[{"port": 22}]"#, "protocol"),
        ("fleet.adressPools=[]", "adressPools"),
        (r#"agent.updateStrategy.maxUnavailable="0%""#, "maxUnavailable"),
        (r#"networkPolicy.agentsFrom=["10.0.0.1"]"#, "agentsFrom"),
    ] {
        let error = format!("{:#}", render(&[setting]).expect_err(setting));
        assert!(error.contains(expected) && error.contains("values don't meet"), "{error}");
    }
}
