//! Stores of versions before, as they were left on disk: see `tests/formats`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use flate2::read::GzDecoder;
use sluice_plan::Epoch;
use sluice_raft::{Bytes, Command, OpenError, Options, Raft, State};
use tokio::time::timeout;

use crate::fleet::{Fleet, PATIENCE, all_vote, has, leader, plan, text};

fn restore(store: &str, fleet: &Fleet, index: usize) {
    let from =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(store).join(index.to_string());
    let dir = fleet.dir(index);
    fs::create_dir_all(&dir).unwrap();
    fs::copy(from.join("identity.json"), dir.join("identity.json")).unwrap();
    let mut packed = GzDecoder::new(File::open(from.join("raft.redb.gz")).unwrap());
    io::copy(&mut packed, &mut File::create(dir.join("raft.redb")).unwrap()).unwrap();
}

/// What every fixture was left with: blobs 0 to 2 of four, each as it was written last.
fn is_as_it_was_left(state: &State, index: u64, last: [&str; 3]) {
    assert_eq!(state.epoch, Epoch { incarnation: 1, term: 1, index });
    let (class, plan) = state.plan_of("node-a").unwrap();
    assert_eq!((class.0.as_str(), plan.bytes.as_ref()), ("a", &b"kept"[..]));
    assert_eq!(
        state.sets_of(plan).map(|(name, set)| (name, &*set.bytes)).collect::<Vec<_>>(),
        [("bad", &b"manifest"[..])]
    );
    assert_eq!(state.rings, "rings");
    let last = last.map(|value| Bytes::copy_from_slice(value.as_bytes()));
    let expected: BTreeMap<String, Bytes> = (0..3).map(|n| format!("key-{n}")).zip(last).collect();
    let blobs = state.blobs.iter().filter(|(key, _)| key.starts_with("key-"));
    assert_eq!(blobs.map(|(key, value)| (key.clone(), value.clone())).collect::<BTreeMap<_, _>>(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_stores_of_the_version_before_go_on_and_are_restarted_one_by_one() {
    let fleet = Fleet::new(3);
    let mut rafts = Vec::new();
    for index in 0..3 {
        restore("three", &fleet, index);
        rafts.push(timeout(PATIENCE, fleet.start(index)).await.unwrap().unwrap());
        // From the disk, before there is a leader.
        is_as_it_was_left(&rafts[index].state().borrow(), 542, ["528", "529", "526"]);
    }
    all_vote(&rafts).await;
    let taken =
        Command::TakeToken { number: [7; 16], by: sluice_plan::Hash([1; 32]), until: 4_000_000_000, now: 2 };
    assert!(rafts[0].propose(taken).await.unwrap().void, "another took it under the version before");
    let mut before = Epoch::default();
    for index in 0..3 {
        fleet.stop(index, &rafts[index]).await;
        let rest: Vec<&Raft> =
            rafts.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, raft)| raft).collect();
        let (_, lead) = leader(&rest).await;
        let epoch = lead.propose(plan(&format!("without {index}"))).await.unwrap().epoch;
        assert!(epoch > before);
        before = epoch;
        rafts[index] = timeout(PATIENCE, fleet.start(index)).await.unwrap().unwrap();
        has(&rafts[index], epoch).await;
    }
    for raft in rafts {
        assert_eq!(text(&raft), "without 2");
        raft.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_the_one_replica_before_becomes_three() {
    let fleet = Fleet::new(3);
    restore("one", &fleet, 0);
    let mut rafts = vec![timeout(PATIENCE, fleet.start(0)).await.unwrap().unwrap()];
    is_as_it_was_left(&rafts[0].state().borrow(), 523, ["516", "517", "518"]);
    for index in 1..3 {
        rafts.push(timeout(PATIENCE, fleet.start(index)).await.unwrap().unwrap());
    }
    all_vote(&rafts).await;
    for raft in &rafts {
        is_as_it_was_left(&raft.state().borrow(), 523, ["516", "517", "518"]);
    }
    for raft in rafts {
        raft.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_a_later_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Raft::open(dir.path(), Options::new(|reason| panic!("{reason}")));
    open().await.unwrap().shutdown().await;
    let database = redb::Database::open(dir.path().join("raft.redb")).unwrap();
    let txn = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, &[u8]>::new("meta");
    txn.open_table(meta).unwrap().insert("format", &[2][..]).unwrap();
    txn.commit().unwrap();
    drop(database);
    let Err(error) = open().await else { panic!("opened") };
    assert!(matches!(error, OpenError::Later { .. }), "{error}");
    assert!(error.to_string().contains("its format is 2, this version reads 1"), "{error}");
}
