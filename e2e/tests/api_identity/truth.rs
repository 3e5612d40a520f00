//! What is written and told, and what is not: Events of what came about, and no word where nothing has changed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sluice_e2e::process::eventually;
use sluice_proto::v1::{Drift, Report};

use crate::PATIENCE;
use crate::agent::{Admitted, Agent, Stream};
use crate::server::{NAMESPACE, Server};

/// How long nobody says anything: 10 s, or so many seconds as `SLUICE_STEADY` says.
fn steady() -> Duration {
    let seconds = std::env::var("SLUICE_STEADY").ok();
    Duration::from_secs(seconds.map_or(10, |seconds| seconds.parse().expect("a number of seconds")))
}

/// Of an object, by reason: type, note, and how often.
type Told = BTreeMap<String, (String, String, u64)>;

/// Somebody meddles with the node twice, then its agent falls silent.
pub fn what_came_about_is_told(server: &Server, agent: &Agent<'_>, identity: &Admitted) {
    assert_eq!(told(server, "nowhere")["NoNodes"].0, "Warning");
    let mut stream = connect(server, agent, identity);
    for count in 1..=2 {
        let drift =
            Drift { what: "program_detached".into(), place: "eth0".into(), repaired: true, count, age_ms: 0 };
        agent.report(&mut stream, Report { drift: vec![drift], ..Report::default() });
        let (kind, note, times) = wait_for(server, "node-b", "DriftRepaired", count);
        assert_eq!((kind.as_str(), times), ("Warning", count));
        assert!(note.starts_with("somebody took Sluice's program off interface eth0"), "{note}");
    }
    drop(stream);
    server.wait_for_condition("xdpnode/node-b", "Unreachable");
    let node = server.cluster.object("xdpnode", "node-b").unwrap();
    assert_eq!(node["status"]["conditions"][0]["status"], "Unknown", "nobody can say");
    assert_eq!(wait_for(server, "node-b", "Unreachable", 1).0, "Warning");
}

/// With all that comes of it.
pub fn connect(server: &Server, agent: &Agent<'_>, identity: &Admitted) -> Stream {
    let stream = agent.sync(identity, "node-b").unwrap();
    server.wait_for_condition("xdpnode/node-b", "Connected");
    stream
}

/// Another process has come to decide, and then nothing happens for a while.
pub fn nothing_is_written_where_nothing_changed(server: &Server) {
    let (before, events) = (versions(server), all_events(server));
    let written = writes(server).len();
    // Its status comes after all that would be written before.
    server.cluster.apply(LATER).unwrap();
    server.wait_for_condition("xdpfilter/later", "NoNodes");
    wait_for(server, "later", "NoNodes", 1);
    let meanwhile: Vec<String> = writes(server).split_off(written);
    assert!(meanwhile.iter().all(|write| write.contains("later")), "{meanwhile:?}");
    std::thread::sleep(steady());
    assert_eq!(writes(server).len(), written + meanwhile.len(), "{:?}", writes(server).last());
    let mut after = versions(server);
    after.remove("XdpFilter later");
    assert_eq!(after, before);
    assert_eq!(all_events(server).len(), events.len() + 1, "only of the filter that is new");
    server.kubectl(&["delete", "xdpfilter", "later"]);
}

const LATER: &str = "
apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {name: later}
spec: {nodeSelector: {matchLabels: {role: none}}, interfaces: {names: [eth0]}}
";

pub fn wait_for(server: &Server, object: &str, reason: &str, times: u64) -> (String, String, u64) {
    let found =
        eventually(PATIENCE, || Ok(told(server, object).remove(reason).filter(|told| told.2 >= times)));
    found.unwrap_or_else(|error| panic!("{object} {reason}: {error:#}: {:?}", all_events(server)))
}

fn told(server: &Server, object: &str) -> Told {
    let events = all_events(server).into_iter().filter(|event| event["regarding"]["name"] == object);
    let word = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
    events
        .map(|event| {
            let times = event["series"]["count"].as_u64().unwrap_or(1);
            assert_eq!(event["reportingController"], "sluice.dev/operator");
            assert!(event["regarding"]["uid"].is_string(), "kubectl describe asks for it: {event}");
            (word(&event, "reason"), (word(&event, "type"), word(&event, "note"), times))
        })
        .collect()
}

fn all_events(server: &Server) -> Vec<Value> {
    let list = server.kubectl(&["get", "events.events.k8s.io", "-n", "default", "-o", "json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let ours = |event: &Value| event["regarding"]["apiVersion"] == "sluice.dev/v1alpha1";
    list["items"].as_array().unwrap().iter().filter(|event| ours(event)).cloned().collect()
}

/// Of every object that has a status of ours.
fn versions(server: &Server) -> BTreeMap<String, String> {
    let kinds = "xdpfilters,xdploadbalancers,xdpaddresssets,xdpnodes";
    let list = server.kubectl(&["get", kinds, "-A", "-o", "json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let version = |object: &Value| {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        (format!("{} {}", word(&object["kind"]), word(&metadata["name"])), word(&metadata["resourceVersion"]))
    };
    list["items"].as_array().unwrap().iter().map(version).collect()
}

/// Of the operator's account: verb, resource and name.
fn writes(server: &Server) -> Vec<String> {
    let account = format!("system:serviceaccount:{NAMESPACE}:sluice-operator");
    let text = std::fs::read_to_string(server.cluster.audit_log()).unwrap();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_account = events.filter(|event| event["user"]["username"] == account.as_str());
    let word = |event: &Value, field: &str| event["objectRef"][field].as_str().unwrap_or_default().to_owned();
    let writes = of_account.filter(|event| {
        let verb = event["verb"].as_str().unwrap_or_default();
        ["create", "update", "patch", "delete"].contains(&verb) && !word(event, "resource").contains("review")
    });
    let describe =
        |event: Value| format!("{} {} {}", event["verb"], word(&event, "resource"), word(&event, "name"));
    writes.map(describe).collect()
}
