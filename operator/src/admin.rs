//! The CLI's side of the operator: reads the view, decides what waits for a person.

mod answers;
mod door;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sluice_crds::Kind;
use sluice_distribute::Drops;
use sluice_index::ObjectKey;
use sluice_pki::{Peer, Tokens};
use sluice_proto::v1::admin_server::Admin;
use sluice_proto::v1::{
    self, JoinRequest, JoinResponse, ListCountersResponse, ListNodesResponse, ListPoliciesResponse,
    ListReplicasResponse, ListRequest, ListRevisionsResponse, NodeCounters, NodeStatus, RecoverRequest,
    RecoverResponse, ReplicaStatus, RevokeRequest, RevokeResponse, VersionResponse, WatchDropsRequest,
    WhyRequest, WhyResponse,
};
use sluice_raft::{Member, Raft};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

pub use door::AdminDoor;

use crate::alone::Alone;
use crate::drops::{DropStream, Watching};
use crate::gate::{Caller, Gate, Reader};
use crate::join;
use crate::revisions::{self, Revision};
use crate::revoke;
use crate::sight::Sight;
use crate::view::View;
use crate::why::Question;

/// To agree on plans of a large fleet takes a while.
const ANSWER: Duration = Duration::from_secs(10);

pub struct AdminService {
    pub view: watch::Receiver<Arc<View>>,
    pub gate: Gate,
    pub cluster_id: String,
    /// Confirms a held mass deletion.
    pub confirm: mpsc::Sender<()>,
    /// Questions to whoever decides.
    pub ask: mpsc::Sender<Question>,
    pub raft: Raft,
    pub alone: Alone,
    pub drops: Drops,
    /// Makes join tokens; a cluster's agents have the API server's.
    pub join: Option<Tokens>,
    /// Life of a node's certificate.
    pub certificate: Duration,
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
        let policies = chosen.map(|(_, (placed, state))| answers::policy(placed, state)).collect();
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
            counters: answers::counters(&view, &sight, node, name),
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

    async fn why(&self, request: Request<WhyRequest>) -> Result<Response<WhyResponse>, Status> {
        let (view, reader, sight) = self.admit(&request).await?;
        reader.require("list", Kind::XdpNode).await?;
        let request = request.into_inner();
        let key = answers::object_meant(&view, &sight, &request)?;
        let (answer, answered) = oneshot::channel();
        let question = Question { key: key.clone(), node: request.node.clone(), answer };
        let stopping =
            || Status::unavailable("the operator is stopping, or another replica decides now: try again");
        self.ask.send(question).await.map_err(|_| stopping())?;
        match timeout(ANSWER, answered).await {
            Ok(Ok(Some(answer))) => Ok(Response::new(answers::why(key, request.node, answer))),
            Ok(Ok(None)) => Err(answers::no_node(&request.node)),
            Ok(Err(_)) => Err(stopping()),
            Err(_) => Err(Status::unavailable("the operator agrees on plans just now: try again")),
        }
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

    async fn revoke(&self, request: Request<RevokeRequest>) -> Result<Response<RevokeResponse>, Status> {
        self.admit_to_decide(&request).await?;
        let node = &request.get_ref().node;
        let is_known = self.view.borrow().nodes.contains_key(node)
            || self.raft.state().borrow().node_class.contains_key(node);
        if !is_known {
            return Err(answers::no_node(node));
        }
        let revoked = revoke::revoke(&self.raft, node, self.certificate, SystemTime::now()).await;
        revoked.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(Response::new(RevokeResponse { joins_by_token: self.join.is_some() }))
    }
}
