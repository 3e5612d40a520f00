//! What reads from the network, and what it reads when all is well.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use ipnet::IpNet;
use prost::Message;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rcgen::{CertificateParams, KeyPair};
use sluice_address_set::{AddressSet, Manifest};
use sluice_e2e::oracle::random_node;
use sluice_pki::{Authority, NodeName, Peer, Tokens};
use sluice_plan::{Epoch, Hash, NodePlan, Schema};
use sluice_policy::ListFormat;
use sluice_proto::v1;
use sluice_raft::{Command, answer_without_store};
use sluice_seal::{Seal, Statement};
use sluice_sets::read_list;

pub struct Target {
    pub name: &'static str,
    pub examples: Vec<Vec<u8>>,
    pub read: Read,
}

/// Whether it is taken.
type Read = Box<dyn Fn(&[u8]) -> bool>;

pub fn targets() -> Vec<Target> {
    let plain = [plan(), manifest(), shard(), list(ListFormat::Plain), list(ListFormat::SpamhausJson)];
    plain.into_iter().chain([calls()]).chain(messages()).chain(identities()).collect()
}

fn target(
    name: &'static str,
    examples: impl IntoIterator<Item = Vec<u8>>,
    read: impl Fn(&[u8]) -> bool + 'static,
) -> Target {
    Target { name, examples: examples.into_iter().collect(), read: Box::new(read) }
}

fn plan() -> Target {
    let node = |seed| random_node(&mut StdRng::seed_from_u64(seed)).unwrap();
    let encoded = |seed| Schema::ALL.map(|schema| node(seed).plan.encode_as(schema));
    target("plan", (0..8).flat_map(encoded), |bytes| {
        Schema::ALL.into_iter().any(|schema| NodePlan::decode(schema, bytes).is_ok())
    })
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
    target("manifest", manifests, |bytes| Manifest::decode(bytes).is_ok())
}

/// A set of one shard: how many prefixes of each family its manifest promises, and the shard.
fn shard() -> Target {
    let examples = [1, 30, 1_000].map(|size| {
        let (manifest, shards) = set(size).shards();
        let counts = [manifest.v4.to_le_bytes(), manifest.v6.to_le_bytes()].concat();
        [counts, shards[0].bytes.to_vec()].concat()
    });
    target("shard", examples, |bytes| {
        let Some((counts, shard)) = bytes.split_at_checked(8) else { return false };
        let count = |at: usize| u32::from_le_bytes(counts[at..at + 4].try_into().unwrap());
        let manifest = Manifest { shards: vec![Hash::of(shard)], v4: count(0), v6: count(4) };
        let manifest = Manifest::decode(&manifest.encode());
        manifest.is_ok_and(|manifest| AddressSet::from_shards(&manifest, |_| Some(shard)).is_ok())
    })
}

fn list(format: ListFormat) -> Target {
    let (name, text) = match format {
        ListFormat::Plain => {
            ("plain list", "# of today\n192.0.2.0/24 ; a net\n2001:db8::/32\n198.51.100.7\n")
        }
        ListFormat::SpamhausJson => (
            "spamhaus list",
            "{\"cidr\":\"192.0.2.0/24\",\"sblid\":\"SBL1\",\"rir\":\"x\"}\n{\"type\":\"metadata\",\"records\":1}\n",
        ),
    };
    target(name, [text.as_bytes().to_vec()], move |bytes| read_list(bytes, format).is_ok())
}

/// Between replicas: the layout's number, to whom, and what.
fn calls() -> Target {
    let put = Command::PutBlob { key: "key".into(), bytes: vec![7; 90].into() };
    let take = Command::TakeToken { number: [1; 16], by: Hash([2; 32]), until: 900, now: 0 };
    let decided = Command::Decided { term: 3, command: sluice_plan::encode(&put).into() };
    let propose = |command| [vec![1, 0, 5], sluice_plan::encode(&command)].concat();
    let who = vec![1, 0, 0];
    let is_understood = answer_without_store(&who);
    let examples = [who, propose(put), propose(take), propose(decided)];
    target("call of a replica", examples, move |bytes| answer_without_store(bytes) == is_understood)
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
        target("message to an agent", [to_agent.encode_to_vec()], |bytes| {
            v1::ServerMessage::decode(bytes).is_ok()
        }),
        target("message of an agent", [to_operator.encode_to_vec()], |bytes| {
            v1::AgentMessage::decode(bytes).is_ok()
        }),
        target("enrollment", [enroll.encode_to_vec()], |bytes| v1::EnrollRequest::decode(bytes).is_ok()),
    ]
}

fn identities() -> [Target; 4] {
    let now = SystemTime::now();
    let (authority, _) = Authority::generate(now).unwrap();
    let node = NodeName::parse("edge-1").unwrap();
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::new(["edge-1".into()]).unwrap().serialize_request(&key).unwrap();
    let request = request.der().to_vec();
    let day = Duration::from_secs(86_400);
    let certificate = authority.sign_node(&request, &node, 0, now, day).unwrap().chain.swap_remove(0);

    let statement = Statement {
        cluster_id: "store",
        node: "edge-1",
        epoch: Epoch { incarnation: 1, term: 2, index: 3 },
        fleet_hash: Hash([7; 32]),
        schema: Schema::NEWEST.number(),
    };
    let Seal { certificate: signers, signature } =
        authority.issue_signer("store", now).unwrap().seal(&statement);
    let seal = [signature, signers].concat();
    let trust = authority.trust().unwrap();

    let tokens = Tokens::new(&[7; 32]);
    let token = tokens.token(&node, now + day).into_bytes();
    [
        target("certificate", [certificate], |bytes| Peer::from_der(bytes).is_ok()),
        target("certificate request", [request], move |bytes| {
            authority.sign_node(bytes, &node, 0, now, day).is_ok()
        }),
        target("seal", [seal], move |bytes| {
            let (signature, certificate) = bytes.split_at(bytes.len().min(64));
            let seal = Seal { certificate: certificate.to_vec(), signature: signature.to_vec() };
            trust.verify(&statement, &seal, now).is_ok()
        }),
        target("join token", [token], move |bytes| {
            std::str::from_utf8(bytes).is_ok_and(|text| tokens.check(text, now).is_ok())
        }),
    ]
}
