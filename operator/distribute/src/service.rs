//! `Distribution`: who may open a stream.

use std::sync::Arc;
use std::time::SystemTime;

use futures::StreamExt;
use futures::stream::Map;
use sluice_pki::{Holder, Peer};
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
    /// Of this machine: what ends by it is over.
    pub clock: fn() -> SystemTime,
}

impl Shared {
    /// Whether a node's certificate counts: it was not revoked, as far as this replica has heard.
    pub fn admits(&self, holder: &Holder) -> Result<(), Status> {
        admits(&self.state.borrow(), holder)
    }
}

/// As [`Shared::admits`], for who has a state.
pub fn admits(state: &State, Holder { node, series }: &Holder) -> Result<(), Status> {
    if *series >= state.series(node) {
        return Ok(());
    }
    let reason = format!(
        "the certificates that {node} had were revoked: its agent needs a token again, without a cluster a new one by \
         `kubectl sluice join {node}`"
    );
    Err(Status::unauthenticated(reason))
}

/// What is on its way to an agent: a pointer, because a channel of one has room for 32.
pub type Answer = Box<Result<ServerMessage, Status>>;
/// What an agent is answered.
pub type Answers = Map<ReceiverStream<Answer>, fn(Answer) -> Result<ServerMessage, Status>>;

/// Opens the streams of agents that are known to be who they say.
#[derive(Clone)]
pub struct Streams(pub(crate) Arc<Shared>);

impl Streams {
    /// Hears `said` until the stream ends; what is answered comes out.
    pub fn open(&self, holder: Holder, said: impl Said) -> Answers {
        // One: whoever reads slowly holds up itself, and only the newest state is made into a message.
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(stream::run(self.0.clone(), holder, said, sender));
        ReceiverStream::new(receiver).map(|answer| *answer)
    }
}

#[tonic::async_trait]
impl Distribution for Streams {
    type SyncStream = Answers;

    async fn sync(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let holder = match Peer::of(&request) {
            Ok(Some(Peer::Node(holder))) => holder,
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
        // Here, too: an agent that is told so before its stream begins has heard nothing of the operator.
        self.0.admits(&holder)?;
        Ok(Response::new(self.open(holder, request.into_inner())))
    }
}
