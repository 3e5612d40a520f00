//! The taint that keeps ordinary pods from a node until its agent has programmed what is meant for it.
//!
//! A node registers with it (the kubelet's `registerWithTaints`), the operator takes it off when the kernel holds the node's
//! plan, and puts it on again when the cluster has lost the node or it has booted since its agent last spoke. An agent that is
//! away while its node lives is no reason: what it attached stays in force.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, NodeStatus, Taint};
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Client, ResourceExt};
use serde_json::json;
use sluice_plan::Hash;
use sluice_proto::v1::VerdictStage;
use sluice_source::kubernetes::events;
use sluice_status::NodeState;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::view::View;

const KEY: &str = "sluice.dev/agent-not-ready";
/// Those of the cluster itself, on a node that its kubelet says nothing good of, or nothing at all.
const LOST: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
const ROUND: Duration = Duration::from_millis(500);
/// Writes in one round.
const BUDGET: usize = 20;
const CALL: Duration = Duration::from_secs(5);

/// Whether a node should have the taint; `None` where it stays as it is, `meant` is the plan that it should hold.
fn is_wanted(node: &Node, agent: &NodeState, meant: Option<Hash>) -> Option<bool> {
    let boot = node.status.as_ref().and_then(|status| status.node_info.as_ref()).map(|info| &info.boot_id);
    // Empty where one of them does not say.
    let booted =
        boot.is_some_and(|boot| !boot.is_empty() && !agent.boot_id.is_empty() && *boot != agent.boot_id);
    let lost = taints(node).iter().any(|taint| LOST.contains(&taint.key.as_str()));
    let programmed = meant.is_some_and(|hash| agent.plan == Some((hash, VerdictStage::Programmed)));
    match agent.connected {
        true => programmed.then_some(false),
        false => (booted || lost).then_some(true),
    }
}

fn taints(node: &Node) -> &[Taint] {
    node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
}

/// Keeps the taint of every node that has an agent, as long as it is polled.
pub async fn keep(client: Client, view: watch::Receiver<Arc<View>>) -> Infallible {
    let api: Api<Node> = Api::all(client);
    let (store, writer) = reflector::store();
    let nodes = api.clone();
    let watched = events(move || watcher(nodes.clone(), watcher::Config::default()));
    let mut watched = pin!(watched.modify(slim).reflect(writer));
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // By node, the version that was written over: its watch has not told of that yet.
    let mut written: BTreeMap<String, String> = BTreeMap::new();
    loop {
        tokio::select! {
            event = watched.next() => if let Some(Err(error)) = event {
                tracing::warn!(%error, "nodes cannot be watched; their taints stay as they are");
            },
            _ = rounds.tick() => {
                let shown = view.borrow().clone();
                for (node, tainted) in due(&store.state(), &shown, &written) {
                    let (name, version) = (node.name_any(), node.resource_version().unwrap_or_default());
                    match set(&api, &node, tainted).await {
                        Ok(()) => tracing::info!(node = name, tainted, taint = KEY, "taint set"),
                        // Somebody else wrote the node meanwhile; its watch tells.
                        Err(error) if is_conflict(&error) => {}
                        Err(error) => {
                            tracing::warn!(node = name, error = format!("{error:#}"), "taint not set; tried again");
                            // It may be the API server that is away, for all of them.
                            break;
                        }
                    }
                    written.insert(name, version);
                }
            }
        }
    }
}

fn due(nodes: &[Arc<Node>], view: &View, written: &BTreeMap<String, String>) -> Vec<(Arc<Node>, bool)> {
    let due = nodes.iter().filter_map(|node| {
        let name = node.name_any();
        let wanted = is_wanted(node, view.nodes.get(&name)?, view.planned(&name))?;
        let is = taints(node).iter().any(|taint| taint.key == KEY);
        let told = written.get(&name) != node.resource_version().as_ref();
        (is != wanted && told).then(|| (node.clone(), wanted))
    });
    due.take(BUDGET).collect()
}

