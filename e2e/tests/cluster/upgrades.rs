//! From the chart before to this one, and back from one that does not start; nothing that is in force is touched.

use std::path::Path;

use serde_json::Value;
use sluice_e2e::cluster::Cluster;
use sluice_e2e::process::eventually;

use crate::disruptions::{Floods, ready_everywhere};
use crate::install::{chart, values};
use crate::{NAMESPACE, PATIENCE};

/// As it was when operators first were three. Its filters know no `confirmTimeout`.
pub fn previous_chart() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sluice-0.1.0.tgz").display().to_string()
}

const TAINTED: [&str; 2] = ["--set", "agent.readinessTaint=true"];

fn schema(cluster: &Cluster) -> String {
    cluster.kubectl(&["get", "crd", "xdpfilters.sluice.dev", "-o", "json"]).unwrap()
}

/// Every pod of operator and agents is replaced, one after the other, and the schema of stored objects with them.
pub fn from_the_previous_chart(cluster: &Cluster, floods: &Floods) {
    let before = cluster.object("xdpfilter", "edge").unwrap();
    assert!(!schema(cluster).contains("confirmTimeout"), "the previous chart is in force");
    let upgrade = ["upgrade", "sluice", &chart()];
    cluster.helm(&[&upgrade[..], &values(), &TAINTED].concat()).unwrap();
    rolled_out(cluster);
    floods.flow();
    assert!(schema(cluster).contains("confirmTimeout"));
    let after = ready_everywhere(cluster);
    for field in ["/metadata/uid", "/metadata/generation", "/spec", "/status/hash"] {
        assert_eq!(
            before.pointer(field),
            after.pointer(field),
            "{field} of an object that was stored before"
        );
    }
}

/// Images that are not there: one replica and one agent are away until somebody rolls back, and their nodes enforce on.
pub fn rolled_back(cluster: &Cluster, floods: &Floods) {
    let upgrade = ["upgrade", "sluice", &chart(), "--set", "image.tag=missing"];
    let mut values = values();
    let at = values.iter().position(|value| *value == "60s").unwrap();
    values[at] = "3s";
    cluster.helm(&[&upgrade[..], &values, &TAINTED].concat()).expect_err("no image");
    let away = |what: &str, field: &str| {
        let path = format!("jsonpath={{.status.{field}}}");
        let counted =
            || Ok((cluster.kubectl(&["get", what, "-n", NAMESPACE, "-o", &path])? == "2").then_some(()));
        eventually(PATIENCE, counted).unwrap_or_else(|_| panic!("{what}: {}", cluster.last_words()));
    };
    away("sts/sluice-operator", "readyReplicas");
    away("ds/sluice-agent", "numberReady");
    floods.flow();
    cluster.helm(&["rollback", "sluice", "--namespace", NAMESPACE, "--wait", "--timeout", "60s"]).unwrap();
    rolled_out(cluster);
    ready_everywhere(cluster);
    floods.flow();
}

pub fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

fn rolled_out(cluster: &Cluster) {
    for what in ["sts/sluice-operator", "ds/sluice-agent"] {
        cluster.kubectl(&["rollout", "status", "-n", NAMESPACE, what, "--timeout=90s"]).unwrap();
    }
}
