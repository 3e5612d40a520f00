//! What reads from the network, as functions of bytes: each says whether it takes them. The fuzz targets call them, and so
//! does `e2e/tests/decoders.rs`.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use prost::Message;
use sluice_address_set::{AddressSet, Manifest};
use sluice_pki::{Authority, NodeName, Peer, Tokens};
use sluice_plan::{Epoch, Hash, NodePlan, Schema};
use sluice_policy::ListFormat;
use sluice_proto::v1;
use sluice_raft::answer_without_store;
use sluice_seal::{Seal, Statement, Trust};

/// What an operator has, made once.
pub static AUTHORITY: LazyLock<Authority> =
    LazyLock::new(|| Authority::generate(*NOW).expect("a new key and its certificate").0);
pub static TOKENS: LazyLock<Tokens> = LazyLock::new(|| Tokens::new(&[7; 32]));
pub static NODE: LazyLock<NodeName> = LazyLock::new(|| NodeName::parse("edge-1").expect("a name"));
pub static NOW: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);
static TRUST: LazyLock<Trust> = LazyLock::new(|| AUTHORITY.trust().expect("its own certificate"));

/// Life of what is certified.
pub const DAY: Duration = Duration::from_secs(86_400);
/// What a seal is put under.
pub const STATEMENT: Statement<'static> = Statement {
    cluster_id: "store",
    node: "edge-1",
    epoch: Epoch { incarnation: 1, term: 2, index: 3 },
    fleet_hash: Hash([7; 32]),
    schema: Schema::NEWEST as u32,
};

pub fn plan(bytes: &[u8]) -> bool {
    Schema::ALL.into_iter().any(|schema| NodePlan::decode(schema, bytes).is_ok())
}

pub fn manifest(bytes: &[u8]) -> bool {
    Manifest::decode(bytes).is_ok()
}

/// A set of one shard: how many prefixes of each family its manifest promises, in four bytes each, and the shard.
pub fn shard(bytes: &[u8]) -> bool {
    let Some((&[a, b, c, d, e, f, g, h], shard)) = bytes.split_first_chunk() else { return false };
    let (v4, v6) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let manifest = Manifest { shards: vec![Hash::of(shard)], v4, v6 };
    let manifest = Manifest::decode(&manifest.encode());
    manifest.is_ok_and(|manifest| AddressSet::from_shards(&manifest, |_| Some(shard)).is_ok())
}

pub fn plain_list(bytes: &[u8]) -> bool {
    sluice_sets::read_list(bytes, ListFormat::Plain).is_ok()
}

pub fn spamhaus_list(bytes: &[u8]) -> bool {
    sluice_sets::read_list(bytes, ListFormat::SpamhausJson).is_ok()
}

/// Between replicas: the layout's number, to whom, and what.
pub fn replica_call(bytes: &[u8]) -> bool {
    static UNDERSTOOD: LazyLock<sluice_raft::Bytes> = LazyLock::new(|| answer_without_store(&WHO));
    answer_without_store(bytes) == *UNDERSTOOD
}

/// The shortest of these calls.
pub const WHO: [u8; 3] = [1, 0, 0];

pub fn server_message(bytes: &[u8]) -> bool {
    v1::ServerMessage::decode(bytes).is_ok()
}

pub fn agent_message(bytes: &[u8]) -> bool {
    v1::AgentMessage::decode(bytes).is_ok()
}

pub fn enrollment(bytes: &[u8]) -> bool {
    v1::EnrollRequest::decode(bytes).is_ok()
}

pub fn certificate(bytes: &[u8]) -> bool {
    Peer::from_der(bytes).is_ok()
}

pub fn certificate_request(bytes: &[u8]) -> bool {
    AUTHORITY.sign_node(bytes, &NODE, 0, *NOW, DAY).is_ok()
}

/// A signature, 64 bytes, and its signer's certificate.
pub fn seal(bytes: &[u8]) -> bool {
    let (signature, certificate) = bytes.split_at(bytes.len().min(64));
    let seal = Seal { certificate: certificate.to_vec(), signature: signature.to_vec() };
    TRUST.verify(&STATEMENT, &seal, *NOW).is_ok()
}

pub fn join_token(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| TOKENS.check(text, *NOW).is_ok())
}
