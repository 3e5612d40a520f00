//! Address sets: their shards come when they are asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use ipnet::{IpNet, Ipv4Net};
use sluice_address_set::{AddressSet, Shard};
use sluice_client::Held;
use sluice_plan::{Hash, fleet_hash};
use sluice_proto::v1::agent_message::Kind;
use sluice_proto::v1::server_message::Kind as Server;
use sluice_proto::v1::{self, VerdictStage};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::agent::Agent;
use crate::operator::{Operator, WITHIN};
use crate::{PLAN, epoch, update, verdicts};

#[tokio::test]
async fn only_what_is_not_on_the_shelf_is_asked_for() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let mut agent = Agent::start(dir.path(), &operator, Held::default(), Arc::default());
    let mut conversation = operator.conversation().await;
    let (with_set, shards) = with_set(1, set(0..9_000));
    assert!(shards.len() > 2);
    agent.shelf.shards.lock().expect("no panic").insert(shards[0].hash, shards[0].bytes.clone());

    conversation.update(with_set.clone()).await;
    let want = conversation.next(want).await;
    assert_eq!(want.nonce, 1);
    let mut missing: Vec<_> = shards[1..].iter().map(|shard| shard.hash.0.to_vec()).collect();
    missing.sort();
    assert_eq!(want.hashes, missing);
    for shard in &shards[1..] {
        assert!(agent.updates.try_recv().is_err(), "not before the last shard");
        conversation.send(message(std::slice::from_ref(shard))).await;
    }
    let update = agent.update().await;
    assert_eq!(update.set.len(), 2);
    let shelf = agent.shelf.shards.lock().expect("no panic").clone();
    assert!(shards.iter().all(|shard| shelf[&shard.hash] == shard.bytes));
}

#[tokio::test]
async fn a_stream_that_broke_is_gone_on_with_where_it_was() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let mut agent = Agent::start(dir.path(), &operator, Held::default(), Arc::default());
    let mut conversation = operator.conversation().await;
    let (with_set, shards) = with_set(1, set(0..9_000));
    conversation.update(with_set.clone()).await;
    assert_eq!(conversation.next(want).await.hashes.len(), shards.len());
    conversation.send(message(&shards[..1])).await;
    timeout(WITHIN, agent.shelf.filled.notified()).await.expect("a shard in time");
    drop(conversation);

    let mut conversation = operator.conversation().await;
    conversation.update(with_set).await;
    assert_eq!(conversation.next(want).await.hashes.len(), shards.len() - 1);
    conversation.send(message(&shards)).await;
    assert_eq!(agent.update().await.set.len(), 2);
}

/// Nobody has to edit anything for it.
#[tokio::test]
async fn what_found_no_room_is_asked_for_again_once_there_is_some() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let mut agent = Agent::start(dir.path(), &operator, Held::default(), Arc::default());
    agent.shelf.is_full.store(true, Ordering::Relaxed);
    let mut conversation = operator.conversation().await;
    let (with_set, shards) = with_set(1, set(0..9_000));
    conversation.update(with_set.clone()).await;
    conversation.next(want).await;
    conversation.send(message(&shards[..1])).await;
    let refused = conversation.next(verdicts).await;
    assert_eq!((refused.nonce, refused.resources[1].reason.as_str()), (1, "StateNotKept"));
    let beat = |kind| matches!(kind, Kind::Heartbeat(_)).then_some(());
    for _ in 0..2 {
        conversation.next(beat).await;
    }

    agent.shelf.is_full.store(false, Ordering::Relaxed);
    let mut conversation = operator.conversation().await;
    conversation.update(with_set).await;
    assert_eq!(conversation.next(want).await.hashes.len(), shards.len() - 1, "the first has its room");
    conversation.send(message(&shards)).await;
    assert_eq!(agent.update().await.set.len(), 2);
}

#[tokio::test]
async fn an_altered_shard_and_a_manifest_that_is_none_refuse_the_update() {
    let dir = TempDir::new().expect("a directory");
    let mut operator = Operator::start(dir.path()).await;
    let mut agent = Agent::start(dir.path(), &operator, Held::default(), Arc::default());
    let mut conversation = operator.conversation().await;
    let (with_set, shards) = with_set(1, set(0..100));
    conversation.update(with_set).await;
    conversation.next(want).await;
    let altered = Shard { hash: shards[0].hash, bytes: Bytes::from_static(b"x") };
    conversation.send(message(&[altered])).await;
    let refused = conversation.next(verdicts).await;
    assert_eq!((refused.nonce, refused.resources[1].reason.as_str()), (1, "HashMismatch"));
    assert!(agent.shelf.shards.lock().expect("no panic").is_empty());
    // A shard that nobody waits for any more.
    conversation.send(message(&shards)).await;

    let (mut nonsense, _) = self::with_set(2, set(0..100));
    nonsense.set[1] = resource(Bytes::from_static(b"nonsense"));
    nonsense.fleet_hash =
        fleet_hash([("plan", Hash::of(PLAN)), ("set/bad", Hash::of(b"nonsense"))]).0.to_vec();
    conversation.update(nonsense).await;
    let refused = conversation.next(verdicts).await;
    let set = &refused.resources[1];
    assert_eq!(
        (set.key.as_str(), set.stage(), set.reason.as_str()),
        ("set/bad", VerdictStage::Rejected, "InvalidSet")
    );
    assert!(agent.updates.try_recv().is_err());
}

fn set(range: std::ops::Range<u32>) -> AddressSet {
    let host = |i: u32| IpNet::from(Ipv4Net::new((0xc000_0000 + 2 * i).into(), 32).expect("a length"));
    range.map(host).collect()
}

/// The plan and the set `bad`.
fn with_set(nonce: u64, set: AddressSet) -> (v1::Update, Vec<Shard>) {
    let (manifest, shards) = set.shards();
    let plain = update(epoch(1), nonce);
    let fleet = fleet_hash([("plan", Hash::of(PLAN)), ("set/bad", manifest.hash())]);
    let set = vec![plain.set[0].clone(), resource(manifest.encode().into())];
    (v1::Update { set, fleet_hash: fleet.0.to_vec(), ..plain }, shards)
}

fn resource(bytes: Bytes) -> v1::Resource {
    v1::Resource { key: "set/bad".into(), hash: Hash::of(&bytes).0.to_vec(), bytes, schema: 0 }
}

fn message(shards: &[Shard]) -> Server {
    let shard = |shard: &Shard| v1::Shard { hash: shard.hash.0.to_vec(), bytes: shard.bytes.clone() };
    Server::Shards(v1::Shards { shards: shards.iter().map(shard).collect() })
}

fn want(kind: Kind) -> Option<v1::Want> {
    if let Kind::Want(want) = kind { Some(want) } else { None }
}
