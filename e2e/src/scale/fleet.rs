//! Thousands of agents in one process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use sluice_pki::{Directory, NodeName};
use sluice_plan::Hash;
use tokio::time::timeout;

use super::agent::{Agent, Common, Kept, Node, Seen, Slot};
use super::curve::Curve;
use super::operator::authority;

const PATIENCE: Duration = Duration::from_secs(180);
/// Of tokens.
const VALID: Duration = Duration::from_secs(24 * 60 * 60);

pub struct Fleet {
    pki: Directory,
    place: PathBuf,
    operator: String,
    classes: usize,
    vaults: Vec<Arc<Slot>>,
    pub common: Arc<Common>,
    agents: Vec<Agent>,
}

impl Fleet {
    /// Nodes with a token each.
    pub fn new(place: &Path, number: usize, classes: usize, operator: String) -> anyhow::Result<Fleet> {
        let pki = Directory::at(authority(place), SystemTime::now())?;
        std::fs::create_dir_all(place.join("tokens"))?;
        let fleet = Fleet {
            pki,
            place: place.to_owned(),
            operator,
            classes,
            vaults: (0..number).map(|_| Arc::default()).collect(),
            common: Arc::default(),
            agents: Vec::new(),
        };
        for index in 0..number {
            let token = fleet.pki.tokens.token(&NodeName::parse(&name(index))?, SystemTime::now() + VALID);
            std::fs::write(fleet.token(index), token)?;
        }
        Ok(fleet)
    }

    /// All at once, each with what it kept, if it kept anything.
    fn start_with(&mut self, kept: Vec<Kept>) {
        let node = |(index, vault): (usize, &Arc<Slot>)| Node {
            name: name(index),
            role: index % self.classes,
            ca: self.pki.ca_file(),
            token: self.token(index),
            operator: self.operator.clone(),
            vault: vault.clone(),
        };
        let kept = kept.into_iter().chain(std::iter::repeat_with(Kept::default));
        let nodes = self.vaults.iter().enumerate().map(node).zip(kept);
        self.agents = nodes.map(|(node, kept)| Agent::start(node, self.common.clone(), kept)).collect();
    }

    /// Those that run end; the new ones have no more than the certificates of their nodes.
    pub fn start(&mut self) {
        self.agents.clear();
        self.start_with(Vec::new());
    }

    /// Every agent ends and starts again.
    pub fn restart(&mut self) {
        let kept = self.agents.iter().map(Agent::kept).collect();
        self.agents.clear();
        self.start_with(kept);
    }

    /// When each agent saw what is waited for, which it is told with its number.
    pub async fn until(
        &mut self,
        since: Instant,
        is_seen: impl Fn(usize, &Seen) -> bool,
    ) -> anyhow::Result<Curve> {
        let until = tokio::time::Instant::now() + PATIENCE;
        let mut times = Vec::with_capacity(self.agents.len());
        for (index, agent) in self.agents.iter_mut().enumerate() {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            let seen = timeout(left, agent.seen.wait_for(|seen| is_seen(index, seen))).await;
            let seen = seen.with_context(|| format!("{} waits in vain", name(index)))?;
            times.push(seen.context("an agent ended")?.at.saturating_duration_since(since));
        }
        Ok(Curve::new(times))
    }

    /// By agent, the number of updates that it was sent.
    pub fn updates(&self) -> Vec<u64> {
        self.agents.iter().map(|agent| agent.seen.borrow().updates).collect()
    }

    /// By agent, the hash of a resource.
    pub fn held(&self, key: &str) -> Vec<Option<Hash>> {
        self.agents.iter().map(|agent| agent.seen.borrow().resources.get(key).copied()).collect()
    }

    /// By agent, the bytes that it was sent.
    pub fn received(&self) -> Vec<u64> {
        self.agents.iter().map(|agent| agent.received.load(Ordering::Relaxed)).collect()
    }

    /// By agent, the bytes that it sent.
    pub fn sent(&self) -> Vec<u64> {
        self.agents.iter().map(|agent| agent.sent.load(Ordering::Relaxed)).collect()
    }

    fn token(&self, index: usize) -> PathBuf {
        self.place.join("tokens").join(name(index))
    }
}

fn name(index: usize) -> String {
    format!("node-{index}")
}
