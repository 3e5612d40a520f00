//! Types and timing that openraft runs with.

use bytes::Bytes;
use openraft::{BasicNode, Config, SnapshotPolicy};

use crate::{Applied, Command, OpenError};

#[cfg(not(feature = "simulation"))]
use openraft::TokioRuntime as Runtime;

#[cfg(feature = "simulation")]
use crate::simulated::Runtime;

openraft::declare_raft_types!(
    pub TypeConfig:
        D = Command,
        R = Applied,
        NodeId = u64,
        Node = BasicNode,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = Bytes,
        AsyncRuntime = Runtime,
);

pub type Entry = openraft::Entry<TypeConfig>;
pub type LogId = openraft::LogId<u64>;
pub type Vote = openraft::Vote<u64>;
pub type Membership = openraft::StoredMembership<u64, BasicNode>;
pub type SnapshotMeta = openraft::SnapshotMeta<u64, BasicNode>;
pub type StorageError = openraft::StorageError<u64>;

/// Above this, the log is cut at the next command, however few entries it has.
pub const LOG_BYTES: usize = 16 << 20;

/// openraft's own defaults suit one room; these tolerate a busy disk and a slow link. A follower waits the longest
/// election time and then its own before it stands: a leader that died is followed by another after 2 to 2.5 seconds.
pub fn config(cluster_id: &str) -> Result<Config, OpenError> {
    Config {
        cluster_name: cluster_id.to_owned(),
        heartbeat_interval: 300,
        election_timeout_min: 700,
        election_timeout_max: 1200,
        install_snapshot_timeout: 10_000,
        max_payload_entries: 64,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(512),
        max_in_snapshot_log_to_keep: 16,
        ..Config::default()
    }
    .validate()
    .map_err(|error| OpenError::Start(error.to_string()))
}
