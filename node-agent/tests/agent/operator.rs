//! The operator's port with a state that the test sets.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use sluice_address_set::AddressSet;
use sluice_distribute::{
    AgentEvent, AgentEventKind, Alone, Distributor, Drops, Limits, TokenCheck, TokenRefused,
};
use sluice_pki::{Authority, Credentials, NodeName, Tokens, server_tls};
use sluice_plan::{Epoch, Hash, NodePlan, Schema};
use sluice_proto::OPERATOR_NAME;
use sluice_proto::v1::ResourceVerdict;
use sluice_raft::{
    Bytes, ClassKey, Plan, SCHEMAS, SIGNER, SUCCESSORS, Schemas, SetManifest, State, Step, Successors,
    shard_key,
};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::network::PATIENCE;

pub const NODE: &str = "edge-1";
pub const ADDRESS: &str = "10.93.0.1:9443";

pub struct Operator {
    authority: Arc<Authority>,
    signer: Bytes,
    state: watch::Sender<Arc<State>>,
    events: mpsc::Receiver<AgentEvent>,
    drain: CancellationToken,
    served: JoinHandle<()>,
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

impl Operator {
    /// Writes `ca.crt` and `token` into `dir`.
    pub async fn start(dir: &Path) -> Operator {
        let (authority, _) = Authority::generate(SystemTime::now()).expect("an authority");
        let tokens = Tokens::new(&[7; 32]);
        let node = NodeName::parse(NODE).expect("a name");
        std::fs::write(dir.join("ca.crt"), authority.pem()).expect("written");
        std::fs::write(dir.join("token"), tokens.token(&node, SystemTime::now() + Tokens::VALIDITY))
            .expect("written");
        let authority = Arc::new(authority);
        let signer = authority.issue_signer("store", SystemTime::now()).expect("a signer").encode().into();
        Stopped { authority, signer }.start().await
    }
}

/// All that is left of an operator.
pub struct Stopped {
    authority: Arc<Authority>,
    signer: Bytes,
}

impl Stopped {
    pub async fn start(self) -> Operator {
        let Stopped { authority, signer } = self;
        let tokens = Tokens::new(&[7; 32]);
        let names = [OPERATOR_NAME.to_owned()];
        let own = Credentials::new(authority.clone(), &names, Credentials::VALIDITY, SystemTime::now);
        let tls = server_tls(own.expect("a certificate")).expect("TLS");
        let (state, states) = watch::channel(Arc::new(State::default()));
        let (sender, events) = mpsc::channel(64);
        let distributor = Distributor {
            state: states,
            cluster_id: "store".into(),
            replica: Arc::new(Alone),
            authority: authority.clone(),
            tokens: Arc::new(AnyTimes(tokens)),
            events: sender,
            again: watch::channel(0).1,
            drops: Drops::default(),
            limits: Limits::default(),
            clock: SystemTime::now,
        };
        let listener = TcpListener::bind(ADDRESS).await.expect("the hub's address");
        let drain = CancellationToken::new();
        let serving = distributor.serve(listener, tls, Routes::default(), drain.clone());
        let served = tokio::spawn(async move { serving.await.expect("serving") });
        Operator { authority, signer, state, events, drain, served }
    }
}

impl Operator {
    /// Signs the next plans with a new key; the hash of its certificate.
    pub fn next_signer(&mut self) -> Hash {
        let signer = self.authority.issue_signer("store", SystemTime::now()).expect("a signer");
        self.signer = signer.encode().into();
        signer.id()
    }

    /// Gives the node a plan; its hash.
    pub fn plan(&self, index: u64, plan: &NodePlan) -> Hash {
        self.written(index, Bytes::from(plan.encode()), plan.schema)
    }

