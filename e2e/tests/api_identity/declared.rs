//! What keeps objects as they are declared elsewhere – GitOps – must find no difference, whatever the operator writes.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::PATIENCE;
use crate::server::Server;

const KINDS: &str = "xdpfilters,xdploadbalancers,xdpaddresssets";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The examples, of all kinds that people write: by both ways of applying, after their status was written.
pub fn status_is_no_difference(server: &Server) {
    let examples = repository().join("docs/examples").display().to_string();
    for way in [&["--server-side", "--field-manager=gitops"][..], &[]] {
        server.kubectl(&[&["apply", "-f", &examples], way].concat());
        for object in objects(server) {
            let (kind, name) = (text(&object["kind"]).to_lowercase(), text(&object["metadata"]["name"]));
            let said = |object: &Value| {
                let ready = object["status"]["conditions"].as_array().into_iter().flatten();
                let mut generations = ready.map(|condition| &condition["observedGeneration"]);
                generations.any(|generation| *generation == object["metadata"]["generation"])
            };
            server.cluster.wait_for(&kind, &name, PATIENCE, said).unwrap();
        }
        server.kubectl(&[&["diff", "-f", &examples], way].concat());
    }
    let objects = objects(server);
    let kinds: std::collections::BTreeSet<String> =
        objects.iter().map(|object| text(&object["kind"])).collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    objects.iter().for_each(only_status_is_the_operators);
}

fn objects(server: &Server) -> Vec<Value> {
    let list: Value = serde_json::from_str(&server.kubectl(&[
        "get",
        KINDS,
        "--all-namespaces",
        "--show-managed-fields",
        "-o",
        "json",
    ]))
    .unwrap();
    list["items"].as_array().unwrap().clone()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// And no finalizer, which would hold up a namespace, or the CRDs, wherever no operator runs.
fn only_status_is_the_operators(object: &Value) {
    let place = format!("{} {}", object["kind"], object["metadata"]["name"]);
    assert!(object["metadata"]["finalizers"].is_null(), "{place}");
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let own: Vec<&Value> = entries.iter().filter(|entry| entry["manager"] == "sluice-operator").collect();
    assert!(!own.is_empty(), "{place} has no status");
    for entry in own {
        let fields: Vec<&str> = entry["fieldsV1"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            (&entry["subresource"], &fields[..]),
            (&Value::from("status"), &["f:status"][..]),
            "{place}"
        );
    }
}

/// Of another API group, whose definitions are not there.
const FOREIGN: &str = "apiVersion: monitoring.coreos.com/v1";

/// Where nothing of it is yet.
const ELSEWHERE: &str = "elsewhere";

/// What the chart renders by each of its files of values is what an API server takes.
pub fn the_chart_is_admitted(server: &Server) {
    let chart = repository().join("charts/sluice");
    let files = std::fs::read_dir(chart.join("ci")).unwrap().map(|entry| entry.unwrap().path());
    let chart = chart.display().to_string();
    server.kubectl(&["create", "namespace", ELSEWHERE]);
    let mut all = String::new();
    for file in files {
        let values = file.display().to_string();
        let render =
            ["template", "sluice", &chart, "--namespace", ELSEWHERE, "--kube-version=1.37.0", "-f", &values];
        let rendered = server.cluster.helm(&render).unwrap();
        // The definitions are there already, and large.
        let admitted = |document: &&str| {
            !document.contains(FOREIGN) && !document.contains("kind: CustomResourceDefinition")
        };
        for document in rendered.split("\n---\n").filter(admitted) {
            all.push_str("---\n");
            all.push_str(document);
            all.push('\n');
        }
    }
    let file = server.directory.path().join("chart.yaml");
    std::fs::write(&file, all).unwrap();
    let apply = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "-f",
        &file.display().to_string(),
    ];
    let said = server.kubectl(&apply);
    for kind in
        ["networkpolicy", "statefulset", "daemonset", "poddisruptionbudget", "configmap/sluice-dashboard"]
    {
        assert!(said.contains(kind), "{kind}: {said}");
    }
}
