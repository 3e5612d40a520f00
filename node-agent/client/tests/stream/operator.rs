//! A hand-driven operator: real TLS with the real authority, answers made by the test.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use sluice_pki::{Authority, Credentials, Holder, NodeName, Peer, Tokens, accept, server_tls};
use sluice_plan::{Hash, Schema};
use sluice_proto::OPERATOR_NAME;
use sluice_proto::v1::agent_message::Kind;
use sluice_proto::v1::distribution_server::{Distribution, DistributionServer};
use sluice_proto::v1::enrollment_server::{Enrollment, EnrollmentServer};
use sluice_proto::v1::{AgentMessage, EnrollRequest, EnrollResponse, ServerMessage, Update, server_message};
use sluice_seal::{Seal, Signer, Statement};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

pub const WITHIN: Duration = Duration::from_secs(20);

pub struct Operator {
    pub address: SocketAddr,
    streams: UnboundedReceiver<Conversation>,
    shared: Shared,
    stop: CancellationToken,
    stopped: tokio::task::JoinHandle<()>,
}

/// One agent's stream, from the operator's side.
pub struct Conversation {
    pub node: String,
    from_agent: Receiver<AgentMessage>,
    to_agent: Sender<Result<ServerMessage, Status>>,
    signer: Arc<Signer>,
}

#[derive(Clone)]
struct Shared {
    authority: Arc<Authority>,
    signer: Arc<Signer>,
    tokens: Tokens,
    enrolled: Arc<Mutex<VecDeque<String>>>,
    certified: Arc<Notify>,
    /// Life of agents' certificates.
    valid: Duration,
    streams: UnboundedSender<Conversation>,
}

impl Operator {
    /// Writes `ca.crt` and `token` for the agent into `dir`.
    pub async fn start(dir: &Path) -> Operator {
        Operator::start_with_life(dir, Authority::NODE_VALIDITY).await
    }

    /// Agents' certificates are good for as long as `valid`.
    pub async fn start_with_life(dir: &Path, valid: Duration) -> Operator {
        let (authority, _) = Authority::generate(SystemTime::now()).expect("an authority");
        let address = "127.0.0.1:0".parse().expect("an address");
        let operator = Operator::listen(Arc::new(authority), address, valid).await;
        operator.publish(dir);
        operator
    }

    async fn listen(authority: Arc<Authority>, address: SocketAddr, valid: Duration) -> Operator {
        let listener = TcpListener::bind(address).await.expect("a port of the loopback");
        let address = listener.local_addr().expect("bound");
        let (sender, streams) = mpsc::unbounded_channel();
        let signer = Arc::new(authority.issue_signer("store", SystemTime::now()).expect("a signer"));
        let tokens = Tokens::new(&[7; 32]);
        let (enrolled, certified) = Default::default();
        let shared = Shared { authority, signer, tokens, enrolled, certified, valid, streams: sender };
        let (own, names) = (shared.authority.clone(), [OPERATOR_NAME.to_owned()]);
        let own = Credentials::new(own, &names, Credentials::VALIDITY, SystemTime::now);
        let tls = server_tls(own.expect("a certificate")).expect("TLS");
        let stop = CancellationToken::new();
        let serving = Server::builder()
            .add_service(EnrollmentServer::new(shared.clone()))
            .add_service(DistributionServer::new(shared.clone()))
            .serve_with_incoming_shutdown(accept(listener, tls), stop.clone().cancelled_owned());
        let stopped = tokio::spawn(async move { serving.await.expect("serving") });
        Operator { address, streams, shared, stop, stopped }
    }

    pub fn publish(&self, dir: &Path) {
        let node = NodeName::parse("edge-1").expect("a name");
        std::fs::write(dir.join("ca.crt"), self.shared.authority.pem()).expect("written");
        std::fs::write(
            dir.join("token"),
            self.shared.tokens.token(&node, SystemTime::now() + Tokens::VALIDITY),
        )
        .expect("written");
    }

    pub async fn conversation(&mut self) -> Conversation {
        timeout(WITHIN, self.streams.recv()).await.expect("a stream in time").expect("the operator runs")
    }

    /// Nodes that exchanged a token, in order.
    pub fn enrolled(&self) -> Vec<String> {
        self.shared.enrolled.lock().expect("no panic").iter().cloned().collect()
    }

