//! What replicas say to each other. Each call names the cluster and the replica that it is meant for: addresses are given
//! to others, names of a store are not.

use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::{SnapshotMeta, TypeConfig, Vote};
use crate::{Applied, Command, Identity};

#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// None: whichever replica is there.
    pub to: Option<Identity>,
    pub call: Call,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Call {
    /// Which replica are you?
    Who,
    /// The caller has no store yet and is reached there.
    Join {
        address: String,
    },
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<u64>),
    Snapshot {
        vote: Vote,
        meta: SnapshotMeta,
        state: Bytes,
    },
    Propose(Command),
    /// How far has the log been agreed on, as a quorum says?
    Agreed,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// It has no store yet.
    Empty,
    /// It is this one; also where a call was meant for another.
    Is(Identity),
    /// The caller is this one from now on.
    Joined(Identity),
    Append(AppendEntriesResponse<u64>),
    Vote(VoteResponse<u64>),
    Snapshot(SnapshotResponse<u64>),
    Proposed(Applied),
    /// Up to this entry, if there is one.
    Agreed(Option<u64>),
    /// Ask there, or again where nobody leads.
    Elsewhere(Option<String>),
    Refused(String),
}

/// First byte of every message: the layout of what follows.
const LAYOUT: u8 = 1;

pub fn encode(message: &impl Serialize) -> Bytes {
    let bytes = postcard::to_extend(message, vec![LAYOUT]);
    bytes.expect("plain data always encodes").into()
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match bytes.split_first() {
        Some((&LAYOUT, message)) => postcard::from_bytes(message).map_err(|error| error.to_string()),
        Some((layout, _)) => Err(format!("layout {layout} is not {LAYOUT}: run one version on all replicas")),
        None => Err("no message".to_owned()),
    }
}
