//! The rest of an agent, as channels that the test holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use sluice_client::{
    Config, Dialling, Held, Identity, LinkState, Pace, Ports, Shelf, Telemetry, Update, Vault, run,
};
use sluice_plan::Hash;
use sluice_proto::v1;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;

use crate::operator::{Operator, WITHIN};

pub struct Agent {
    pub held: watch::Sender<Held>,
    pub verdicts: watch::Sender<v1::Verdicts>,
    pub telemetry: watch::Sender<Telemetry>,
    pub updates: mpsc::Receiver<Update>,
    pub link: watch::Receiver<LinkState>,
    pub sampling: watch::Receiver<v1::SampleRequest>,
    pub samples: mpsc::Sender<v1::SampleBatch>,
    pub vault: Arc<Memory>,
    pub shelf: Arc<Boards>,
    running: tokio::task::JoinHandle<()>,
    allowing: tokio::task::JoinHandle<()>,
    pub allowed: Arc<Mutex<Vec<Dialled>>>,
}

pub type Dialled = Vec<std::net::SocketAddr>;

#[derive(Default)]
pub struct Memory(pub Mutex<Option<Identity>>);

impl Vault for Memory {
    fn load(&self) -> Option<Identity> {
        self.0.lock().expect("no panic").clone()
    }
    fn save(&self, identity: &Identity) {
        *self.0.lock().expect("no panic") = Some(identity.clone());
    }
}

/// Shards in memory.
#[derive(Default)]
pub struct Boards {
    pub shards: Mutex<BTreeMap<Hash, Bytes>>,
    pub filled: Notify,
    pub is_full: AtomicBool,
}

impl Shelf for Boards {
    fn missing(&self, shards: &[Hash]) -> Result<Vec<Hash>, String> {
        let boards = self.shards.lock().expect("no panic");
        Ok(shards.iter().filter(|hash| !boards.contains_key(hash)).copied().collect())
    }
    fn put(&self, shards: &[(Hash, Bytes)]) -> Result<(), String> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err("no space".into());
        }
        self.shards.lock().expect("no panic").extend(shards.iter().cloned());
        self.filled.notify_one();
        Ok(())
    }
}

impl Agent {
    pub fn start(dir: &Path, operator: &Operator, held: Held, vault: Arc<Memory>) -> Agent {
        Agent::launch(dir, operator, held, vault, Duration::from_millis(20))
    }

    pub fn with_reports_every(report: Duration, dir: &Path, operator: &Operator) -> Agent {
        Agent::launch(dir, operator, Held::default(), Arc::default(), report)
    }

    fn launch(dir: &Path, operator: &Operator, held: Held, vault: Arc<Memory>, report: Duration) -> Agent {
        let shelf = Arc::<Boards>::default();
        let config = Config {
            node: "edge-1".into(),
            operator: operator.address.to_string(),
            known: Vec::new(),
            ca: dir.join("ca.crt"),
            token: dir.join("token"),
            labels: [("role".to_string(), "edge".to_string())].into(),
            version: "0.1.0".into(),
            boot_id: "boot".into(),
            capabilities: v1::Capabilities { kernel: "6.18".into(), ..Default::default() },
            pace: Pace {
                report,
                heartbeat: Duration::from_millis(50),
                backoff: (Duration::from_millis(10), Duration::from_millis(100)),
                ..Pace::default()
            },
        };
        let (held, held_port) = watch::channel(held);
        let (verdicts, verdicts_port) = watch::channel(v1::Verdicts::default());
        let (telemetry, telemetry_port) = watch::channel(Telemetry::default());
        let (updates_port, updates) = mpsc::channel(1);
        let (dialling, dialled) = mpsc::channel(1);
        let (sampling_port, sampling) = watch::channel(v1::SampleRequest::default());
        let (samples, samples_port) = mpsc::channel(1);
        let (link_port, link) = watch::channel(LinkState::default());
        let ports = Ports {
            held: held_port,
            verdicts: verdicts_port,
            telemetry: telemetry_port,
            updates: updates_port,
            shelf: shelf.clone(),
            dialling,
            link: link_port,
            received: Arc::default(),
            sent: Arc::default(),
            network: Arc::default(),
            sampling: sampling_port,
            heard: watch::channel(tokio::time::Instant::now()).0,
            samples: samples_port,
        };
        let allowed = Arc::<Mutex<Vec<Dialled>>>::default();
        let allowing = tokio::spawn(allow(dialled, allowed.clone()));
        let client = run(config, vault.clone(), ports);
        let running = tokio::spawn(async move { _ = client.await });
        Agent {
            held,
            verdicts,
            telemetry,
            updates,
            link,
            sampling,
            samples,
            vault,
            shelf,
            running,
            allowing,
            allowed,
        }
    }

    pub async fn update(&mut self) -> Update {
        timeout(WITHIN, self.updates.recv()).await.expect("an update in time").expect("the client runs")
    }
}

async fn allow(mut dialled: mpsc::Receiver<Dialling>, allowed: Arc<Mutex<Vec<Dialled>>>) {
    while let Some(Dialling { endpoints, allowed: answer }) = dialled.recv().await {
        allowed.lock().expect("no panic").push(endpoints);
        _ = answer.send(());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.running.abort();
        self.allowing.abort();
    }
}
