//! The running replica.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{ClientWriteError, Fatal, InitializeError, RaftError};
use openraft::{BasicNode, RaftMetrics, ServerState};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::{LOG_BYTES, TypeConfig, config};
use crate::network::NoPeers;
use crate::store::{self, LogStore, Stop, Store};
use crate::{Applied, Bytes, ClassKey, ClassPlan, Command, Identity, OpenError, ProposeError, State};

/// How a replica runs.
pub struct Options {
    /// Called once, with the reason, when the store fails. Nothing can be agreed any more; the process should end so
    /// that a new one starts from what is on disk. The last state stays readable until then.
    pub on_fatal: Box<dyn FnOnce(String) + Send>,
    /// How long a proposal waits for a leader.
    pub propose_timeout: Duration,
}

impl Options {
    pub fn new(on_fatal: impl FnOnce(String) + Send + 'static) -> Options {
        Options { on_fatal: Box::new(on_fatal), propose_timeout: Duration::from_secs(10) }
    }
}

/// A handle; all clones are the same replica.
#[derive(Clone)]
pub struct Raft {
    inner: Arc<Inner>,
}

struct Inner {
    raft: openraft::Raft<TypeConfig>,
    identity: Identity,
    state: watch::Receiver<Arc<State>>,
    log: LogStore,
    stop: std::sync::Mutex<Option<Stop>>,
    propose_timeout: Duration,
}

impl Raft {
    /// Opens DIR, or makes a one-voter cluster in it when it is empty.
    ///
    /// The state of the disk is there when this returns, before there is a leader.
    pub async fn open(dir: &Path, options: Options) -> Result<Raft, OpenError> {
        std::fs::create_dir_all(dir).map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
        let expected = identify(dir)?;
        let Store { log, machine, state, stop, identity } = store::open(dir, expected.as_ref())?;
        // After the log's own copy: a crash in between leaves a log that still names itself.
        if expected.is_none() {
            identity.write(dir)?;
        }
        let config = config(&identity.cluster_id)?;
        let raft =
            openraft::Raft::new(identity.node_id, Arc::new(config), NoPeers, log.clone(), machine).await;
        let raft = raft.map_err(|error| OpenError::Start(error.to_string()))?;
        initialize(&raft, identity.node_id).await?;
        tokio::spawn(tell_when_failed(raft.metrics(), options.on_fatal));
        let stop = std::sync::Mutex::new(Some(stop));
        let propose_timeout = options.propose_timeout;
        Ok(Raft { inner: Arc::new(Inner { raft, identity, state, log, stop, propose_timeout }) })
    }

    /// Agrees on `command`; it is on disk when this returns.
    pub async fn propose(&self, command: Command) -> Result<Applied, ProposeError> {
        let found = size(&command);
        if found > Command::MAX_BYTES {
            return Err(ProposeError::TooLarge { found, limit: Command::MAX_BYTES });
        }
        let deadline = Instant::now() + self.inner.propose_timeout;
        loop {
            match self.inner.raft.client_write(command.clone()).await {
                Ok(response) => {
                    self.cut_a_large_log().await;
                    return Ok(response.data);
                }
                Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
                    self.leader(deadline).await?
                }
                Err(error) => return Err(ProposeError::Stopped(error.to_string())),
            }
        }
    }

    /// The agreed state, on disk before it is shown here.
    pub fn state(&self) -> watch::Receiver<Arc<State>> {
        self.inner.state.clone()
    }

    /// Whether this replica decides, and writes status.
    pub fn is_leader(&self) -> bool {
        leads(&self.inner.raft.metrics().borrow())
    }

    /// Follows [`Raft::is_leader`]; true once it leads.
    pub async fn wait_for_leadership(&self, within: Duration) -> Result<(), ProposeError> {
        self.leader(Instant::now() + within).await
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

    async fn leader(&self, deadline: Instant) -> Result<(), ProposeError> {
        let mut metrics = self.inner.raft.metrics();
        // The guard must be gone before the next await: it would block the core.
        let led = timeout_at(deadline, metrics.wait_for(leads)).await.map(|found| found.map(drop));
        match led {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err(ProposeError::Stopped("consensus ended".to_owned())),
            Err(_) => return Err(ProposeError::NoLeader(self.inner.propose_timeout)),
        }
        // Metrics may run ahead of the core's own view by a moment; do not spin on it.
        sleep(Duration::from_millis(5)).await;
        Ok(())
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
async fn initialize(raft: &openraft::Raft<TypeConfig>, node_id: u64) -> Result<(), OpenError> {
    let members = BTreeMap::from([(node_id, BasicNode::default())]);
    match raft.initialize(members).await {
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(error) => Err(OpenError::Start(error.to_string())),
    }
}

/// With more than one voter a restarted leader is one only once a quorum has answered it.
fn leads(metrics: &RaftMetrics<u64, BasicNode>) -> bool {
    let lone = metrics.membership_config.membership().voter_ids().count() == 1;
    metrics.state == ServerState::Leader
        && (lone || metrics.millis_since_quorum_ack.is_some_and(|ms| ms < LEASE_MS))
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

fn size(command: &Command) -> usize {
    let nodes = |nodes: &BTreeMap<String, ClassKey>| {
        nodes.iter().map(|(node, class)| node.len() + class.0.len()).sum::<usize>()
    };
    let values = |values: &BTreeMap<String, Bytes>| {
        values.iter().map(|(key, bytes)| key.len() + bytes.len()).sum::<usize>()
    };
    match command {
        Command::PutPlans { classes, node_class, rings, blobs } => {
            let plans: usize = classes.iter().map(|(key, bytes)| key.0.len() + bytes.len()).sum();
            plans + nodes(node_class) + rings.len() + values(blobs)
        }
        Command::PutFleet { classes, node_class, rings, blobs, sets } => {
            let names = |class: &ClassPlan| class.sets.iter().map(String::len).sum::<usize>();
            let plan = |(key, class): (&ClassKey, &ClassPlan)| key.0.len() + class.plan.len() + names(class);
            let plans: usize = classes.iter().map(plan).sum();
            plans + nodes(node_class) + rings.len() + values(blobs) + values(sets)
        }
        Command::PutBlobs { blobs } => values(blobs),
        Command::PutBlob { key, bytes } => key.len() + bytes.len(),
        Command::RemoveBlob { key } => key.len(),
        Command::Recover { .. } => 0,
    }
}

/// Shorter than the shortest election timeout.
const LEASE_MS: u64 = 1200;
