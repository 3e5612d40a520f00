//! The CLI's side of the operator: reads the view, decides what waits for a person.

mod door;

use std::sync::Arc;
use std::time::SystemTime;

use sluice_crds::{Kind, RolloutStatus};
use sluice_distribute::Drops;
use sluice_index::ObjectKey;
use sluice_pki::{Peer, Tokens};
use sluice_proto::v1::admin_server::Admin;
use sluice_proto::v1::{
    self, FailingNode, JoinRequest, JoinResponse, ListCountersResponse, ListNodesResponse,
    ListPoliciesResponse, ListReplicasResponse, ListRequest, ListRevisionsResponse, NamedCounter,
    NodeCounters, NodeStatus, PolicyStatus, RecoverRequest, RecoverResponse, ReplicaStatus, SetStatus,
    VersionResponse, WatchDropsRequest,
};
use sluice_raft::{Member, Raft};
use sluice_status::{Conditions, Placed, PolicyState, rollout_status};
use tokio::sync::{mpsc, watch};
use tonic::{Request, Response, Status};

pub use door::AdminDoor;

use crate::alone::Alone;
use crate::counters::{self, Counter};
use crate::drops::{DropStream, Watching};
use crate::gate::{Caller, Gate, Reader};
use crate::join;
use crate::revisions::{self, Revision};
use crate::sight::Sight;
use crate::view::View;

pub struct AdminService {
    pub view: watch::Receiver<Arc<View>>,
    pub gate: Gate,
    pub cluster_id: String,
    /// Confirms a held mass deletion.
    pub confirm: mpsc::Sender<()>,
    pub raft: Raft,
    pub alone: Alone,
    pub drops: Drops,
    /// Makes join tokens; a cluster's agents have the API server's.
    pub join: Option<Tokens>,
}

impl AdminService {
    /// The present view, who asks, and which policies they may see; not one is a refusal.
    async fn admit<T>(&self, request: &Request<T>) -> Result<(Arc<View>, Reader, Sight), Status> {
        let reader = self.gate.recognise(&self.caller(request)).await?;
        let view = self.view.borrow().clone();
        let sight = Sight::of(&reader, &view).await?;
        Ok((view, reader, sight))
    }

    /// Only for who may delete every policy: what is decided may be about any of them.
    async fn admit_to_decide<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let reader = self.gate.recognise(&self.caller(request)).await?;
        for kind in [Kind::XdpFilter, Kind::XdpLoadBalancer, Kind::XdpAddressSet] {
            reader.require("delete", kind).await?;
        }
        Ok(())
    }

    fn own_version(&self) -> VersionResponse {
        VersionResponse { version: env!("CARGO_PKG_VERSION").to_owned(), cluster_id: self.cluster_id.clone() }
    }

    fn caller<T>(&self, request: &Request<T>) -> Caller {
        let admin_certificate = match Peer::of(request) {
            Ok(Some(Peer::Admin(_))) => true,
            Ok(Some(Peer::Operator(_))) => request.metadata().contains_key(door::FOR_ADMINISTRATOR),
            _ => false,
        };
        let token = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
        Caller { admin_certificate, token }
    }
}

#[tonic::async_trait]
impl Admin for AdminService {
    type WatchDropsStream = DropStream;

    async fn list_policies(
        &self,
        request: Request<ListRequest>,
    ) -> Result<Response<ListPoliciesResponse>, Status> {
        let (view, _, sight) = self.admit(&request).await?;
        let name = &request.get_ref().name;
        let named = |key: &ObjectKey| name.is_empty() || key.name == *name;
        let chosen = view.objects.iter().filter(|(key, _)| sight.sees(key) && named(key));
        let policies = chosen.map(|(_, (placed, state))| policy_status(placed, state)).collect();
        // They quote files and objects of any kind and namespace.
        let problems = view.problems.iter().filter(|_| sight.filters).map(ToString::to_string).collect();
        Ok(Response::new(ListPoliciesResponse { epoch: Some(view.epoch.into()), policies, problems }))
    }

