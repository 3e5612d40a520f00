//! An agent without a kernel: it takes every update, and says that it enforces it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use sluice_client::{
    Config, Dialling, Held, Identity, LinkState, Pace, Ports, Shelf, Telemetry, Update, Vault, run,
};
use sluice_plan::{Hash, NodePlan, PolicyRef, Schema};
use sluice_proto::v1::{self, Capabilities, VerdictStage};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

const CAPABILITIES: Capabilities =
    Capabilities { kernel: String::new(), tcx: true, entries: 10_240, set_prefixes: 1 << 22, successors: 0 };

/// What an agent enforces, and since when.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    /// Number of updates that it was sent.
    pub updates: u64,
    pub policies: Arc<Vec<PolicyRef>>,
    pub resources: BTreeMap<String, Hash>,
}

impl Seen {
    /// Of the policy with this name; 0 without it.
    pub fn generation(&self, name: &str) -> i64 {
        self.policies.iter().find(|policy| policy.name == name).map_or(0, |policy| policy.generation)
    }
}

/// Where an agent keeps its certificate, in memory.
#[derive(Default)]
pub struct Slot(Mutex<Option<Identity>>);

impl Vault for Slot {
    fn load(&self) -> Option<Identity> {
        locked(&self.0).clone()
    }
    fn save(&self, identity: &Identity) {
        *locked(&self.0) = Some(identity.clone());
    }
}

/// What the agents of one process share, as they would not on their nodes: it spares this process the work, not the operator.
#[derive(Default)]
pub struct Common {
    plans: Mutex<HashMap<Hash, Arc<Vec<PolicyRef>>>>,
    /// Shards that are on every agent's disk.
    shards: Mutex<BTreeSet<Hash>>,
    /// Shards that are asked for count as there already.
    stocked: std::sync::atomic::AtomicBool,
}

impl Common {
    /// Whether every agent has what it is told to have, as if it had fetched it long before.
    pub fn stock(&self, stocked: bool) {
        self.stocked.store(stocked, Ordering::Relaxed);
    }

    fn policies(&self, hash: Hash, schema: Schema, plan: &[u8]) -> Arc<Vec<PolicyRef>> {
        let decoded = || {
            let plan = NodePlan::decode(schema, plan).expect("the client verified it");
            Arc::new(plan.filters.parts.into_iter().map(|part| part.policy).collect())
        };
        locked(&self.plans).entry(hash).or_insert_with(decoded).clone()
    }
}

struct Disk {
    common: Arc<Common>,
    own: Mutex<BTreeSet<Hash>>,
}

impl Shelf for Disk {
    fn missing(&self, shards: &[Hash]) -> Result<Vec<Hash>, String> {
        let mut common = locked(&self.common.shards);
        if self.common.stocked.load(Ordering::Relaxed) {
            common.extend(shards);
        }
        let own = locked(&self.own);
        let is_here = |hash: &&Hash| common.contains(hash) || own.contains(hash);
        Ok(shards.iter().filter(|hash| !is_here(hash)).copied().collect())
    }
    fn put(&self, shards: &[(Hash, Bytes)]) -> Result<(), String> {
        locked(&self.own).extend(shards.iter().map(|(hash, _)| *hash));
        Ok(())
    }
}

/// Who an agent is.
pub struct Node {
    pub name: String,
    pub role: usize,
    pub ca: PathBuf,
    pub token: PathBuf,
    pub operator: String,
    pub vault: Arc<Slot>,
}

/// What is on a node's disk, besides its certificate.
#[derive(Clone, Default)]
pub struct Kept {
    held: Held,
    policies: Arc<Vec<PolicyRef>>,
}

pub struct Agent {
    pub seen: watch::Receiver<Seen>,
    /// Bytes of the operator's messages.
    pub received: Arc<AtomicU64>,
    /// And of its own.
    pub sent: Arc<AtomicU64>,
    held: watch::Receiver<Held>,
    _parts: JoinSet<()>,
}

