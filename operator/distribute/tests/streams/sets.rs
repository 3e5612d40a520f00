//! Address sets on the wire.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use prost::Message;
use sluice_address_set::{AddressSet, Manifest};
use sluice_distribute::Limits;
use sluice_plan::Hash;
use sluice_proto::v1::agent_message::Kind as Said;
use sluice_proto::v1::server_message::Kind;
use sluice_proto::v1::{AgentMessage, ResourceVerdict, Update, VerdictStage, Verdicts, Want};
use sluice_raft::{Bytes, Plan, SetManifest, State, shard_key};

use super::agent::Stream;
use super::operator::{Operator, state};

/// Of a set with a million prefixes.
const ONE_PREFIX: usize = 64 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_prefix_added_to_a_million_costs_less_than_64_kib() {
    let mut nets: Vec<IpNet> = (0..1_000_000).map(net).collect();
    let before = AddressSet::collect(nets.clone());
    assert_eq!(before.len(), 1_000_000, "none of them collapse");
    nets.push("10.0.0.1/32".parse().unwrap());
    let after = AddressSet::collect(nets);
    let (push, states) = tokio::sync::watch::channel(with_set(1, &before));
    let operator = Operator::start(states, Limits::default()).await;
    let mut agent = Agent { stream: Stream::fresh(&operator, "edge-1").await, shards: BTreeMap::new() };

    let (set, first) = agent.follow().await;
    assert_eq!(set, before);
    assert!(first > 4_000_000, "{first} bytes for all of it");
    push.send_replace(with_set(2, &after));
    let (set, more) = agent.follow().await;
    assert_eq!(set, after);
    assert!(more < ONE_PREFIX, "{more} bytes for one prefix");
    println!("a million prefixes: {first} bytes; one more: {more} bytes");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_changed_while_its_shards_were_on_their_way_is_sent_as_it_was_offered() {
    let sets = [net, |i| net(i + 50_000)].map(|net| (0..10_000).map(net).collect::<AddressSet>());
    let (push, states) = tokio::sync::watch::channel(with_set(1, &sets[0]));
    let operator = Operator::start(states, Limits::default()).await;
    let mut agent = Agent { stream: Stream::fresh(&operator, "edge-1").await, shards: BTreeMap::new() };
    let update = agent.stream.update().await;
    push.send_replace(with_set(2, &sets[1]));
    assert_eq!(agent.complete(update).await.0, sets[0]);
    assert_eq!(agent.follow().await.0, sets[1]);
    operator.stop().await;
}

/// Does with sets what the real one does.
struct Agent {
    stream: Stream,
    shards: BTreeMap<Hash, Bytes>,
}

impl Agent {
    /// Takes the next update in; the set, and the bytes of all messages.
    async fn follow(&mut self) -> (AddressSet, usize) {
        let update = self.stream.update().await;
        self.complete(update).await
    }

    async fn complete(&mut self, update: Update) -> (AddressSet, usize) {
        let set = update.set.iter().find(|resource| resource.key == "set/bad").unwrap();
        let manifest = Manifest::decode(&set.bytes).unwrap();
        let missing = manifest.shards.iter().filter(|hash| !self.shards.contains_key(hash));
        let want = Want { nonce: update.nonce, hashes: missing.map(|hash| hash.0.to_vec()).collect() };
        let mut bytes = update.encoded_len() + want.encoded_len();
        self.say(Said::Want(want)).await;
        while !manifest.shards.iter().all(|hash| self.shards.contains_key(hash)) {
            let Some(Kind::Shards(shards)) = self.stream.hear().await.unwrap() else {
                panic!("shards were expected")
            };
            assert!(shards.encoded_len() <= 1 << 20);
            bytes += shards.encoded_len();
            let shards = shards.shards.into_iter();
            self.shards.extend(shards.map(|shard| (Hash::of(&shard.bytes), shard.bytes)));
        }
        let programmed = |key: &str, hash: Hash| ResourceVerdict {
            key: key.into(),
            hash: hash.0.to_vec(),
            stage: VerdictStage::Programmed.into(),
            ..Default::default()
        };
        let resources = vec![programmed("plan", Hash::of(b"plan")), programmed("set/bad", manifest.hash())];
        self.say(Said::Verdicts(Verdicts { nonce: update.nonce, epoch: update.epoch, resources })).await;
        let set = AddressSet::from_shards(&manifest, |hash| self.shards.get(&hash).cloned()).unwrap();
        (set, bytes)
    }

    async fn say(&self, kind: Said) {
        self.stream.say.send(AgentMessage { kind: Some(kind) }).await.unwrap();
    }
}

/// Prefixes of /24 to /32 that are neither neighbours nor overlap.
fn net(i: u32) -> IpNet {
    let at = 0x2000_0000 + (i << 10);
    Ipv4Net::new((at ^ (i & 0xff)).into(), 32 - (i % 9) as u8).unwrap().trunc().into()
}

fn with_set(index: u64, set: &AddressSet) -> Arc<State> {
    let (manifest, shards) = set.shards();
    let plain = state(index, "plan");
    let plan = Plan { sets: vec!["bad".into()], ..plain.classes[&"edge".into()].clone() };
    let shards = shards.into_iter().map(|shard| (shard_key(shard.hash), shard.bytes));
    let blobs = plain.blobs.iter().map(|(key, bytes)| (key.clone(), bytes.clone()));
    Arc::new(State {
        classes: Arc::new([("edge".into(), plan)].into()),
        sets: Arc::new([("bad".to_owned(), SetManifest::new(manifest.encode().into()))].into()),
        blobs: Arc::new(blobs.chain(shards).collect()),
        ..State::clone(&plain)
    })
}