    async fn list_nodes(&self, request: Request<ListRequest>) -> Result<Response<ListNodesResponse>, Status> {
        self.gate.recognise(&self.caller(&request)).await?.require("list", Kind::XdpNode).await?;
        let view = self.view.borrow().clone();
        let name = &request.get_ref().name;
        let chosen = view.nodes.iter().filter(|(node, _)| name.is_empty() || *node == name);
        let nodes = chosen.map(|(name, node)| NodeStatus {
            name: name.clone(),
            connected: node.connected,
            version: node.version.clone(),
            capabilities: node.capabilities.clone(),
            facts: Some(node.facts.clone()),
            epoch: node.epoch.map(Into::into),
            plan_hash: node.plan.map(|(hash, _)| hash.short()).unwrap_or_default(),
            class: view.node_class.get(name).cloned().unwrap_or_default(),
            last_seen: node.last_seen,
            program: node.program,
        });
        Ok(Response::new(ListNodesResponse { nodes: nodes.collect() }))
    }

    async fn list_counters(
        &self,
        request: Request<ListRequest>,
    ) -> Result<Response<ListCountersResponse>, Status> {
        let (view, reader, sight) = self.admit(&request).await?;
        let sees_nodes = reader.may("list", Kind::XdpNode, None).await?;
        let name = &request.get_ref().name;
        let nodes = view.nodes.iter().map(|(node, state)| NodeCounters {
            node: node.clone(),
            stats: state.stats.clone().into_iter().filter(|_| sees_nodes).collect(),
            counters: named(&view, &sight, node, name),
        });
        Ok(Response::new(ListCountersResponse { nodes: nodes.collect() }))
    }

    async fn watch_drops(&self, request: Request<WatchDropsRequest>) -> Result<Response<DropStream>, Status> {
        let (_, reader, sight) = self.admit(&request).await?;
        let watching = Watching::new(self.view.clone(), reader, sight, request.into_inner()).await?;
        let watcher = self.drops.watch(watching.node());
        let watcher =
            watcher.ok_or_else(|| Status::resource_exhausted("too many watch drops: try again later"))?;
        Ok(Response::new(watching.stream(watcher)))
    }

    async fn list_revisions(
        &self,
        request: Request<ListRequest>,
    ) -> Result<Response<ListRevisionsResponse>, Status> {
        let (view, _, sight) = self.admit(&request).await?;
        let key = ObjectKey::new(Kind::XdpFilter, "", &request.get_ref().name);
        let (placed, _) = view.objects.get(&key).filter(|_| sight.sees(&key)).ok_or_else(|| {
            Status::not_found(format!("there is no {key}, or you may not see it: `kubectl sluice status`"))
        })?;
        let found = revisions::of(&self.raft.state().borrow(), &placed.uid);
        let revision =
            |Revision { generation, at, spec }| v1::Revision { generation, at, spec: spec.to_string() };
        Ok(Response::new(ListRevisionsResponse { revisions: found.into_iter().map(revision).collect() }))
    }

    async fn version(&self, request: Request<ListRequest>) -> Result<Response<VersionResponse>, Status> {
        self.gate.recognise(&self.caller(&request)).await?;
        Ok(Response::new(self.own_version()))
    }

    async fn list_replicas(
        &self,
        request: Request<ListRequest>,
    ) -> Result<Response<ListReplicasResponse>, Status> {
        self.gate.recognise(&self.caller(&request)).await?.require("list", Kind::XdpNode).await?;
        let status = |Member { node_id, address, leads, votes, behind, silent }| ReplicaStatus {
            id: node_id,
            address,
            leads,
            votes,
            behind,
            silent,
        };
        let replicas = self.raft.members().into_iter().map(status).collect();
        Ok(Response::new(ListReplicasResponse { replicas, term: self.raft.report().term }))
    }

    async fn confirm_deletion(
        &self,
        request: Request<ListRequest>,
    ) -> Result<Response<VersionResponse>, Status> {
        self.admit_to_decide(&request).await?;
        self.confirm.send(()).await.map_err(|_| Status::unavailable("the operator is stopping"))?;
        Ok(Response::new(self.own_version()))
    }