impl Agent {
    pub fn start(node: Node, common: Arc<Common>, kept: Kept) -> Agent {
        let vault = node.vault.clone();
        let config = config(node);
        let (held, held_port) = watch::channel(kept.held.clone());
        let (verdicts, verdicts_port) = watch::channel(v1::Verdicts::default());
        let (telemetry, telemetry_port) = watch::channel(Telemetry::default());
        let (samples, samples_port) = mpsc::channel(1);
        let (updates_port, updates) = mpsc::channel(1);
        let (dialling, dialled) = mpsc::channel(1);
        let (received, sent) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let shelf = Disk { common: common.clone(), own: Mutex::default() };
        let ports = Ports {
            held: held_port.clone(),
            verdicts: verdicts_port,
            telemetry: telemetry_port,
            updates: updates_port,
            shelf: Arc::new(shelf),
            dialling,
            link: watch::channel(LinkState::default()).0,
            received: received.clone(),
            sent: sent.clone(),
            heard: watch::channel(tokio::time::Instant::now()).0,
            network: Arc::default(),
            sampling: watch::channel(v1::SampleRequest::default()).0,
            samples: samples_port,
        };
        let before =
            Seen { at: Instant::now(), updates: 0, policies: kept.policies, resources: kept.held.resources };
        let (see, seen) = watch::channel(before);
        let mut parts = JoinSet::new();
        parts.spawn(async move { _ = run(config, vault, ports).await });
        parts.spawn(async move {
            let _open = (samples, telemetry);
            tokio::join!(allow(dialled), Engine { common, held, verdicts, see }.run(updates));
        });
        Agent { seen, received, sent, held: held_port, _parts: parts }
    }

    /// As it would find it after a restart.
    pub fn kept(&self) -> Kept {
        Kept { held: self.held.borrow().clone(), policies: self.seen.borrow().policies.clone() }
    }
}

fn config(node: Node) -> Config {
    Config {
        node: node.name,
        operator: node.operator,
        known: Vec::new(),
        ca: node.ca,
        token: node.token,
        labels: [("role".to_owned(), node.role.to_string())].into(),
        version: "0.1.0".to_owned(),
        boot_id: "boot".to_owned(),
        capabilities: CAPABILITIES,
        pace: Pace::default(),
    }
}

async fn allow(mut dialled: mpsc::Receiver<Dialling>) {
    while let Some(dialling) = dialled.recv().await {
        _ = dialling.allowed.send(());
    }
}

/// What stands for the data plane.
struct Engine {
    common: Arc<Common>,
    held: watch::Sender<Held>,
    verdicts: watch::Sender<v1::Verdicts>,
    see: watch::Sender<Seen>,
}

impl Engine {
    async fn run(self, mut updates: mpsc::Receiver<Update>) {
        while let Some(update) = updates.recv().await {
            self.take(&update);
        }
    }

    fn take(&self, update: &Update) {
        self.held.send_modify(|held| {
            held.epoch = Some(update.epoch);
            held.cluster_id.clone_from(&update.cluster_id);
            held.signer.clone_from(&update.seal.certificate);
            held.schema = update.schema;
            update.removed.iter().for_each(|key| _ = held.resources.remove(key));
            held.resources.extend(update.set.iter().map(|(key, hash, _)| (key.clone(), *hash)));
        });
        let plan = update.set.iter().find(|(key, ..)| key == sluice_proto::PLAN);
        let policies = plan.map(|(_, hash, bytes)| self.common.policies(*hash, update.schema, bytes));
        self.see.send_modify(|seen| {
            seen.at = Instant::now();
            seen.updates += 1;
            seen.resources.clone_from(&self.held.borrow().resources);
            seen.policies = policies.unwrap_or_else(|| seen.policies.clone());
        });
        self.verdicts.send_replace(confirmed(update, &self.see.borrow()));
    }
}

/// As a node says that has read everything back.
fn confirmed(update: &Update, seen: &Seen) -> v1::Verdicts {
    let stage = VerdictStage::Programmed.into();
    let policy = |policy: &PolicyRef| v1::PolicyVerdict {
        uid: policy.uid.clone(),
        generation: policy.generation,
        stage,
        ..v1::PolicyVerdict::default()
    };
    let resource = |(key, hash): (&String, &Hash)| v1::ResourceVerdict {
        key: key.clone(),
        hash: hash.0.to_vec(),
        stage,
        policies: seen.policies.iter().filter(|_| key == sluice_proto::PLAN).map(policy).collect(),
        ..v1::ResourceVerdict::default()
    };
    v1::Verdicts {
        nonce: update.nonce,
        epoch: Some(update.epoch.into()),
        resources: seen.resources.iter().map(resource).collect(),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