/// Only over the version that was looked at: other taints of the list are others'.
async fn set(api: &Api<Node>, node: &Node, tainted: bool) -> anyhow::Result<()> {
    let others = taints(node).iter().filter(|taint| taint.key != KEY).cloned();
    let own = Taint { key: KEY.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    let all: Vec<Taint> = others.chain(tainted.then_some(own)).collect();
    let patch = json!({"metadata": {"resourceVersion": node.resource_version()}, "spec": {"taints": all}});
    let parameters =
        PatchParams { field_manager: Some("sluice-operator".to_owned()), ..PatchParams::default() };
    let (name, patch) = (node.name_any(), Patch::Merge(&patch));
    timeout(CALL, api.patch(&name, &parameters, &patch))
        .await
        .context("the API server does not answer")??;
    Ok(())
}

fn is_conflict(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(kube::Error::Api(status)) if status.is_conflict())
}

/// What is looked at, and no images, addresses and heartbeats of thousands of nodes.
fn slim(node: &mut Node) {
    node.metadata.managed_fields = None;
    node.metadata.annotations = None;
    let info = node.status.take().and_then(|status| status.node_info);
    node.status = Some(NodeStatus { node_info: info, ..NodeStatus::default() });
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{NodeSpec, NodeSystemInfo};

    use super::*;

    const PLAN: Hash = Hash([7; 32]);

    fn node(taint: &str, boot: &str) -> Node {
        let taint = Taint { key: taint.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
        let info = NodeSystemInfo { boot_id: boot.to_owned(), ..NodeSystemInfo::default() };
        Node {
            spec: Some(NodeSpec { taints: Some(vec![taint]), ..NodeSpec::default() }),
            status: Some(NodeStatus { node_info: Some(info), ..NodeStatus::default() }),
            ..Node::default()
        }
    }

    fn agent(connected: bool, holds: Option<Hash>) -> NodeState {
        let plan = holds.map(|hash| (hash, VerdictStage::Programmed));
        NodeState { connected, plan, boot_id: "first".to_owned(), ..NodeState::default() }
    }

    #[test]
    fn it_goes_when_the_kernel_holds_what_is_meant_and_not_before() {
        let new = node(KEY, "first");
        assert_eq!(is_wanted(&new, &agent(true, Some(PLAN)), Some(PLAN)), Some(false));
        assert_eq!(is_wanted(&new, &agent(true, Some(PLAN)), Some(Hash([8; 32]))), None, "an older plan");
        assert_eq!(is_wanted(&new, &agent(true, None), Some(PLAN)), None);
        assert_eq!(is_wanted(&new, &agent(true, Some(PLAN)), None), None, "nothing is planned yet");
        let accepted = NodeState { plan: Some((PLAN, VerdictStage::Accepted)), ..agent(true, None) };
        assert_eq!(is_wanted(&new, &accepted, Some(PLAN)), None);
        assert_eq!(is_wanted(&new, &agent(false, Some(PLAN)), Some(PLAN)), None, "nobody says so now");
    }

    #[test]
    fn it_comes_back_with_a_boot_and_with_a_lost_node_and_not_with_an_agent_that_is_away() {
        let away = agent(false, Some(PLAN));
        assert_eq!(is_wanted(&node("else", "first"), &away, Some(PLAN)), None);
        for lost in LOST {
            assert_eq!(is_wanted(&node(lost, "first"), &away, Some(PLAN)), Some(true));
            let answers = agent(true, Some(PLAN));
            assert_eq!(
                is_wanted(&node(lost, "first"), &answers, Some(PLAN)),
                Some(false),
                "its kubelet is away"
            );
        }
        assert_eq!(is_wanted(&node("else", "second"), &away, Some(PLAN)), Some(true));
        assert_eq!(is_wanted(&node("else", ""), &away, Some(PLAN)), None, "the cluster does not say");
    }

    #[test]
    fn only_what_differs_is_written_and_once() {
        let mut lost = node(LOST[0], "first");
        lost.metadata.name = Some("edge-1".to_owned());
        lost.metadata.resource_version = Some("5".to_owned());
        let mut stranger = lost.clone();
        stranger.metadata.name = Some("without-agent".to_owned());
        let nodes = [Arc::new(lost), Arc::new(stranger)];
        let mut view = View::default();
        view.nodes.insert("edge-1".to_owned(), Arc::new(agent(false, None)));
        let due = |written: &[(&str, &str)]| {
            let written = written.iter().map(|(node, version)| ((*node).to_owned(), (*version).to_owned()));
            due(&nodes, &view, &written.collect()).len()
        };
        assert_eq!(due(&[]), 1, "a node without an agent is nobody's to taint");
        assert_eq!((due(&[("edge-1", "5")]), due(&[("edge-1", "4")])), (0, 1));
    }
}
