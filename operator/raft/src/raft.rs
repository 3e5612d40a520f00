//! The running replica.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{ClientWriteError, Fatal, InitializeError, RaftError};
use openraft::{BasicNode, RaftMetrics};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

use crate::call::{Call, Reply};
use crate::config::{LOG_BYTES, TypeConfig, config};
use crate::lead::leads;
use crate::members::{self, Join, leader_address};
use crate::network::{Network, Silent};
use crate::peers::Peers;
use crate::store::{self, LogStore, Place, Stop, Store};
use crate::{Applied, Command, Identity, OpenError, ProposeError, State};

/// How a replica runs.
pub struct Options {
    /// Called once, with the reason, when the store fails. Nothing can be agreed any more; the process should end so
    /// that a new one starts from what is on disk. The last state stays readable until then.
    pub on_fatal: Box<dyn FnOnce(String) + Send>,
    /// How long a proposal waits for a leader.
    pub propose_timeout: Duration,
    /// None: this replica is alone.
    pub peers: Option<Peers>,
}

impl Options {
    pub fn new(on_fatal: impl FnOnce(String) + Send + 'static) -> Options {
        Options { on_fatal: Box::new(on_fatal), propose_timeout: Duration::from_secs(10), peers: None }
    }
}

/// A handle; all clones are the same replica.
#[derive(Clone)]
pub struct Raft {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub raft: openraft::Raft<TypeConfig>,
    identity: Identity,
    state: watch::Receiver<Arc<State>>,
    pub(crate) log: LogStore,
    stop: std::sync::Mutex<Option<Stop>>,
    propose_timeout: Duration,
    peers: Option<Peers>,
    pub silent: Silent,
    /// Replicas that want to be members; none where this one is alone.
    pub joins: Option<mpsc::Sender<Join>>,
}

impl Raft {
    /// Opens DIR, or makes a one-voter cluster in it when it is empty; of several replicas each calls
    /// [`found_or_join`](crate::found_or_join) before.
    ///
    /// The state of the disk is there when this returns, before there is a leader.
    pub async fn open(dir: &Path, options: Options) -> Result<Raft, OpenError> {
        std::fs::create_dir_all(dir).map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
        let expected = identify(dir)?;
        if expected.is_none() && !dir.join(store::FILE).exists() {
            store::make(&Place::Directory(dir), &Identity::new_cluster())?;
        }
        let store = store::open(&Place::Directory(dir), expected.as_ref())?;
        // After the log's own copy: a crash in between leaves a log that still names itself.
        if expected.is_none() {
            store.identity.write(dir)?;
        }
        Raft::start(store, options).await
    }

    pub(crate) async fn start(store: Store, options: Options) -> Result<Raft, OpenError> {
        let Store { log, machine, state, stop, identity } = store;
        let config = config(&identity.cluster_id)?;
        let Options { on_fatal, propose_timeout, peers } = options;
        let silent = Silent::default();
        let network =
            Network { cluster_id: identity.cluster_id.clone(), peers: peers.clone(), silent: silent.clone() };
        let raft =
            openraft::Raft::new(identity.node_id, Arc::new(config), network, log.clone(), machine).await;
        let raft = raft.map_err(|error| OpenError::Start(error.to_string()))?;
        if identity.is_founder() {
            initialize(&raft, identity.node_id, peers.as_ref()).await?;
        }
        tokio::spawn(tell_when_failed(raft.metrics(), on_fatal));
        let joins = peers.as_ref().map(|peers| {
            let (joins, joining) = mpsc::channel(1);
            let (cluster_id, own) = (identity.cluster_id.clone(), peers.own.clone());
            tokio::spawn(members::run(raft.clone(), cluster_id, own, joining));
            joins
        });
        let stop = std::sync::Mutex::new(Some(stop));
        Ok(Raft {
            inner: Arc::new(Inner {
                raft,
                identity,
                state,
                log,
                stop,
                propose_timeout,
                peers,
                silent,
                joins,
            }),
        })
    }