    /// The same of a plan that comes to each of these at its moment.
    pub fn plan_until(&self, index: u64, plan: &NodePlan, next: &[(i64, NodePlan)]) {
        let of = |plan: &NodePlan| Plan::new(Bytes::from(plan.encode()));
        let key = |at: &i64| ClassKey(format!("edge-until-{at}"));
        let mut successors = Successors::default();
        successors.set(plan.hash(), next.iter().map(|(at, _)| (*at, key(at))).collect());
        let mut state = self.state(index, of(plan), plan.schema);
        let classes = next.iter().map(|(at, plan)| (key(at), of(plan)));
        Arc::make_mut(&mut state.classes).extend(classes);
        Arc::make_mut(&mut state.blobs).insert(SUCCESSORS.to_owned(), successors.encoded());
        self.state.send_replace(Arc::new(state));
    }

    /// What is no plan.
    pub fn bytes(&self, index: u64, bytes: Bytes) -> Hash {
        self.written(index, bytes, Schema::NEWEST)
    }

    fn written(&self, index: u64, bytes: Bytes, schema: Schema) -> Hash {
        let plan = Plan::new(bytes);
        let hash = plan.hash;
        self.state.send_replace(Arc::new(self.state(index, plan, schema)));
        hash
    }

    /// Gives the node a plan that names the set `name`, with these contents; the hash of its manifest.
    pub fn plan_with_set(&self, index: u64, plan: &NodePlan, name: &str, contents: &AddressSet) -> Hash {
        let (schema, sets) = (plan.schema, plan.sets.clone());
        let plan = Plan { sets, ..Plan::new(Bytes::from(plan.encode())) };
        let (manifest, shards) = contents.shards();
        let hash = manifest.hash();
        let set = SetManifest { hash, bytes: manifest.encode().into() };
        let mut state = self.state(index, plan, schema);
        state.sets = Arc::new([(name.to_owned(), set)].into());
        let shards = shards.into_iter().map(|shard| (shard_key(shard.hash), shard.bytes));
        Arc::make_mut(&mut state.blobs).extend(shards);
        self.state.send_replace(Arc::new(state));
        hash
    }

    /// What the agent says next that `pick` wants.
    pub async fn hears<T>(&mut self, mut pick: impl FnMut(AgentEventKind) -> Option<T>) -> T {
        let found = timeout(PATIENCE, async {
            loop {
                let event = self.events.recv().await.expect("the port is served");
                if let Some(found) = pick(event.kind) {
                    return found;
                }
            }
        });
        found.await.expect("an event in time")
    }

    /// The next verdict on the plan with this hash and epoch.
    pub async fn verdict(&mut self, index: u64) -> ResourceVerdict {
        self.verdicts(index).await.remove(0)
    }

    /// The same with those on the sets behind it.
    pub async fn verdicts(&mut self, index: u64) -> Vec<ResourceVerdict> {
        self.hears(|kind| match kind {
            AgentEventKind::Verdicts(verdicts)
                if verdicts.epoch.is_some_and(|epoch| epoch.index == index) =>
            {
                Some(verdicts.resources).filter(|resources| !resources.is_empty())
            }
            _ => None,
        })
        .await
    }

    pub async fn stop(mut self) -> Stopped {
        self.drain.cancel();
        self.events.close();
        while self.events.recv().await.is_some() {}
        self.served.await.expect("drained");
        Stopped { authority: self.authority, signer: self.signer }
    }

    fn state(&self, index: u64, plan: Plan, schema: Schema) -> State {
        let mut schemas = Schemas::default();
        schemas.set(plan.hash, schema.number());
        let blobs = [(SIGNER.to_owned(), self.signer.clone()), (SCHEMAS.to_owned(), schemas.encoded())];
        State {
            epoch: Epoch { incarnation: 1, term: 1, index },
            classes: Arc::new([("edge".into(), plan)].into()),
            node_class: Arc::new([(NODE.to_owned(), "edge".into())].into()),
            blobs: Arc::new(blobs.into()),
            // As if others had come in between, so that the agent is told of each.
            step: (0..2 * index).fold(Step::default(), |step, _| step.next()),
            ..State::default()
        }
    }
}
