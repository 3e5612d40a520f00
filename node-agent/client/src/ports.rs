//! How the client and the rest of the agent meet: one struct of channels, each holding the latest of its kind.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use sluice_plan::{Epoch, Hash, Schema, fleet_hash};
use sluice_proto::v1;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::Update;

pub struct Ports {
    /// What is enforced now. Hello tells it, and updates are verified against it.
    pub held: watch::Receiver<Held>,
    /// The state of each resource; sent after Hello and whenever it changes.
    pub verdicts: watch::Receiver<v1::Verdicts>,
    pub telemetry: watch::Receiver<Telemetry>,
    /// Verified updates whose shards are on the shelf, newest wins: a full channel holds the stream back.
    pub updates: mpsc::Sender<Update>,
    pub shelf: Arc<dyn Shelf>,
    /// Asked before each connection, so that the data plane lets the operator's answers in.
    pub dialling: mpsc::Sender<Dialling>,
    pub link: watch::Sender<LinkState>,
    /// Grows by the bytes of each message that the operator sends, before encryption.
    pub received: Arc<AtomicU64>,
    /// The same of what it is sent.
    pub sent: Arc<AtomicU64>,
    /// Notified when the network changed: a wait for the next attempt has lost its reason.
    pub network: Arc<Notify>,
    /// What the operator asked for last, from its arrival on.
    pub sampling: watch::Sender<v1::SampleRequest>,
    /// When an operator said something last, whatever it was.
    pub heard: watch::Sender<Instant>,
    /// For the operator that asked; those of another are not sent.
    pub samples: mpsc::Receiver<v1::SampleBatch>,
}

/// Where the shards of address sets are kept, on disk. Its calls may block.
pub trait Shelf: Send + Sync {
    /// Those of `shards` that are not there. All of them are kept until the next call, whether a set in force is made of
    /// them or not.
    fn missing(&self, shards: &[Hash]) -> Result<Vec<Hash>, String>;

    /// Returns once they are on disk.
    fn put(&self, shards: &[(Hash, Bytes)]) -> Result<(), String>;
}

/// The last confirmed state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub cluster_id: String,
    /// `None` on a node that never had a plan.
    pub epoch: Option<Epoch>,
    /// Enforced resources by key, with the successors that are kept.
    pub resources: BTreeMap<String, Hash>,
    /// What was signed last and, one after the other, what it comes to by itself; empty where nothing follows.
    pub steps: Vec<BTreeMap<String, Hash>>,
    /// Which of them `resources` are.
    pub step: usize,
    /// Of the plan among them.
    pub schema: Schema,
    /// Certificate of the key that signed them.
    pub signer: Vec<u8>,
    /// A word of the operator decides whether the plan stays.
    pub on_trial: bool,
}

impl Held {
    pub fn fleet_hash(&self) -> Hash {
        fleet_hash(self.resources.iter().map(|(key, hash)| (key.as_str(), *hash)))
    }
}

/// What the node measured last; absolute values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    pub counters: Vec<v1::CounterSample>,
    pub backends: Vec<v1::BackendHealth>,
    pub stats: BTreeMap<String, u64>,
    pub facts: v1::NodeFacts,
    /// What XDP failed at, by reason; stays on the node.
    pub exceptions: BTreeMap<String, u64>,
    /// What others did to interfaces, programs, pins and sets of this node, by what it was.
    pub drift: BTreeMap<String, Drifted>,
}

/// Something that was not as the agent had left it.
#[derive(Clone, Debug, PartialEq)]
pub struct Drifted {
    /// Times since the agent started.
    pub count: u64,
    /// Of the last time: interface or address set, empty of what belongs to the whole node.
    pub place: String,
    pub repaired: bool,
    pub at: Instant,
}

/// Endpoints that will be connected to; answered when their replies get in.
#[derive(Debug)]
pub struct Dialling {
    pub endpoints: Vec<SocketAddr>,
    pub allowed: oneshot::Sender<()>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LinkState {
    #[default]
    Connecting,
    /// The stream is open.
    Connected(SocketAddr),
    /// Waiting for the next attempt; why the last one ended.
    Waiting(String),
}
