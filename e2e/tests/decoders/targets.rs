//! What reads from the network, and what it reads when all is well.

use std::collections::HashMap;

use ipnet::IpNet;
use prost::Message;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rcgen::{CertificateParams, KeyPair};
use sluice_address_set::AddressSet;
use sluice_e2e::oracle::random_node;
use sluice_plan::{Hash, Schema};
use sluice_proto::v1;
use sluice_raft::Command;
use sluice_seal::Seal;

use crate::readers::{self, AUTHORITY, DAY, NODE, NOW, STATEMENT, TOKENS, WHO};

pub struct Target {
    /// Of its fuzz target, too.
    pub name: &'static str,
    pub examples: Vec<Vec<u8>>,
    pub read: Read,
}

/// Whether it is taken.
type Read = fn(&[u8]) -> bool;

pub fn targets() -> Vec<Target> {
    let plain = [plan(), manifest(), shard(), calls()];
    plain.into_iter().chain(lists()).chain(messages()).chain(identities()).collect()
}

fn target(name: &'static str, examples: impl IntoIterator<Item = Vec<u8>>, read: Read) -> Target {
    Target { name, examples: examples.into_iter().collect(), read }
}

fn plan() -> Target {
    let node = |seed| random_node(&mut StdRng::seed_from_u64(seed)).unwrap();
    let encoded = |seed| Schema::ALL.map(|schema| node(seed).plan.encode_as(schema));
    target("plan", (0..8).flat_map(encoded), readers::plan)
}

fn set(size: u32) -> AddressSet {
    let net = |i: u32| -> IpNet {
        match i % 3 {
            0 => format!("2001:db8:{:x}::/{}", i, 48 + i % 64).parse::<IpNet>().unwrap().trunc(),
            _ => format!("10.{}.{}.{}/32", i >> 16, (i >> 8) & 255, i & 255).parse().unwrap(),
        }
    };
    (0..size).map(|i| net(i * 7)).collect()
}

fn manifest() -> Target {
    let manifests = [0, 1, 9_000].map(|size| set(size).shards().0.encode());
    target("manifest", manifests, readers::manifest)
}

/// A set of one shard: how many prefixes of each family its manifest promises, and the shard.
fn shard() -> Target {
    let examples = [1, 30, 1_000].map(|size| {
        let (manifest, shards) = set(size).shards();
        let counts = [manifest.v4.to_le_bytes(), manifest.v6.to_le_bytes()].concat();
        [counts, shards[0].bytes.to_vec()].concat()
    });
    target("shard", examples, readers::shard)
}

fn lists() -> [Target; 2] {
    let plain = "# of today\n192.0.2.0/24 ; a net\n2001:db8::/32\n198.51.100.7\n";
    let json = "{\"cidr\":\"192.0.2.0/24\",\"sblid\":\"SBL1\",\"rir\":\"x\"}\n{\"type\":\"metadata\",\"records\":1}\n";
    [
        target("plain_list", [plain.into()], readers::plain_list),
        target("spamhaus_list", [json.into()], readers::spamhaus_list),
    ]
}

/// Between replicas: the layout's number, to whom, and what.
fn calls() -> Target {
    let put = Command::PutBlob { key: "key".into(), bytes: vec![7; 90].into() };
    let take = Command::TakeToken { number: [1; 16], by: Hash([2; 32]), until: 900, now: 0 };
    let decided = Command::Decided { term: 3, command: sluice_plan::encode(&put).into() };
    let propose = |command| [vec![1, 0, 5], sluice_plan::encode(&command)].concat();
    let examples = [WHO.to_vec(), propose(put), propose(take), propose(decided)];
    target("replica_call", examples, readers::replica_call)
}

fn messages() -> [Target; 3] {
    let resource =
        v1::Resource { key: "plan".into(), hash: vec![7; 32], bytes: vec![1; 300].into(), schema: 2 };
    let update = v1::Update {
        epoch: Some(v1::Epoch { incarnation: 1, term: 2, index: 3 }),
        set: vec![resource; 3],
        removed: vec!["set/bad".into()],
        fleet_hash: vec![7; 32],
        signature: vec![9; 64],
        ..v1::Update::default()
    };
    let to_agent = v1::ServerMessage { kind: Some(v1::server_message::Kind::Update(update)) };
    let nic = v1::Nic { name: "eth0".into(), xdp_features: vec!["basic".into(); 3], ..v1::Nic::default() };
    let facts = v1::NodeFacts { nics: vec![nic; 4], ..v1::NodeFacts::default() };
    let have = HashMap::from([("plan".to_owned(), vec![7; 32])]);
    let hello = v1::Hello { node: "edge-1".into(), facts: Some(facts), have, ..v1::Hello::default() };
    let to_operator = v1::AgentMessage { kind: Some(v1::agent_message::Kind::Hello(hello)) };
    let enroll = v1::EnrollRequest { token: "edge-1.00".into(), csr: vec![3; 200] };
    [
        target("server_message", [to_agent.encode_to_vec()], readers::server_message),
        target("agent_message", [to_operator.encode_to_vec()], readers::agent_message),
        target("enrollment", [enroll.encode_to_vec()], readers::enrollment),
    ]
}

fn identities() -> [Target; 4] {
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::new(["edge-1".into()]).unwrap().serialize_request(&key).unwrap();
    let request = request.der().to_vec();
    let certificate = AUTHORITY.sign_node(&request, &NODE, 0, *NOW, DAY).unwrap().chain.swap_remove(0);
    let Seal { certificate: signers, signature } =
        AUTHORITY.issue_signer(STATEMENT.cluster_id, *NOW).unwrap().seal(&STATEMENT);
    let seal = [signature, signers].concat();
    let token = TOKENS.token(&NODE, *NOW + DAY).into_bytes();
    [
        target("certificate", [certificate], readers::certificate),
        target("certificate_request", [request], readers::certificate_request),
        target("seal", [seal], readers::seal),
        target("join_token", [token], readers::join_token),
    ]
}
