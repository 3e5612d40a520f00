//! Address sets and their shards on a real directory.
#![allow(clippy::unwrap_used, reason = "a helper's panic is the test's failure")]

use std::collections::BTreeMap;
use std::path::Path;

use ipnet::{IpNet, Ipv4Net};
use sluice_address_set::AddressSet;
use sluice_raft::{Bytes, ClassPlan, Command, KEPT_SET, Options, Raft, State, shard_key};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_moves_the_epoch_and_leaves_the_plan() {
    let dir = tempfile::tempdir().unwrap();
    let raft = open(dir.path()).await;
    let epoch = put(&raft, &[("bad", set(0..5_000))]).await;
    assert_eq!(put(&raft, &[("bad", set(0..5_000))]).await, epoch, "the same set");
    let before = raft.state().borrow().clone();
    assert!(put(&raft, &[("bad", set(0..5_001))]).await > epoch);
    let after = raft.state().borrow().clone();
    assert_eq!(before.classes, after.classes);
    let (_, plan) = after.plan_of("node-1").unwrap();
    let sets: Vec<_> = after.sets_of(plan).map(|(name, set)| (name, set.hash)).collect();
    assert_eq!(sets, [("bad", set(0..5_001).shards().0.hash())]);
    raft.shutdown().await;

    let raft = open(dir.path()).await;
    assert_eq!(*raft.state().borrow().clone(), *after, "read from the disk");
    raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_stay_as_long_as_a_set_is_made_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let raft = open(dir.path()).await;
    put(&raft, &[("bad", set(0..5_000)), ("worse", set(9_000..9_100))]).await;
    assert_eq!(rebuilt(&raft, "bad"), set(0..5_000));

    put(&raft, &[("bad", set(0..5_001))]).await;
    assert_eq!(rebuilt(&raft, "bad"), set(0..5_001));
    assert_eq!(shards(&raft.state().borrow()), set(0..5_001).shards().1.len());

    // Out of use, and kept: its shards must still be there when it comes back.
    let manifest = Bytes::from(set(0..5_001).shards().0.encode());
    let key = format!("{KEPT_SET}feed");
    raft.propose(Command::PutBlob { key: key.clone(), bytes: manifest }).await.unwrap();
    put(&raft, &[]).await;
    assert_eq!(shards(&raft.state().borrow()), set(0..5_001).shards().1.len());
    raft.propose(Command::RemoveBlob { key }).await.unwrap();
    put(&raft, &[]).await;
    assert_eq!(shards(&raft.state().borrow()), 0);
    raft.shutdown().await;

    let raft = open(dir.path()).await;
    assert_eq!(shards(&raft.state().borrow()), 0, "on disk neither");
    raft.shutdown().await;
}

/// Written by the version before address sets: a log entry with plans.
const FIRST: &[u8] = &[0, 1, 1, b'a', 1, b'p', 1, 6, b'n', b'o', b'd', b'e', b'-', b'1', 1, b'a', 0, 0];

#[test]
fn an_entry_without_sets_is_still_read() {
    let command: Command = postcard::from_bytes(FIRST).unwrap();
    let expected = Command::PutPlans {
        classes: [("a".into(), Bytes::from_static(b"p"))].into(),
        node_class: [("node-1".to_owned(), "a".into())].into(),
        rings: Bytes::new(),
        blobs: BTreeMap::new(),
    };
    assert_eq!(command, expected);
}

async fn open(dir: &Path) -> Raft {
    Raft::open(dir, Options::new(|reason| panic!("the store failed: {reason}"))).await.unwrap()
}

/// `192.0.0.0` and every other address after it.
fn set(range: std::ops::Range<u32>) -> AddressSet {
    let host = |i: u32| IpNet::from(Ipv4Net::new((0xc000_0000 + 2 * i).into(), 32).unwrap());
    range.map(host).collect()
}

async fn put(raft: &Raft, sets: &[(&str, AddressSet)]) -> sluice_plan::Epoch {
    let cut: Vec<_> = sets.iter().map(|(name, set)| ((*name).to_owned(), set.shards())).collect();
    let shards = cut.iter().flat_map(|(_, (_, shards))| shards);
    let blobs = shards.map(|shard| (shard_key(shard.hash), shard.bytes.clone())).collect();
    raft.propose(Command::PutBlobs { blobs }).await.unwrap();
    let names = cut.iter().map(|(name, _)| name.clone()).collect();
    let class = ClassPlan { plan: Bytes::from_static(b"plan"), sets: names };
    let command = Command::PutFleet {
        classes: [("a".into(), class)].into(),
        node_class: [("node-1".to_owned(), "a".into())].into(),
        rings: Bytes::new(),
        blobs: BTreeMap::new(),
        sets: cut.into_iter().map(|(name, (manifest, _))| (name, manifest.encode().into())).collect(),
    };
    raft.propose(command).await.unwrap().epoch
}

fn rebuilt(raft: &Raft, name: &str) -> AddressSet {
    let state = raft.state().borrow().clone();
    let manifest = sluice_address_set::Manifest::decode(&state.sets[name].bytes).unwrap();
    AddressSet::from_shards(&manifest, |hash| state.shard(hash).cloned()).unwrap()
}

fn shards(state: &State) -> usize {
    state.blobs.keys().filter(|key| key.starts_with("shard/")).count()
}
