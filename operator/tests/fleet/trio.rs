//! Three operators on loopback that share policies and an authority.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use sluice_operator::args::{RunArgs, Source, TRACED_NODES};
use sluice_operator::run;
use sluice_proto::v1::{ListRequest, RecoverRequest};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::calls::Port;
use crate::operator::PATIENCE;

pub struct Trio {
    place: TempDir,
    pki: PathBuf,
    replicas: Vec<SocketAddr>,
    metrics: Vec<SocketAddr>,
    /// Each on a runtime of its own, that dies with all that it did.
    running: Vec<Option<Runtime>>,
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}

impl Trio {
    /// Returns once each has a vote.
    pub async fn start() -> Trio {
        let place = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(place.path().join("policies")).expect("made");
        let three = || (0..3).map(|_| free()).collect();
        let pki = place.path().join("data-0/pki");
        let mut trio = Trio { place, pki, replicas: three(), metrics: three(), running: vec![] };
        // Whoever comes first makes the authority.
        std::fs::create_dir(trio.data(0)).expect("made");
        sluice_operator::token("first", &trio.data(0)).expect("a token");
        trio.running = (0..3).map(|index| Some(trio.run(index))).collect();
        for index in 0..3 {
            trio.is_ready(index).await;
        }
        trio
    }

    fn run(&self, index: usize) -> Runtime {
        let addresses: Vec<String> = self.replicas.iter().map(ToString::to_string).collect();
        let args = RunArgs {
            source: Source::Directory(self.place.path().join("policies")),
            data: self.data(index),
            listen: self.replicas[index],
            metrics: self.metrics[index],
            ca_dir: Some(self.data(0).join("pki")),
            names: Vec::new(),
            replica: Some(addresses[index].clone()),
            replicas: addresses,
            fleet: None,
            readiness_taint: false,
            namespace: String::new(),
            traced_nodes: TRACED_NODES,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.spawn(async move {
            if let Err(error) = run(args, CancellationToken::new()).await {
                println!("an operator ended: {error:#}");
            }
        });
        runtime
    }

    pub fn data(&self, index: usize) -> PathBuf {
        self.place.path().join(format!("data-{index}"))
    }

    pub fn address(&self, index: usize) -> String {
        self.replicas[index].to_string()
    }

    /// Which replica is there.
    pub fn at(&self, address: SocketAddr) -> usize {
        self.replicas.iter().position(|replica| *replica == address).expect("a replica's address")
    }

    pub fn addresses(&self) -> String {
        self.replicas.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    pub fn save(&self, text: &str) {
        let file = self.place.path().join("policies/edge.yaml");
        std::fs::write(file.with_extension("tmp"), text).expect("written");
        std::fs::rename(file.with_extension("tmp"), file).expect("renamed");
    }

    /// All at once, as a power cut does.
    pub async fn kill(&mut self, index: usize) {
        let runtime = self.running[index].take().expect("it runs");
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(5)))
            .await
            .expect("no panic");
    }

    pub async fn revive(&mut self, index: usize) {
        self.running[index] = Some(self.run(index));
        self.is_ready(index).await;
    }

    async fn get(&self, index: usize, path: &str) -> String {
        let answer = async {
            let mut stream = TcpStream::connect(self.metrics[index]).await?;
            stream
                .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
                .await?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await?;
            std::io::Result::Ok(text)
        };
        answer.await.unwrap_or_default()
    }

    async fn is_ready(&self, index: usize) {
        self.probed(index, "HTTP/1.1 200", "ok").await;
    }

    /// Waits until `/readyz` of a replica answers so.
    pub async fn probed(&self, index: usize, status: &str, part: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(index, "/readyz").await;
            if answer.starts_with(status) && answer.contains(part) {
                return;
            }
            assert!(Instant::now() < until, "replica {index}: {answer}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many replicas have a line in their metrics.
    pub async fn metrics_of_all(&self, line: &str) -> usize {
        let mut found = 0;
        for index in 0..3 {
            found += usize::from(self.get(index, "/metrics").await.lines().any(|it| it == line));
        }
        found
    }

    /// The replica whose metrics tell of the fleet.
    pub async fn deciding(&self) -> usize {
        self.deciding_among(&[0, 1, 2]).await
    }

    pub async fn deciding_among(&self, replicas: &[usize]) -> usize {
        let until = Instant::now() + PATIENCE;
        loop {
            for &index in replicas {
                let told = self.get(index, "/metrics").await;
                if told.lines().any(|line| line == "sluice_raft_leads 1") {
                    return index;
                }
            }
            assert!(Instant::now() < until, "nobody tells of the fleet");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn port(&self, index: usize) -> Port<'_> {
        Port { address: self.address(index), pki: &self.pki }
    }

    /// With which a node joins.
    pub fn token(&self, node: &str) -> String {
        sluice_operator::token(node, &self.data(0)).expect("a token")
    }

    pub fn lose_disk(&self, index: usize) {
        std::fs::remove_dir_all(self.data(index).join("raft")).expect("removed");
    }

    /// Tells a replica that all others are lost, and starts it anew as whoever looks after it does.
    pub async fn go_on_alone(&mut self, index: usize) {
        let lost = (0..3).filter(|other| *other != index).map(|other| self.address(other)).collect();
        let (mut admin, until) = (self.port(index).admin().await, Instant::now() + PATIENCE);
        let request = RecoverRequest { seen_incarnation: 0, lost };
        // It does not know at once that nobody leads any more.
        while let Err(status) = admin.recover(request.clone()).await {
            assert!(Instant::now() < until, "{}", status.message());
            sleep(Duration::from_millis(50)).await;
        }
        while !self.get(index, "/healthz").await.is_empty() {
            assert!(Instant::now() < until, "it does not end");
            sleep(Duration::from_millis(20)).await;
        }
        self.kill(index).await;
        self.revive(index).await;
    }

    /// Waits until a replica says this of the filter.
    pub async fn says(&self, index: usize, part: &str) {
        let (mut admin, until) = (self.port(index).admin().await, Instant::now() + PATIENCE);
        loop {
            let said = match admin.list_policies(ListRequest::default()).await {
                Ok(answer) => answer.into_inner().policies.into_iter().map(|policy| policy.message).collect(),
                Err(status) => status.message().to_owned(),
            };
            if said.contains(part) {
                return;
            }
            assert!(Instant::now() < until, "replica {index}: {said}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn end(mut self) {
        for index in 0..3 {
            if self.running[index].is_some() {
                self.kill(index).await;
            }
        }
    }
}
