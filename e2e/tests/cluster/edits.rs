//! From a changed object to the last node that enforces it.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use sluice_crds::XdpFilter;
use sluice_e2e::cluster::Cluster;
use tokio::runtime::Runtime;

use crate::{NAMESPACE, NODES, PATIENCE};

const EDITS: usize = 7;

/// As `make bench` edits a fleet without a cluster.
pub fn of_one_policy(cluster: &Cluster) {
    cluster.apply(PLAIN).unwrap();
    cluster.kubectl(&["wait", "--for=condition=Ready", "--timeout=20s", "xdpfilter/plain"]).unwrap();
    reach_every_node(cluster, "plain", "/spec/rules/0/match/destinationPorts", |port| {
        json!([port.to_string()])
    });
    cluster.kubectl(&["delete", "xdpfilter/plain"]).unwrap();
}

const PLAIN: &str = "
apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {name: plain}
spec:
  interfaces: {names: [eth0]}
  rules: [{name: flood, action: Drop, match: {protocols: [UDP], destinationPorts: ['5000']}}]
";

/// Beside another filter and a balancer, which are loaded anew as well.
pub fn of_the_example(cluster: &Cluster) {
    reach_every_node(cluster, "edge", "/spec/rules/3/match/destinationPorts", |port| {
        json!(["9", "5000-5999", port.to_string()])
    });
}

/// Each edit gives a new hash on all nodes. Times are from before the call to the API server, by the clock that all of
/// this machine's namespaces share; they are printed, because this machine does much else meanwhile.
fn reach_every_node(cluster: &Cluster, filter: &str, path: &str, value: impl Fn(usize) -> Value) {
    let (mut agreed, mut enforced) = (Vec::new(), Vec::new());
    let editor = Editor::new(cluster, filter);
    for edit in 0..EDITS {
        let before = cluster.object("xdpfilter", filter).unwrap();
        let from = jiff::Timestamp::now();
        editor.replace(path, value(20_000 + edit));
        let ready = |object: &Value| {
            let (status, generation) = (&object["status"], object["metadata"]["generation"].as_i64());
            status["observedGeneration"].as_i64() == generation
                && status["hash"] != before["status"]["hash"]
                && status["nodes"]["summary"] == "3/3"
        };
        cluster.wait_for("xdpfilter", filter, PATIENCE, ready).unwrap();
        agreed.push(first_words(cluster, "operator", "plans agreed", from)[0]);
        let agents = first_words(cluster, "agent", "plan in force", from);
        assert_eq!(agents.len(), NODES.len(), "{}", cluster.last_words());
        enforced.extend(agents.into_iter().max());
    }
    for (what, mut took) in [("the operator agreed", agreed), ("the last of three nodes enforces", enforced)]
    {
        took.sort();
        println!(
            "{filter} edited → {what}: median {:?} of {EDITS}, {:?} to {:?}",
            took[EDITS / 2],
            took[0],
            took[EDITS - 1]
        );
    }
}

/// A client that is connected already, as a controller's is.
struct Editor {
    runtime: Runtime,
    filters: Api<XdpFilter>,
    filter: String,
}

impl Editor {
    fn new(cluster: &Cluster, filter: &str) -> Editor {
        let kubeconfig = Kubeconfig::read_from(&cluster.kubeconfig).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let filters = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
            let filters: Api<XdpFilter> = Api::all(Client::try_from(config).unwrap());
            filters.get(filter).await.unwrap();
            filters
        });
        Editor { runtime, filters, filter: filter.to_owned() }
    }

    fn replace(&self, path: &str, value: Value) {
        let patch = json!([{"op": "replace", "path": path, "value": value}]);
        let patch: Patch<()> = Patch::Json(serde_json::from_value(patch).unwrap());
        self.runtime.block_on(self.filters.patch(&self.filter, &PatchParams::default(), &patch)).unwrap();
    }
}

/// When each pod of a component first said so, after `from`.
fn first_words(cluster: &Cluster, component: &str, message: &str, from: jiff::Timestamp) -> Vec<Duration> {
    let of = format!("app.kubernetes.io/component={component}");
    let since = format!("--since-time={from}");
    let logs =
        cluster.kubectl(&["logs", "-n", NAMESPACE, "-l", &of, "--prefix", &since, "--tail=-1"]).unwrap();
    let mut first = BTreeMap::new();
    for (pod, at) in logs.lines().filter_map(|line| said(line, message)).filter(|(_, at)| *at >= from) {
        let known = first.entry(pod.to_owned()).or_insert(at);
        *known = at.min(*known);
    }
    first.into_values().map(|at| at.duration_since(from).unsigned_abs()).collect()
}

fn said<'a>(line: &'a str, message: &str) -> Option<(&'a str, jiff::Timestamp)> {
    let (pod, json) = line.split_once(' ')?;
    let said: Value = serde_json::from_str(json).ok()?;
    let at = said["timestamp"].as_str()?.parse().ok()?;
    (said["fields"]["message"] == message).then_some((pod, at))
}
