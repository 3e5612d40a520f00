//! Going on after most replicas were lost for good: the one that is left becomes a cluster of its own, which others join.
//!
//! Nobody but a person can know that the others will not come back, so nothing here happens by itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use futures::future::join_all;

use crate::call::{Call, Reply};
use crate::files::{sync_parent, write_atomically};
use crate::store::{self, Place};
use crate::{Identity, OpenError, Raft};

/// Why a replica does not go on alone.
#[derive(Debug, thiserror::Error)]
pub enum NotAlone {
    #[error("this replica has no others that could be lost")]
    NoOthers,
    #[error("{0} leads: most replicas are there, and one that lost its disk joins them by itself")]
    Led(String),
    #[error("the others are {}: name each of them as lost, and nobody else", .others.join(","))]
    OtherNames { others: Vec<String> },
    #[error("{address} is there with its store ({identity}): with it, this replica has its majority")]
    There { address: String, identity: Identity },
}

impl Raft {
    /// Whether `lost` are all others, and neither a leader nor any of them with its store is to be found. Those that are
    /// cut off and not lost cannot be told from here: they would go on beside this one.
    pub async fn stands_alone(&self, lost: &[String]) -> Result<(), NotAlone> {
        let peers = self.peers().ok_or(NotAlone::NoOthers)?;
        let others: BTreeSet<&String> = peers.others().collect();
        if others != lost.iter().collect() {
            return Err(NotAlone::OtherNames { others: others.into_iter().cloned().collect() });
        }
        if let Some(leader) = self.leader_address() {
            return Err(NotAlone::Led(leader));
        }
        let asked = others.iter().map(|address| peers.ask(address, None, Call::Who, WITHIN));
        for (address, reply) in others.iter().zip(join_all(asked).await) {
            match reply {
                Ok(Reply::Is(identity)) if identity.cluster_id == self.identity().cluster_id => {
                    return Err(NotAlone::There { address: (*address).clone(), identity });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Has the replica of DIR, which is `former`, come back as the first of a new cluster when it is started next, with all that
/// it has and under a higher incarnation. What the others agreed on and it never heard of is lost.
pub fn go_on_alone(dir: &Path, former: &Identity) -> Result<(), OpenError> {
    let path = dir.join(FILE);
    let text = serde_json::to_vec_pretty(former).expect("two plain fields always encode");
    write_atomically(&path, &text).map_err(|source| OpenError::Io { path, source })
}

/// Does what [`go_on_alone`] left to be done, if anything. Whatever it was interrupted by, it can be called again.
pub(crate) fn finish(dir: &Path, own: &str) -> Result<(), OpenError> {
    let path = dir.join(FILE);
    let Ok(text) = fs::read(&path) else { return Ok(()) };
    let former: Identity = serde_json::from_slice(&text)
        .map_err(|error| OpenError::Damaged { path: path.clone(), reason: error.to_string() })?;
    let identity = store::stand_alone(&Place::Directory(dir), &former, own)?;
    identity.write(dir)?;
    let removed = fs::remove_file(&path).and_then(|()| sync_parent(&path));
    removed.map_err(|source| OpenError::Io { path, source })?;
    tracing::warn!(%former, %identity, "this replica goes on without the others; they join it with empty directories");
    Ok(())
}

const FILE: &str = "alone.json";
const WITHIN: Duration = Duration::from_secs(2);
