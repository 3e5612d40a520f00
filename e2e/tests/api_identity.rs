//! Who is who, by a real API server: the operator under its own account with the chart's rights and no more, agents
//! admitted by the tokens of their pods, users who see the drops that their rights let them see, and GitOps, which sees no
//! difference. Needs root for the API server's namespace.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "api_identity/agent.rs"]
mod agent;
#[path = "api_identity/declared.rs"]
mod declared;
#[path = "api_identity/lines.rs"]
mod lines;
#[path = "api_identity/outages.rs"]
mod outages;
#[path = "api_identity/rights.rs"]
mod rights;
#[path = "api_identity/roles.rs"]
mod roles;
#[path = "api_identity/server.rs"]
mod server;
#[path = "api_identity/taint.rs"]
mod taint;
#[path = "api_identity/truth.rs"]
mod truth;
#[path = "api_identity/users.rs"]
mod users;
#[path = "api_identity/watcher.rs"]
mod watcher;
#[path = "api_identity/wire.rs"]
mod wire;

use std::time::Duration;

use serde_json::json;
use sluice_e2e::process::eventually;
use tonic::Code;

use agent::{Admitted, Agent};
use declared::{status_is_no_difference, the_chart_is_admitted};
use lines::each_line_is_missed;
use rights::each_right_is_used;
use server::{LISTS, Server};
use taint::a_lost_node_waits_for_its_agent;
use users::drops_are_shown_to_who_may_list_their_policies;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn the_operator_and_its_agents_are_who_the_api_server_says() {
    let server = Server::start("slid");
    let operator = server.start_operator();
    the_operator_reads_and_writes_with_its_own_rights(&server);
    its_account_may_do_nothing_else(&server);
    users::an_agents_account_reads_nothing(&server);
    a_set_follows_its_config_map(&server);
    a_pod_keeps_its_address(&server);

    let agent = Agent::at(&operator);
    let identity = agent.enroll(&server.token_of_pod("agent-a", &[AUDIENCE])).unwrap();
    assert_eq!(identity.node, "node-a");
    let mut stream = agent.sync(&identity, "node-a").unwrap();
    server.wait_for_condition("xdpnode/node-a", "Connected");
    drops_are_shown_to_who_may_list_their_policies(&server, &operator, &agent, &mut stream);
    // The account's rights reach to the end of a node's life.
    server.kubectl(&["delete", "node", "node-a"]);
    drop(stream);
    let gone = || Ok(server.cluster.object("xdpnode", "node-a").is_err().then_some(()));
    eventually(PATIENCE, gone)
        .unwrap_or_else(|error| panic!("its XdpNode stays: {error:#}\n{}", operator.log()));

    let identity = refusals(&server, &agent);
    truth::what_came_about_is_told(&server, &agent, &identity);
    let stream = truth::connect(&server, &agent, &identity);
    truth::wait_for(&server, "node-b", "Connected", 2);
    drop((stream, agent));
    drop(operator);
    let operator = server.start_operator();
    let agent = Agent::at(&operator);
    let stream = truth::connect(&server, &agent, &identity);
    truth::nothing_is_written_where_nothing_changed(&server);
    drop(stream);
    a_lost_node_waits_for_its_agent(&server, &operator, &agent);
    status_is_no_difference(&server);
    the_chart_is_admitted(&server);
    each_right_is_used(&server);
    drop(agent);
    each_line_is_missed(&server, operator);
}

const AUDIENCE: &str = "sluice-operator";

/// Filters, balancers, nodes and the API server's own address are watched; status is written, an XdpNode made.
fn the_operator_reads_and_writes_with_its_own_rights(server: &Server) {
    server.cluster.apply(FILTER).unwrap();
    server.wait_for_condition("xdpfilter/nowhere", "NoNodes");
}

const FILTER: &str = "
apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {name: nowhere}
spec: {nodeSelector: {matchLabels: {role: none}}, interfaces: {names: [eth0]}}
";

/// Until it has ended: the address may be another's by then.
fn a_pod_keeps_its_address(server: &Server) {
    server.set_pod_status("other", &json!({"phase": "Running", "podIPs": [{"ip": "203.0.113.7"}]}));
    server.cluster.apply(BALANCER).unwrap();
    let said = server.wait_for_condition("xdploadbalancer/shop", "AddressInUse");
    assert!(said.contains("203.0.113.7: belongs to Pod sluice-system/other"), "{said}");
    server.set_pod_status("other", &json!({"phase": "Succeeded"}));
    server.wait_for_condition("xdploadbalancer/shop", "NoNodes");
    server.kubectl(&["delete", "xdploadbalancer", "shop"]);
}

