//! A served port with a hand-driven state.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use sluice_distribute::{
    AgentEvent, AgentEventKind, Alone, Distributor, Drops, Limits, Replica, ServeError, TokenCheck,
    TokenRefused,
};
use sluice_pki::{Authority, Credentials, KeyAndCertificate, NodeName, Tokens, server_tls};
use sluice_plan::Epoch;
use sluice_raft::{Bytes, Plan, SIGNER, State};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub struct Operator {
    pub address: SocketAddr,
    pub authority: Arc<Authority>,
    pub tokens: Tokens,
    pub events: mpsc::Receiver<AgentEvent>,
    pub drain: CancellationToken,
    pub drops: Drops,
    /// Has the agents say again what they said.
    pub again: watch::Sender<u64>,
    pub served: JoinHandle<Result<(), ServeError>>,
}

/// As long as a real one.
pub const CLUSTER: &str = "0123456789abcdef0123456789abcdef";

impl Operator {
    pub async fn start(state: watch::Receiver<Arc<State>>, limits: Limits) -> Operator {
        let (authority, _) = Authority::generate(SystemTime::now()).unwrap();
        Operator::start_with(Arc::new(authority), state, limits).await
    }

    pub async fn start_with(
        authority: Arc<Authority>,
        state: watch::Receiver<Arc<State>>,
        limits: Limits,
    ) -> Operator {
        Operator::start_as(Arc::new(Alone), authority, state, limits).await
    }

    pub async fn start_as(
        replica: Arc<dyn Replica>,
        authority: Arc<Authority>,
        state: watch::Receiver<Arc<State>>,
        limits: Limits,
    ) -> Operator {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let names = ["localhost".to_owned()];
        let own = Credentials::new(authority.clone(), &names, Credentials::VALIDITY, SystemTime::now);
        let (events, received) = mpsc::channel(64);
        let (again, asked) = watch::channel(0);
        let tokens = Tokens::new(&[7; 32]);
        let drops = Drops::default();
        let distributor = Distributor {
            state,
            cluster_id: CLUSTER.into(),
            replica,
            authority: authority.clone(),
            tokens: Arc::new(AnyTimes(tokens.clone())),
            events,
            again: asked,
            drops: drops.clone(),
            limits,
            clock: SystemTime::now,
        };
        let drain = CancellationToken::new();
        let tls = server_tls(own.unwrap()).unwrap();
        let served = tokio::spawn(distributor.serve(listener, tls, Routes::default(), drain.clone()));
        Operator { address, authority, tokens, events: received, drain, drops, again, served }
    }

    pub fn admin(&self) -> KeyAndCertificate {
        self.authority.issue_admin("admin", SystemTime::now()).unwrap()
    }

    pub async fn event(&mut self) -> AgentEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("the port is served")
    }

    pub async fn stop(self) {
        self.drain.cancel();
        timeout(PATIENCE, self.served).await.expect("drained in time").unwrap().unwrap();
    }
}

/// A deadline, never a wait: everything that is awaited is an event.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Edge-1 and edge-2 share the class whose plan is `plan`.
pub fn state(index: u64, plan: &str) -> Arc<State> {
    let nodes = ["edge-1", "edge-2"].map(|node| (node.to_owned(), "edge".into()));
    Arc::new(State {
        epoch: Epoch { incarnation: 1, term: 1, index },
        classes: Arc::new([("edge".into(), Plan::new(Bytes::copy_from_slice(plan.as_bytes())))].into()),
        node_class: Arc::new(nodes.into()),
        blobs: Arc::new([(SIGNER.to_owned(), signer())].into()),
        ..State::default()
    })
}

/// Of no matter whom: the agents of these tests look at no signature.
pub fn signer() -> Bytes {
    static SIGNER: LazyLock<Bytes> = LazyLock::new(|| {
        let (authority, _) = Authority::generate(SystemTime::now()).unwrap();
        authority.issue_signer(CLUSTER, SystemTime::now()).unwrap().encode().into()
    });
    SIGNER.clone()
}

/// That a token is taken once is decided elsewhere.
struct AnyTimes(Tokens);

#[tonic::async_trait]
impl TokenCheck for AnyTimes {
    async fn node_of(&self, token: &str, _: &[u8]) -> Result<NodeName, TokenRefused> {
        let ticket = self.0.check(token, SystemTime::now());
        ticket.map(|ticket| ticket.node).map_err(|error| TokenRefused::Denied(error.to_string()))
    }
}

pub fn is_connected(kind: &AgentEventKind) -> bool {
    matches!(kind, AgentEventKind::Connected(_))
}