    /// Agrees on `command`, on whichever replica it is asked; it is on the disks of most of them when this returns.
    ///
    /// # Errors
    /// After [`ProposeError::Unreached`] it may be agreed on all the same.
    pub async fn propose(&self, command: Command) -> Result<Applied, ProposeError> {
        let deadline = Instant::now() + self.inner.propose_timeout;
        loop {
            match self.write(command.clone()).await {
                Err(ProposeError::Elsewhere(_)) => {
                    if let Some(applied) = self.forward(&command, deadline).await? {
                        return Ok(applied);
                    }
                }
                other => return other,
            }
            self.somebody_leads(deadline).await?;
        }
    }

    /// Agrees on `command` if this replica leads.
    pub(crate) async fn write(&self, command: Command) -> Result<Applied, ProposeError> {
        let found = command.size();
        if found > Command::MAX_BYTES {
            return Err(ProposeError::TooLarge { found, limit: Command::MAX_BYTES });
        }
        match self.inner.raft.client_write(command).await {
            Ok(response) => {
                self.cut_a_large_log().await;
                Ok(response.data)
            }
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
                Err(ProposeError::Elsewhere(self.leader_address()))
            }
            Err(error) => Err(ProposeError::Stopped(error.to_string())),
        }
    }

    /// None where nobody leads, or whoever is there does not.
    async fn forward(&self, command: &Command, deadline: Instant) -> Result<Option<Applied>, ProposeError> {
        let (Some((to, leader)), Some(peers)) = (self.leader(), &self.inner.peers) else { return Ok(None) };
        let unreached = |reason: String| ProposeError::Unreached { leader: leader.clone(), reason };
        let within = deadline.saturating_duration_since(Instant::now());
        let reply = peers.ask(&leader, Some(to), Call::Propose(command.clone()), within).await;
        match reply.map_err(|error| unreached(error.to_string()))? {
            Reply::Proposed(applied) => Ok(Some(applied)),
            Reply::Elsewhere(_) | Reply::Empty | Reply::Is(_) => Ok(None),
            Reply::Refused(reason) => Err(unreached(reason)),
            reply => Err(unreached(format!("{reply:?} is no answer to this"))),
        }
    }

    pub(crate) fn peers(&self) -> Option<&Peers> {
        self.inner.peers.as_ref()
    }

    /// Who decides, and where it is reached.
    pub fn leader(&self) -> Option<(Identity, String)> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow();
        let Identity { cluster_id, .. } = self.identity().clone();
        Some((Identity { cluster_id, node_id: metrics.current_leader? }, leader_address(&metrics)?))
    }

    /// Where the replica that decides is reached, as far as this one knows; none where it is alone.
    pub fn leader_address(&self) -> Option<String> {
        leader_address(&self.inner.raft.metrics().borrow())
    }

    /// Waits until [`Raft::leader_address`] may have changed.
    pub async fn leader_changed(&self) {
        let mut metrics = self.inner.raft.metrics();
        let before = metrics.borrow_and_update().current_leader;
        // Where consensus ended nothing changes any more.
        if metrics.wait_for(|metrics| metrics.current_leader != before).await.is_err() {
            std::future::pending().await
        }
    }

    /// Where the other replicas are reached.
    pub fn others(&self) -> Vec<String> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow();
        let nodes = metrics.membership_config.membership().nodes();
        let others = nodes.filter(|(id, _)| **id != self.inner.identity.node_id);
        others.map(|(_, node)| node.addr.clone()).collect()
    }

    /// Whether this replica has a vote.
    pub fn votes(&self) -> bool {
        self.voters().contains(&self.inner.identity.node_id)
    }

    /// Waits until this replica has all that was agreed on before it was called.
    pub async fn caught_up(&self) {
        loop {
            if let Some(index) = self.agreed().await {
                let mut metrics = self.inner.raft.metrics();
                let applied = metrics.wait_for(|metrics| metrics.last_applied.map(|at| at.index) >= index);
                // Where consensus ended nothing is waited for any more.
                drop(applied.await);
                return;
            }
            sleep(SLOWLY).await;
        }
    }

    /// Up to where the log is agreed on, as whoever leads says, if somebody does.
    async fn agreed(&self) -> Option<Option<u64>> {
        if let Ok(position) = self.inner.raft.ensure_linearizable().await {
            return Some(position.map(|position| position.index));
        }
        let ((to, leader), peers) = (self.leader()?, self.inner.peers.as_ref()?);
        match peers.ask(&leader, Some(to), Call::Agreed, self.inner.propose_timeout).await {
            Ok(Reply::Agreed(index)) => Some(index),
            _ => None,
        }
    }

    /// The agreed state, on disk before it is shown here.
    pub fn state(&self) -> watch::Receiver<Arc<State>> {
        self.inner.state.clone()
    }

    /// Who has a vote, by node id.
    pub fn voters(&self) -> BTreeSet<u64> {
        self.inner.raft.metrics().borrow().membership_config.membership().voter_ids().collect()
    }

    /// Whether this replica decides, and writes status.
    pub fn is_leader(&self) -> bool {
        leads(&self.inner.raft.metrics().borrow())
    }

    /// Whether this replica decides, or hears of the one that does.
    pub fn is_led(&self) -> bool {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow();
        metrics.current_leader.is_some_and(|leader| leader != metrics.id || leads(&metrics))
    }

    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// Ends the replica; the directory can be opened again when this returns.
    pub async fn shutdown(&self) {
        if let Err(error) = self.inner.raft.shutdown().await {
            tracing::error!(%error, "consensus did not end cleanly");
        }
        let stop = self.inner.stop.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(stop) = stop {
            tokio::task::spawn_blocking(|| stop.stop())
                .await
                .expect("the writer's end is awaited without a panic");
        }
    }

    /// Waits for a leader, this replica or another.
    async fn somebody_leads(&self, deadline: Instant) -> Result<(), ProposeError> {
        // Metrics may run ahead of the core's own view by a moment, and a leader may just have gone: do not spin.
        sleep(AGAIN).await;
        let nobody = || ProposeError::NoLeader(self.inner.propose_timeout);
        // One that is known and not found where it was would be known for ever.
        if Instant::now() >= deadline {
            return Err(nobody());
        }
        let mut metrics = self.inner.raft.metrics();
        // The guard must be gone before the next await: it would block the core.
        let found = timeout_at(deadline, metrics.wait_for(|metrics| metrics.current_leader.is_some())).await;
        match found.map(|found| found.map(drop)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(ProposeError::Stopped("consensus ended".to_owned())),
            Err(_) => Err(nobody()),
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.inner.raft.metrics().borrow().running_state.is_err()
    }

    /// Snapshots are due by number of entries; entries of a megabyte each must not wait for that.
    async fn cut_a_large_log(&self) {
        if self.inner.log.bytes() > LOG_BYTES
            && let Err(error) = self.inner.raft.trigger().snapshot().await
        {
            tracing::warn!(%error, "the log grows: no snapshot can be made");
        }
    }
}

