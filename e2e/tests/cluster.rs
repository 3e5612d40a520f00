//! The main job on a real Kubernetes: Helm installs, policies become Ready, frames meet them, and nothing that happens to
//! agents, operator, nodes or API server lets one packet through that must not pass. Needs root.
#![allow(clippy::unwrap_used, reason = "a test says what failed by failing")]

#[path = "cluster/checks.rs"]
mod checks;
#[path = "cluster/disruptions.rs"]
mod disruptions;
#[path = "cluster/edits.rs"]
mod edits;
#[path = "cluster/install.rs"]
mod install;
#[path = "cluster/users.rs"]
mod users;

use std::time::{Duration, Instant};

use sluice_e2e::cluster::Cluster;

const NODES: [&str; 3] = ["node-a", "node-b", "node-c"];
const NAMESPACE: &str = "sluice-system";
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn the_main_job_on_three_nodes() {
    let begun = Instant::now();
    let step = |name: &str| println!("[{:>5.1} s] {name}", begun.elapsed().as_secs_f64());
    let directory = tempfile::tempdir().unwrap();
    let cluster = Cluster::with_nodes("slk", &NODES).unwrap();
    step("three nodes are up");
    install::install(&cluster, directory.path());
    step("helm install");
    install::agents_run_unprivileged(&cluster);
    edits::of_one_policy(&cluster);
    step("edits of one policy reach every node");
    let _backends = install::serve_backends(&cluster);
    checks::apply_examples(&cluster);
    step("both examples are Ready");
    let [viewer, stranger, debugger] = users::User::create(&cluster, directory.path());
    checks::frames_meet_the_policy(&cluster, &viewer);
    step("frames are dropped and passed, and counted to the packet");
    viewer.sees_only_what_it_may_list();
    viewer.is_told_why();
    step("a user sees what it may list");
    debugger.changes_levels();
    viewer.may_change_no_level();
    step("who may exec in the pods changes their log levels");
    edits::of_the_example(&cluster);
    step("edits of the example reach every node");
    checks::nobody_is_locked_out(&cluster);
    step("a filter that drops everything locks nobody out");

    let traffic = disruptions::traffic(&cluster, "node-b");
    viewer.sees_drops();
    stranger.is_refused_drops();
    step("drops are shown to who may list their policies");
    disruptions::agent_pod_deleted(&cluster, "node-b");
    step("agent pod deleted and back");
    disruptions::operator_pods_replaced(&cluster);
    step("every operator pod replaced");
    disruptions::node_off_and_on(&cluster, "node-c");
    step("node off, told, and back");
    disruptions::api_server_killed(&cluster, &traffic);
    step("API server killed and back");
    let tally = traffic.stop().unwrap();
    println!("{tally:?}");
    assert_eq!(tally.wrong(), 0, "{tally:?}");

    checks::deleted_policies_are_detached(&cluster);
    step("deleted policies are detached");
    install::uninstall_with_a_node_lost(&cluster);
    step("helm uninstall names the lost node and leaves the CRDs and the volume");
}