    async fn recover(&self, request: Request<RecoverRequest>) -> Result<Response<RecoverResponse>, Status> {
        self.admit_to_decide(&request).await?;
        let lost = &request.get_ref().lost;
        if !lost.is_empty() {
            self.alone.go_on(&self.raft, lost).await?;
            return Ok(Response::new(RecoverResponse::default()));
        }
        let seen = match request.get_ref().seen_incarnation {
            0 => self.view.borrow().ahead.values().map(|epoch| epoch.incarnation).max(),
            given => Some(given),
        };
        let seen = seen.ok_or_else(|| {
            Status::failed_precondition("no node enforces an epoch that this operator does not know")
        })?;
        let applied = self.raft.raise(seen).await.map_err(|error| Status::unavailable(error.to_string()))?;
        tracing::warn!(epoch = %applied.epoch, "recovered: epochs are above those of the lost store");
        Ok(Response::new(RecoverResponse { epoch: Some(applied.epoch.into()) }))
    }

    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        self.admit_to_decide(&request).await?;
        let tokens = self.join.as_ref().ok_or_else(|| {
            Status::failed_precondition("in a cluster agents join with their ServiceAccount's token")
        })?;
        join::token(tokens, request.get_ref(), SystemTime::now()).map(Response::new)
    }
}

fn named(view: &View, sight: &Sight, node: &str, policy: &str) -> Vec<NamedCounter> {
    let counters = counters::of_node(view, node).into_iter();
    let chosen = counters
        .filter(|counter| sight.sees(counter.key) && (policy.is_empty() || counter.key.name == policy));
    let named = chosen.map(|Counter { key, name, verdict, total }| NamedCounter {
        kind: key.kind.clone(),
        namespace: key.namespace.clone(),
        policy: key.name.clone(),
        rule: name.to_owned(),
        verdict: verdict.to_owned(),
        packets: total.packets,
        bytes: total.bytes,
    });
    named.collect()
}

fn warnings(placed: &Placed, state: &PolicyState) -> Vec<String> {
    let notes = state.notes.iter().map(|(reason, note)| format!("{reason}: {note}"));
    notes.chain(placed.warnings.iter().map(ToString::to_string)).collect()
}

fn policy_status(placed: &Placed, state: &PolicyState) -> PolicyStatus {
    let conditions = Conditions::new(&[], placed.generation, jiff::Timestamp::now());
    let conditions = match &placed.set {
        Some(_) => conditions.of_set(placed, state),
        None => conditions.of_policy(placed, state),
    };
    let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
    let (ready, reason, message) =
        ready.map(|ready| (ready.status, ready.reason, ready.message)).unwrap_or_default();
    let key = placed.key.clone().expect("the view places objects by their key");
    let healthy = placed.backends.iter().filter(|(_, healthy, _)| *healthy != Some(false)).count();
    PolicyStatus {
        kind: key.kind,
        namespace: key.namespace,
        name: key.name,
        uid: placed.uid.clone(),
        generation: placed.generation,
        hash: placed.hash.map(|hash| hash.short()).unwrap_or_default(),
        mode: placed.mode.clone(),
        rules: placed.rules,
        desired: state.desired,
        programmed: state.programmed,
        rejected: state.rejected,
        unreachable: state.unreachable,
        dropped_packets: state.dropped_packets,
        dropped_per_second: state.dropped_per_second,
        ready,
        reason,
        message,
        failing: state
            .failing
            .iter()
            .map(|(node, reason, message)| FailingNode {
                node: node.clone(),
                reason: reason.clone(),
                message: message.clone(),
            })
            .collect(),
        backends_healthy: healthy as u32,
        backends_total: placed.backends.len() as u32,
        warnings: warnings(placed, state),
        rollout: placed.rolling.as_ref().map(|facts| {
            let RolloutStatus { phase, wave, updated, total, message } = rollout_status(facts);
            v1::RolloutStatus { phase: format!("{phase:?}"), wave, updated, total, message }
        }),
        set: placed.set.as_ref().map(|facts| SetStatus {
            entries: facts.size.map_or(0, |size| size.entries),
            prefixes: facts.size.map_or(0, |size| size.prefixes),
            kernel_bytes: state.kernel_bytes,
            last_fetch: facts.last_fetch().unwrap_or_default(),
            error: facts.error().unwrap_or_default(),
        }),
    }
}
