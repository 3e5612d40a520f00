//! A whole operator in directory mode.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use sluice_operator::args::{RunArgs, Source, TRACED_NODES};
use sluice_operator::run;
use sluice_proto::v1::Capabilities;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::calls::Port;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Operator {
    pub place: TempDir,
    pub address: SocketAddr,
    pki: PathBuf,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Operator {
    pub fn start() -> Operator {
        let place = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(place.path().join("policies")).expect("made");
        // Whoever comes first makes the authority.
        let data = place.path().join("data");
        std::fs::create_dir(&data).expect("made");
        sluice_operator::token("first", &data).expect("a token");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let free = TcpListener::bind(any).and_then(|listener| listener.local_addr());
        Operator::over(place, free.expect("a free port"))
    }

    fn over(place: TempDir, address: SocketAddr) -> Operator {
        let args = RunArgs {
            source: Source::Directory(place.path().join("policies")),
            data: place.path().join("data"),
            listen: address,
            metrics: SocketAddr::from(([127, 0, 0, 1], 0)),
            ca_dir: None,
            names: Vec::new(),
            replicas: Vec::new(),
            replica: None,
            fleet: None,
            readiness_taint: false,
            namespace: String::new(),
            traced_nodes: TRACED_NODES,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(args, stop.clone()));
        let pki = place.path().join("data/pki");
        Operator { place, address, pki, stop, task }
    }

    pub fn agent(&self, node: &str, capabilities: Capabilities) -> Agent {
        Agent::start(node, self.address.to_string(), &self.place.path().join("data"), capabilities)
    }

    pub fn port(&self) -> Port<'_> {
        Port { address: self.address.to_string(), pki: &self.pki }
    }

    /// Beside the last that the node's agent was given.
    pub fn new_token(&self, node: &str) {
        let data = self.place.path().join("data");
        let token = sluice_operator::token(node, &data).expect("a token");
        std::fs::write(data.join(format!("{node}.token")), token).expect("written");
    }

    pub fn save(&self, name: &str, text: &str) {
        std::fs::write(self.place.path().join("policies").join(name), text).expect("written");
    }

    /// Status, reason and message of an object's Ready once they have this.
    pub async fn ready(&self, object: &str, part: &str) -> String {
        let file = self.place.path().join(format!("data/status/{object}.yaml"));
        let until = Instant::now() + PATIENCE;
        loop {
            let said = ready(&file);
            if said.contains(part) {
                return said;
            }
            assert!(Instant::now() < until, "after {PATIENCE:?}: {said}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.place.path().join("policies").join(name)).expect("removed");
    }

    /// The next goes on where it was.
    pub async fn restart(self) -> Operator {
        let Operator { place, address, pki: _, stop, task } = self;
        stop.cancel();
        task.await.expect("no panic").expect("a clean end");
        Operator::over(place, address)
    }

    pub async fn end(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("a clean end");
    }
}

fn ready(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let object: Value = serde_saphyr::from_str(&text).unwrap_or_default();
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default();
    ["status", "reason", "message"]
        .map(|field| ready[field].as_str().unwrap_or_default().to_owned())
        .join(" ")
}
