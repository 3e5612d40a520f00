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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use openraft::{BasicNode, CommittedLeaderId, EntryPayload, Membership};
    use sluice_plan::Hash;

    use super::*;
    use crate::ClassPlan;
    use crate::config::{Entry, LogId};

    /// While replicas are upgraded one by one, each version must read what the other says.
    #[test]
    fn words_of_the_version_before_are_as_they_were() {
        let said = words().into_iter().map(hex::encode).collect::<Vec<_>>().join("\n");
        assert_eq!(
            said.trim(),
            include_str!("call/words.txt").trim(),
            "LAYOUT changes with them, in two steps"
        );
    }

    fn words() -> Vec<Bytes> {
        let identity = || Identity { cluster_id: "c".to_owned(), node_id: 7 };
        let to = || Some(identity());
        let request = |to, call| encode(&Request { to, call });
        let at = |index| LogId::new(CommittedLeaderId::new(3, 7), index);
        let vote = Vote::new_committed(3, 7);
        let members = Membership::new(vec![[1, 7].into()], BTreeMap::from([(7, BasicNode::new("a"))]));
        let payloads = commands().into_iter().map(EntryPayload::Normal);
        let payloads = payloads.chain([EntryPayload::Blank, EntryPayload::Membership(members.clone())]);
        let entries =
            (5..).zip(payloads).map(|(index, payload)| Entry { log_id: at(index), payload }).collect();
        let meta = SnapshotMeta {
            last_log_id: Some(at(9)),
            last_membership: openraft::StoredMembership::new(Some(at(8)), members),
            snapshot_id: "3-9".to_owned(),
        };
        let append =
            AppendEntriesRequest { vote, prev_log_id: Some(at(4)), entries, leader_commit: Some(at(4)) };
        vec![
            request(None, Call::Who),
            request(None, Call::Join { address: "a:1".to_owned() }),
            request(to(), Call::Append(append)),
            request(to(), Call::Vote(VoteRequest { vote: Vote::new(4, 7), last_log_id: Some(at(9)) })),
            request(to(), Call::Snapshot { vote, meta, state: "state".into() }),
            request(to(), Call::Agreed),
            encode(&Reply::Empty),
            encode(&Reply::Is(identity())),
            encode(&Reply::Joined(identity())),
            encode(&Reply::Append(AppendEntriesResponse::PartialSuccess(Some(at(5))))),
            encode(&Reply::Vote(VoteResponse { vote, vote_granted: true, last_log_id: Some(at(9)) })),
            encode(&Reply::Snapshot(SnapshotResponse { vote })),
            encode(&Reply::Proposed(Applied { epoch: Default::default(), void: true })),
            encode(&Reply::Agreed(Some(9))),
            encode(&Reply::Elsewhere(Some("a:1".to_owned()))),
            encode(&Reply::Refused("no".to_owned())),
        ]
    }

    /// One of each kind.
    fn commands() -> Vec<Command> {
        let blobs = || BTreeMap::from([("key".to_owned(), Bytes::from_static(b"value"))]);
        let nodes = || BTreeMap::from([("node".to_owned(), "a".into())]);
        let plan = || Bytes::from_static(b"plan");
        let class = ClassPlan { plan: plan(), sets: vec!["bad".to_owned()] };
        let rings = || Bytes::from_static(b"rings");
        vec![
            Command::PutPlans {
                classes: [("a".into(), plan())].into(),
                node_class: nodes(),
                rings: rings(),
                blobs: blobs(),
            },
            Command::PutBlob { key: "key".to_owned(), bytes: plan() },
            Command::RemoveBlob { key: "key".to_owned() },
            Command::Recover { seen_incarnation: 300 },
            Command::PutFleet {
                classes: [("a".into(), class)].into(),
                node_class: nodes(),
                rings: rings(),
                blobs: blobs(),
                sets: blobs(),
            },
            Command::PutBlobs { blobs: blobs() },
            Command::Decided { term: 3, command: plan() },
            Command::TakeToken { number: [7; 16], by: Hash([9; 32]), until: 300, now: 200 },
        ]
    }
}
