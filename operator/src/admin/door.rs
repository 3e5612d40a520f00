//! Any replica may be asked; the one that decides answers, because only it knows.

use std::time::Duration;

use sluice_pki::Peer;
use sluice_proto::v1::admin_client::AdminClient;
use sluice_proto::v1::admin_server::Admin;
use sluice_proto::v1::{
    JoinRequest, JoinResponse, ListCountersResponse, ListNodesResponse, ListPoliciesResponse,
    ListReplicasResponse, ListRequest, ListRevisionsResponse, RecoverRequest, RecoverResponse, RevokeRequest,
    RevokeResponse, VersionResponse, WatchDropsRequest, WhyRequest, WhyResponse,
};
use sluice_replicas::Channels;
use tokio::time::timeout;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::AdminService;
use crate::drops::DropStream;

/// Set by a replica that asks another for a caller; worth something only beside an operator's certificate.
pub const FOR_ADMINISTRATOR: &str = "sluice-for-administrator";
const FORWARDED: &str = "sluice-forwarded";
/// A replica that has just come to decide knows soon.
const SOON: Duration = Duration::from_secs(5);

pub struct AdminDoor {
    pub here: AdminService,
    pub channels: Channels,
}

enum Place {
    Here,
    There(AdminClient<Channel>),
}

impl AdminDoor {
    /// Who answers; the request is made ready for that.
    async fn place<T>(&self, request: &mut Request<T>) -> Result<Place, Status> {
        let nobody = || Status::unavailable("no replica decides now: are most of them running? Try again");
        if self.here.raft.is_leader() {
            let mut view = self.here.view.clone();
            let known =
                timeout(SOON, view.wait_for(|view| view.known)).await.is_ok_and(|known| known.is_ok());
            return if known { Ok(Place::Here) } else { Err(nobody()) };
        }
        let leader = self.here.raft.leader_address().ok_or_else(nobody)?;
        // The replicas differ for a moment on who decides.
        if request.metadata().contains_key(FORWARDED) {
            return Err(nobody());
        }
        let administrator = matches!(Peer::of(request), Ok(Some(Peer::Admin(_))));
        let metadata = request.metadata_mut();
        metadata.remove(FOR_ADMINISTRATOR);
        metadata.insert(FORWARDED, MetadataValue::from_static("1"));
        if administrator {
            metadata.insert(FOR_ADMINISTRATOR, MetadataValue::from_static("1"));
        }
        let channel = self.channels.to(&leader).map_err(|error| Status::internal(error.to_string()))?;
        Ok(Place::There(AdminClient::new(channel).max_decoding_message_size(LARGEST)))
    }
}

#[tonic::async_trait]
impl Admin for AdminDoor {
    type WatchDropsStream = DropStream;

    async fn list_policies(
        &self,
        mut request: Request<ListRequest>,
    ) -> Result<Response<ListPoliciesResponse>, Status> {
        match self.place(&mut request).await? {
            Place::Here => self.here.list_policies(request).await,
            Place::There(mut leader) => leader.list_policies(request).await,
        }
    }

    async fn list_nodes(
        &self,
        mut request: Request<ListRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        match self.place(&mut request).await? {
            Place::Here => self.here.list_nodes(request).await,
            Place::There(mut leader) => leader.list_nodes(request).await,
        }
    }

    async fn list_counters(
        &self,
        mut request: Request<ListRequest>,
    ) -> Result<Response<ListCountersResponse>, Status> {
        match self.place(&mut request).await? {
            Place::Here => self.here.list_counters(request).await,
            Place::There(mut leader) => leader.list_counters(request).await,
        }
    }

    async fn watch_drops(
        &self,
        mut request: Request<WatchDropsRequest>,
    ) -> Result<Response<DropStream>, Status> {
        match self.place(&mut request).await? {
            Place::Here => self.here.watch_drops(request).await,
            Place::There(mut leader) => {
                let drops = leader.watch_drops(request).await?;
                Ok(drops.map(|drops| Box::pin(drops) as DropStream))
            }
        }
    }

    async fn list_revisions(
        &self,
        mut request: Request<ListRequest>,
    ) -> Result<Response<ListRevisionsResponse>, Status> {
        match self.place(&mut request).await? {
            Place::Here => self.here.list_revisions(request).await,
            Place::There(mut leader) => leader.list_revisions(request).await,
        }
    }

    async fn why(&self, mut request: Request<WhyRequest>) -> Result<Response<WhyResponse>, Status> {
        match self.place(&mut request).await? {
            Place::Here => self.here.why(request).await,
            Place::There(mut leader) => leader.why(request).await,
        }
    }

    async fn version(&self, mut request: Request<ListRequest>) -> Result<Response<VersionResponse>, Status> {
        match self.place(&mut request).await? {
            Place::Here => self.here.version(request).await,
            Place::There(mut leader) => leader.version(request).await,
        }
    }

    async fn list_replicas(
        &self,
        mut request: Request<ListRequest>,
    ) -> Result<Response<ListReplicasResponse>, Status> {
        match self.place(&mut request).await? {
            Place::Here => self.here.list_replicas(request).await,
            Place::There(mut leader) => leader.list_replicas(request).await,
        }
    }

    async fn confirm_deletion(
        &self,
        mut request: Request<ListRequest>,
    ) -> Result<Response<VersionResponse>, Status> {
        match self.place(&mut request).await? {
            Place::Here => self.here.confirm_deletion(request).await,
            Place::There(mut leader) => leader.confirm_deletion(request).await,
        }
    }

    async fn recover(
        &self,
        mut request: Request<RecoverRequest>,
    ) -> Result<Response<RecoverResponse>, Status> {
        // Nobody decides then: whoever is left is asked.
        if !request.get_ref().lost.is_empty() {
            return self.here.recover(request).await;
        }
        match self.place(&mut request).await? {
            Place::Here => self.here.recover(request).await,
            Place::There(mut leader) => leader.recover(request).await,
        }
    }

    async fn revoke(&self, mut request: Request<RevokeRequest>) -> Result<Response<RevokeResponse>, Status> {
        match self.place(&mut request).await? {
            Place::Here => self.here.revoke(request).await,
            Place::There(mut leader) => leader.revoke(request).await,
        }
    }

    /// Every replica has the key of the tokens.
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        self.here.join(request).await
    }
}

/// As the CLI takes them.
const LARGEST: usize = 256 << 20;