pub const BALANCER: &str = "
apiVersion: sluice.dev/v1alpha1
kind: XdpLoadBalancer
metadata: {name: shop}
spec:
  nodeSelector: {matchLabels: {role: none}}
  interfaces: {names: [eth0]}
  addresses: [203.0.113.7]
  ports: [{name: http, protocol: TCP, port: 80}]
  backends: {static: [{address: 192.0.2.11}]}
";

/// Watched one by one, and in the namespaces that the chart names.
fn a_set_follows_its_config_map(server: &Server) {
    let entries = |wanted: u64| {
        let fits = |set: &serde_json::Value| set["status"]["entries"] == wanted;
        server.cluster.wait_for("xdpaddressset", "strangers", PATIENCE, fits).unwrap()
    };
    let error = |words: &str| {
        let fits = |set: &serde_json::Value| {
            set["status"]["error"].as_str().is_some_and(|said| said.contains(words))
        };
        server
            .cluster
            .wait_for("xdpaddressset", "strangers", PATIENCE, fits)
            .unwrap_or_else(|error| panic!("{words}: {error:#}"))
    };
    let write = |list: &str| {
        let patch = json!({"data": {"v4": list}}).to_string();
        server.kubectl(&["patch", "configmap", "blocked", "-n", LISTS, "--type=merge", "--patch", &patch]);
    };
    server.kubectl(&[
        "create",
        "configmap",
        "blocked",
        "-n",
        LISTS,
        "--from-literal=v4=192.0.2.0/24",
        "--from-literal=other=nonsense",
    ]);
    server.cluster.apply(SET).unwrap();
    entries(2);
    write("192.0.2.0/25\n192.0.2.128/25\n198.51.100.7");
    assert_eq!(entries(4)["status"]["prefixes"], 3, "two neighbours are one prefix");
    write("192.0.2.0/24\n198.51.100.1-198.51.100.9");
    assert_eq!(error("line 2")["status"]["entries"], 4, "the last good reading stays");
    write("192.0.2.0/24");
    entries(2);
    server.kubectl(&["delete", "configmap", "blocked", "-n", LISTS]);
    assert_eq!(error("there is no such ConfigMap")["status"]["entries"], 2);
    // Of another namespace: refused by the API server, and said so.
    server.cluster.apply(&SET.replace("namespace: lists", "namespace: default")).unwrap();
    error("name its namespace in addressSets.configMapNamespaces");
    server.kubectl(&["delete", "xdpaddressset", "strangers"]);
}

const SET: &str = "
apiVersion: sluice.dev/v1alpha1
kind: XdpAddressSet
metadata: {name: strangers}
spec:
  entries: [{cidr: 203.0.113.0/24}]
  configMaps: [{namespace: lists, name: blocked, key: v4}]
";

fn its_account_may_do_nothing_else(server: &Server) {
    for (verb, what) in [
        ("create", "xdpfilters.sluice.dev"),
        ("patch", "xdpfilters.sluice.dev"),
        ("delete", "xdploadbalancers.sluice.dev"),
        ("list", "secrets"),
        ("get", "configmaps"),
        ("get", "pods"),
        ("delete", "pods"),
        ("delete", "nodes"),
        ("create", "serviceaccounts/token"),
    ] {
        assert!(!server.may("sluice-operator", verb, what), "the operator may {verb} {what}");
        assert!(!server.may("sluice-agent", verb, what), "an agent may {verb} {what}");
    }
    for (verb, what) in [
        ("list", "xdpfilters.sluice.dev"),
        ("create", "tokenreviews.authentication.k8s.io"),
        ("create", "subjectaccessreviews.authorization.k8s.io"),
    ] {
        assert!(server.may("sluice-operator", verb, what), "the operator may not {verb} {what}");
        assert!(!server.may("sluice-agent", verb, what), "an agent may {verb} {what}");
    }
}

/// The certificate of node-b in the end.
fn refusals(server: &Server, agent: &Agent<'_>) -> Admitted {
    let refused = |token: &str, words: &str| {
        let status = agent.enroll(token).map(|identity| identity.node).expect_err(words);
        assert_eq!(status.code(), Code::Unauthenticated, "{status}");
        assert!(status.message().contains(words), "{status}");
    };
    refused("no token at all", "the API server refuses the token");
    // Every pod has one of these, with the API server's own audience.
    refused(&server.token_of_pod("agent-b", &[]), "the API server refuses the token");
    refused(&server.token_of_pod("agent-b", &["another"]), "the API server refuses the token");
    refused(&server.token_of_pod("other", &[AUDIENCE]), "sluice-system:other is not");
    // Of the agents' account, but of no pod: it says nothing of a node.
    refused(&server.token("sluice-agent", &[AUDIENCE]), "bound to no node");

    // A certificate is for one node, whatever its owner says of itself.
    let identity = agent.enroll(&server.token_of_pod("agent-b", &[AUDIENCE])).unwrap();
    let status = agent.sync(&identity, "node-a").map(drop).expect_err("another node's name");
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    identity
}