    /// Once another certificate is issued, or was since the last call.
    pub async fn certifies(&self) {
        timeout(WITHIN, self.shared.certified.notified()).await.expect("a request in time");
    }

    /// Another operator of the same authority.
    pub async fn twin(&self) -> Operator {
        let address = "127.0.0.1:0".parse().expect("an address");
        Operator::listen(self.shared.authority.clone(), address, self.shared.valid).await
    }

    /// No agent has opened a stream since the last one.
    pub fn shut_out(&mut self) {
        assert!(self.streams.try_recv().is_err());
    }

    /// Stops, and starts again at the same address with the same authority.
    pub async fn restart(mut self) -> Operator {
        self.streams.close();
        while self.streams.recv().await.is_some() {}
        self.stop.cancel();
        self.stopped.await.expect("stopped");
        Operator::listen(self.shared.authority, self.address, self.shared.valid).await
    }
}

impl Conversation {
    /// The next message of the wanted kind; others are passed over.
    pub async fn next<T>(&mut self, pick: impl Fn(Kind) -> Option<T>) -> T {
        let wanted = async {
            loop {
                let message = self.from_agent.recv().await.expect("the stream is open");
                if let Some(found) = message.kind.and_then(&pick) {
                    return found;
                }
            }
        };
        timeout(WITHIN, wanted).await.expect("the message in time")
    }

    pub async fn send(&self, kind: server_message::Kind) {
        self.to_agent.send(Ok(ServerMessage { kind: Some(kind) })).await.expect("the stream is open");
    }

    /// Signed, whatever is in it.
    pub async fn update(&self, update: Update) {
        let fleet_hash = Hash::from_slice(&update.fleet_hash).expect("a hash");
        let epoch = update.epoch.expect("an epoch").into();
        let schema = update.set.first().map_or(Schema::NEWEST.number(), |plan| plan.schema);
        let (cluster_id, node) = (&update.cluster_id, &self.node);
        let statement = Statement { cluster_id, node, epoch, fleet_hash, schema };
        let Seal { certificate, signature } = self.signer.seal(&statement);
        let update = Update { signature, signer: certificate, ..update };
        self.send(server_message::Kind::Update(update)).await;
    }

    pub async fn fail(self, status: Status) {
        self.to_agent.send(Err(status)).await.expect("the stream is open");
    }
}

#[tonic::async_trait]
impl Enrollment for Shared {
    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        let peer = Peer::of(&request).map_err(|error| Status::unauthenticated(error.to_string()))?;
        let request = request.into_inner();
        let node = match peer {
            Some(Peer::Node(holder)) if request.token.is_empty() => NodeName::parse(&holder.node),
            _ => self.tokens.check(&request.token, SystemTime::now()).map(|ticket| ticket.node),
        };
        let node = node.map_err(|error| Status::permission_denied(error.to_string()))?;
        let certificate = self.authority.sign_node(&request.csr, &node, 0, SystemTime::now(), self.valid);
        let certificate = certificate.expect("a sound request");
        self.enrolled.lock().expect("no panic").push_back(node.to_string());
        self.certified.notify_one();
        let not_after = certificate.not_after.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        Ok(Response::new(EnrollResponse {
            node: node.to_string(),
            chain: certificate.chain,
            not_after: not_after.as_secs() as i64,
        }))
    }
}

#[tonic::async_trait]
impl Distribution for Shared {
    type SyncStream = Pin<Box<dyn Stream<Item = Result<ServerMessage, Status>> + Send>>;

    async fn sync(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let peer = Peer::of(&request).map_err(|error| Status::unauthenticated(error.to_string()))?;
        let Some(Peer::Node(Holder { node, .. })) = peer else {
            return Err(Status::unauthenticated("no node's certificate"));
        };
        let (to_agent, outgoing) = mpsc::channel(8);
        let (incoming, from_agent) = mpsc::channel(64);
        let mut messages = request.into_inner();
        tokio::spawn(async move {
            while let Some(Ok(message)) = messages.next().await {
                if incoming.send(message).await.is_err() {
                    return;
                }
            }
        });
        let conversation = Conversation { node, from_agent, to_agent, signer: self.signer.clone() };
        self.streams.send(conversation).map_err(|_| Status::unavailable("stopping"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}
