//! The main job on a real Kubernetes: Helm installs, policies become Ready, frames meet them, and nothing that happens to
//! releases, agents, operator, nodes or API server lets one packet through that must not pass. Needs root.
#![allow(clippy::unwrap_used, reason = "a test says what failed by failing")]

#[path = "cluster/checks.rs"]
mod checks;
#[path = "cluster/cut_off.rs"]
mod cut_off;
#[path = "cluster/disruptions.rs"]
mod disruptions;
#[path = "cluster/edits.rs"]
mod edits;
#[path = "cluster/install.rs"]
mod install;
#[path = "cluster/nodes.rs"]
mod nodes;
#[path = "cluster/upgrades.rs"]
mod upgrades;
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
    edits::of_the_example(&cluster);
    step("edits of the example reach every node");
    checks::nobody_is_locked_out(&cluster);
    step("a filter that drops everything locks nobody out");

    let mut floods = disruptions::Floods::start(&cluster);
    viewer.sees_drops();
    stranger.is_refused_drops();
    step("drops are shown to who may list their policies");
    disruptions::agent_pod_deleted(&cluster, "node-b");
    step("agent pod deleted and back");
    upgrades::from_the_previous_chart(&cluster, &floods);
    step("helm upgrade from the previous chart");
    debugger.changes_levels();
    viewer.may_change_no_level();
    step("who may exec in the pods changes their log levels");
    upgrades::rolled_back(&cluster, &floods);
    step("an upgrade that does not start, and helm rollback");
    nodes::drained(&cluster, "node-b", &floods, || cut_off::comes_back_by_itself(&cluster, "node-b"));
    step("node drained, cut off by a policy that it takes back, and filled again");
    nodes::partitioned(&cluster, "node-b", &mut floods);
    step("node partitioned and back");
    disruptions::node_off_and_on(&cluster, "node-c", &mut floods);
    step("node off, told, and back");
    nodes::lost_and_replaced(&cluster, "node-c", &mut floods);
    step("node lost, deleted, and another in its place");
    disruptions::api_server_killed(&cluster, &floods);
    step("API server killed and back");
    floods.stop();

    disruptions::namespace_deleted(&cluster);
    step("namespace deleted with a balancer in it");
    checks::deleted_policies_are_detached(&cluster);
    step("deleted policies are detached");
    install::uninstall_with_a_node_lost(&cluster);
    step("helm uninstall names the lost node and leaves the CRDs and the volume");
}
