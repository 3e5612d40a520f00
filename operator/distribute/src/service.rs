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
use crate::stream::Said;
use crate::{AgentEvent, Drops, Limits, Replica, stream};

/// What all streams share.
pub struct Shared {
    /// Seen anew only when it has news for agents. There is no other here: who was let in by a newer one could be sent an
    /// older one.
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

/// Opens the streams of agents that are known to be who they say.
#[derive(Clone)]
pub struct Streams(pub(crate) Arc<Shared>);

impl Streams {
    /// Hears `said` until the stream ends; what is answered comes out.
    pub fn open(&self, node: String, said: impl Said) -> mpsc::Receiver<Result<ServerMessage, Status>> {
        // One: whoever reads slowly holds up itself, and only the newest state is made into a message.
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(stream::run(self.0.clone(), node, said, sender));
        receiver
    }
}

#[tonic::async_trait]
impl Distribution for Streams {
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
        Ok(Response::new(ReceiverStream::new(self.open(node, request.into_inner()))))
    }
}