/// What the readable file says; see [`Identity`].
fn identify(dir: &Path) -> Result<Option<Identity>, OpenError> {
    let identity = Identity::read(dir)?;
    match identity {
        Some(lost) if !dir.join(store::FILE).exists() => {
            Err(OpenError::LogLost { dir: dir.to_owned(), cluster_id: lost.cluster_id })
        }
        found => Ok(found),
    }
}

/// Does nothing on a store that has been initialized.
async fn initialize(
    raft: &openraft::Raft<TypeConfig>,
    node_id: u64,
    peers: Option<&Peers>,
) -> Result<(), OpenError> {
    let own = peers.map(|peers| BasicNode::new(&peers.own)).unwrap_or_default();
    match raft.initialize(BTreeMap::from([(node_id, own)])).await {
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(error) => Err(OpenError::Start(error.to_string())),
    }
}

async fn tell_when_failed(
    mut metrics: watch::Receiver<RaftMetrics<u64, BasicNode>>,
    on_fatal: Box<dyn FnOnce(String) + Send>,
) {
    let ended = metrics.wait_for(|metrics| metrics.running_state.is_err()).await;
    let reason = match &ended {
        Ok(metrics) => metrics.running_state.clone().expect_err("waited for"),
        Err(_) => Fatal::Stopped,
    };
    drop(ended);
    if reason != Fatal::Stopped {
        on_fatal(reason.to_string());
    }
}

/// Before somebody is asked again what nobody could say.
const SLOWLY: Duration = Duration::from_millis(100);
/// Before a leader is looked for again.
const AGAIN: Duration = Duration::from_millis(5);
