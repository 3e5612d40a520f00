//! Replicas of one process, on real directories, with a network that can be cut.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use sluice_raft::{
    Bytes, Command, Identity, Lead, Options, Peers, Raft, Transport, Unreached, answer_without_store,
    found_or_join,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// Addresses `r0`, `r1` …
pub struct Fleet {
    net: Net,
    dirs: Vec<TempDir>,
}

#[derive(Clone, Default)]
struct Net(Arc<Mutex<Wires>>);

#[derive(Default)]
struct Wires {
    /// No store yet, or a replica.
    there: HashMap<String, Option<Raft>>,
    cut: BTreeSet<String>,
    delay: Duration,
}

struct Wire {
    net: Net,
    own: String,
}

impl Fleet {
    pub fn new(size: usize) -> Fleet {
        let dirs = (0..size).map(|_| tempfile::tempdir().expect("a directory")).collect();
        Fleet { net: Net::default(), dirs }
    }

    /// Starts all, and waits until each votes.
    pub async fn founded(size: usize) -> (Fleet, Vec<Raft>) {
        let fleet = Fleet::new(size);
        let starting: Vec<_> = (0..size).map(|index| fleet.start(index)).collect();
        let mut rafts = Vec::new();
        for started in starting {
            rafts.push(timeout(PATIENCE, started).await.expect("started in time").expect("no panic"));
        }
        all_vote(&rafts).await;
        (fleet, rafts)
    }

    pub fn address(index: usize) -> String {
        format!("r{index}")
    }

    pub fn dir(&self, index: usize) -> PathBuf {
        self.dirs[index].path().join("raft")
    }

    fn peers(&self, index: usize) -> Peers {
        let own = Self::address(index);
        Peers {
            all: (0..self.dirs.len()).map(Self::address).collect(),
            transport: Arc::new(Wire { net: self.net.clone(), own: own.clone() }),
            own,
        }
    }

    /// Runs on by itself: a replica without a store waits for the others.
    pub fn start(&self, index: usize) -> JoinHandle<Raft> {
        let (net, dir, peers) = (self.net.clone(), self.dir(index), self.peers(index));
        tokio::spawn(async move {
            let own = peers.own.clone();
            net.wires(|wires| wires.there.insert(own.clone(), None));
            found_or_join(&dir, &peers).await.expect("a store");
            let options = Options::new(|reason| panic!("{reason}"));
            let propose_timeout = Duration::from_secs(3);
            let options = Options { peers: Some(peers), propose_timeout, ..options };
            let raft = Raft::open(&dir, options).await.expect("opened");
            net.wires(|wires| wires.there.insert(own, Some(raft.clone())));
            raft
        })
    }

    /// Ends it; the others find nobody there.
    pub async fn stop(&self, index: usize, raft: &Raft) {
        self.net.wires(|wires| wires.there.remove(&Self::address(index)));
        raft.shutdown().await;
    }

    pub fn lose_disk(&self, index: usize) {
        std::fs::remove_dir_all(self.dir(index)).expect("removed");
    }

    /// Somebody else's replica takes over an address.
    pub fn take_over(&self, index: usize, by: &Raft) {
        self.net.wires(|wires| wires.there.insert(Self::address(index), Some(by.clone())));
    }

    pub fn cut(&self, index: usize) {
        self.net.wires(|wires| wires.cut.insert(Self::address(index)));
    }

    pub fn heal(&self) {
        self.net.wires(|wires| wires.cut.clear());
    }

    /// Each call takes as long from now on.
    pub fn delay(&self, delay: Duration) {
        self.net.wires(|wires| wires.delay = delay);
    }

    /// Calls by an address what is meant for another replica.
    pub fn swap(&self, a: usize, b: usize) {
        self.net.wires(|wires| {
            let (first, second) =
                (wires.there.get(&Self::address(a)).cloned(), wires.there.get(&Self::address(b)).cloned());
            wires.there.insert(Self::address(a), second.flatten());
            wires.there.insert(Self::address(b), first.flatten());
        });
    }
}

impl Net {
    fn wires<T>(&self, change: impl FnOnce(&mut Wires) -> T) -> T {
        change(&mut self.0.lock().expect("no panic under the lock"))
    }
}

impl Transport for Wire {
    fn call(&self, address: &str, request: Bytes) -> BoxFuture<'static, Result<Bytes, Unreached>> {
        let found = self.net.wires(|wires| {
            let is_cut = wires.cut.contains(address) || wires.cut.contains(&self.own);
            (wires.there.get(address).cloned().filter(|_| !is_cut), wires.delay)
        });
        async move {
            let (Some(there), delay) = found else { return Err(Unreached("nobody is there".to_owned())) };
            sleep(delay).await;
            match there {
                Some(raft) => Ok(raft.answer(&request).await),
                None => Ok(answer_without_store(&request)),
            }
        }
        .boxed()
    }
}

/// Waits until each of these replicas, and nobody else, has a vote, as all of them know.
pub async fn all_vote(rafts: &[Raft]) {
    let ids = ids(rafts);
    let counted = async {
        while rafts.iter().any(|raft| raft.voters() != ids) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, counted).await.expect("every replica votes in time");
}

/// Whichever of them comes to decide, and its place.
pub async fn leader(rafts: &[&Raft]) -> (usize, Lead) {
    let each = rafts.iter().map(|raft| raft.lead().boxed());
    let first = timeout(PATIENCE, futures::future::select_all(each)).await.expect("one leads in time");
    let (lead, index, _) = first;
    (index, lead.expect("its store works"))
}

/// Waits until a replica has what `epoch` names.
pub async fn has(raft: &Raft, epoch: sluice_plan::Epoch) {
    let mut state = raft.state();
    let reached = state.wait_for(|state| state.epoch == epoch);
    timeout(PATIENCE, reached).await.expect("it catches up in time").expect("it runs");
}

/// One class whose plan is `plan`.
pub fn plan(plan: &str) -> Command {
    Command::PutFleet {
        classes: [(
            "a".into(),
            sluice_raft::ClassPlan { plan: Bytes::copy_from_slice(plan.as_bytes()), sets: vec![] },
        )]
        .into(),
        node_class: [("node-a".to_owned(), "a".into())].into(),
        rings: Bytes::new(),
        blobs: BTreeMap::new(),
        sets: BTreeMap::new(),
    }
}

pub fn text(raft: &Raft) -> String {
    let state = raft.state().borrow().clone();
    let plan = state.plan_of("node-a").map(|(_, plan)| plan.bytes.to_vec()).unwrap_or_default();
    String::from_utf8(plan).expect("text")
}

pub fn ids(rafts: &[Raft]) -> BTreeSet<u64> {
    rafts.iter().map(|raft| raft.identity().node_id).collect()
}

pub fn cluster(identity: &Identity) -> &str {
    &identity.cluster_id
}
