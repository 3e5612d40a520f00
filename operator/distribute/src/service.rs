//! `Distribution`: who may open a stream.

use std::sync::Arc;

use sluice_pki::Peer;
use sluice_proto::v1::distribution_server::Distribution;
use sluice_proto::v1::{AgentMessage, ServerMessage};
use sluice_raft::State;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::sessions::Sessions;
use crate::signers::Signers;
use crate::{AgentEvent, Drops, Limits, Replica, stream};

/// What all streams share.
pub struct Shared {
    pub state: watch::Receiver<Arc<State>>,
    pub signers: Signers,
    pub cluster_id: String,
    pub replica: Arc<dyn Replica>,
    pub events: mpsc::Sender<AgentEvent>,
    /// Changes when agents are to say again what they said.
    pub again: watch::Receiver<u64>,
    pub limits: Limits,
    pub sessions: Sessions,
    pub drops: Drops,
    pub admission: Arc<Semaphore>,
    pub drain: CancellationToken,
}

pub struct Service(pub Arc<Shared>);

#[tonic::async_trait]
impl Distribution for Service {
    type SyncStream = ReceiverStream<Result<ServerMessage, Status>>;

    async fn sync(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let node = match Peer::of(&request) {
            Ok(Some(Peer::Node(node))) => node,
            Ok(Some(Peer::Admin(name))) => {
                return Err(Status::permission_denied(format!(
                    "{name:?} is an administrator, streams are for nodes"
                )));
            }
            Ok(Some(Peer::Operator(_))) => {
                return Err(Status::permission_denied("this is another operator, streams are for nodes"));
            }
            Ok(None) => {
                return Err(Status::unauthenticated("no client certificate: enroll with a join token first"));
            }
            Err(error) => return Err(Status::unauthenticated(error.to_string())),
        };
        // One: whoever reads slowly holds up itself, and only the newest state is made into a message.
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(stream::run(self.0.clone(), node, request.into_inner(), sender));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
