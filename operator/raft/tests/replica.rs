//! A replica on a real directory.
#![allow(clippy::unwrap_used, reason = "a helper's panic is the test's failure")]

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use sluice_plan::Epoch;
use sluice_raft::{Bytes, Command, OpenError, Options, Raft, State};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_serves_the_same_epoch_before_there_is_a_leader() {
    let dir = tempfile::tempdir().unwrap();
    let raft = open(dir.path()).await;
    let applied = raft.propose(plans(&[("a", "plan a"), ("b", "plan b")])).await.unwrap();
    raft.propose(blob("health", "ok")).await.unwrap();
    let before = raft.state().borrow().clone();
    raft.shutdown().await;

    let raft = open(dir.path()).await;
    let after = raft.state().borrow().clone();
    assert_eq!(after, before);
    assert_eq!(after.epoch, applied.epoch);
    assert_eq!(after.plan_of("node-a").unwrap().1.bytes, "plan a");
    raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_agreed_on_is_for_nobody_else_to_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("raft.redb");
    let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    open(dir.path()).await.shutdown().await;
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    open(dir.path()).await.shutdown().await;
    assert_eq!(mode(), 0o600, "a file of an earlier version");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn epochs_grow_with_the_plans_and_only_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let raft = open(dir.path()).await;
    let first = raft.propose(plans(&[("a", "one")])).await.unwrap().epoch;
    assert_eq!(first.incarnation, 1);
    assert_eq!(raft.propose(plans(&[("a", "one")])).await.unwrap().epoch, first, "the same plans");
    assert_eq!(raft.propose(blob("health", "ok")).await.unwrap().epoch, first, "not a plan");
    let second = raft.propose(plans(&[("a", "two")])).await.unwrap().epoch;
    assert!(second > first, "{second} after {first}");
    raft.shutdown().await;

    let raft = open(dir.path()).await;
    assert_eq!(
        raft.propose(plans(&[("a", "two")])).await.unwrap().epoch,
        second,
        "compiled anew after a restart"
    );
    assert!(raft.is_leader());
    raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_command_leaves_out_is_gone_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let raft = open(dir.path()).await;
    raft.propose(plans(&[("a", "one"), ("b", "one")])).await.unwrap();
    raft.propose(blob("old", "x")).await.unwrap();
    raft.propose(plans(&[("b", "two")])).await.unwrap();
    raft.propose(Command::RemoveBlob { key: "old".into() }).await.unwrap();
    raft.shutdown().await;

    let raft = open(dir.path()).await;
    let state = raft.state().borrow().clone();
    assert!(state.plan_of("node-a").is_none());
    assert_eq!(state.classes.len(), 1);
    assert!(state.blobs.is_empty());
    raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_log_is_noticed_and_recovered_above_what_was_seen() {
    let dir = tempfile::tempdir().unwrap();
    let raft = open(dir.path()).await;
    let lost = raft.propose(plans(&[("a", "one")])).await.unwrap().epoch;
    let old = raft.identity().clone();
    raft.shutdown().await;
    std::fs::remove_file(dir.path().join("raft.redb")).unwrap();

    let refused = Raft::open(dir.path(), options()).await.map(|_| ()).unwrap_err();
    assert!(
        matches!(&refused, OpenError::LogLost { cluster_id, .. } if *cluster_id == old.cluster_id),
        "{refused}"
    );
    let raft = Raft::recover(dir.path(), lost.incarnation, options()).await.unwrap();
    assert_ne!(raft.identity().cluster_id, old.cluster_id);
    let epoch = raft.propose(plans(&[("a", "one")])).await.unwrap().epoch;
    assert_eq!(epoch.incarnation, lost.incarnation + 1);
    assert!(epoch > lost);
    raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_store_that_was_started_on_an_empty_volume_is_raised_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let raft = open(dir.path()).await;
    raft.propose(plans(&[("a", "one")])).await.unwrap();
    let identity = raft.identity().clone();
    raft.shutdown().await;
    for (seen, incarnation) in [(7, 8), (3, 9)] {
        let raft = Raft::recover(dir.path(), seen, options()).await.unwrap();
        let state = raft.state().borrow().clone();
        assert_eq!(state.epoch.incarnation, incarnation, "never lowered");
        assert_eq!(state.plan_of("node-a").unwrap().1.bytes, "one", "the plans stay");
        assert_eq!(*raft.identity(), identity);
        raft.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_has_one_operator_and_one_identity() {
    let dir = tempfile::tempdir().unwrap();
    let raft = open(dir.path()).await;
    let refused = Raft::open(dir.path(), options()).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    let identity = raft.identity().clone();
    raft.shutdown().await;

    let file = dir.path().join("identity.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&identity.cluster_id, "0123")).unwrap();
    let refused = Raft::open(dir.path(), options()).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, OpenError::ForeignIdentity { .. }), "{refused}");

    std::fs::remove_file(&file).unwrap();
    let raft = open(dir.path()).await;
    assert_eq!(*raft.identity(), identity, "read back from the log");
    raft.shutdown().await;
    assert!(file.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_log_is_cut_and_the_state_survives_it() {
    let dir = tempfile::tempdir().unwrap();
    let raft = open(dir.path()).await;
    let big = "x".repeat(1 << 20);
    for round in 0..40 {
        raft.propose(plans(&[("a", &format!("{round} {big}"))])).await.unwrap();
    }
    let before = raft.state().borrow().clone();
    raft.shutdown().await;
    let bytes = std::fs::metadata(dir.path().join("raft.redb")).unwrap().len();
    assert!(bytes < 160 << 20, "{bytes} bytes for a state of one megabyte");

    let raft = open(dir.path()).await;
    assert_eq!(*raft.state().borrow(), before);
    raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_are_woken_by_every_change_and_by_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let raft = open(dir.path()).await;
    let mut state = raft.state();
    let epoch = raft.propose(plans(&[("a", "one")])).await.unwrap().epoch;
    let seen: Epoch = state.wait_for(|state: &Arc<State>| state.epoch == epoch).await.unwrap().epoch;
    assert_eq!(seen, epoch);
    raft.propose(plans(&[("a", "one")])).await.unwrap();
    assert!(!state.has_changed().unwrap());
    raft.shutdown().await;
}

async fn open(dir: &Path) -> Raft {
    Raft::open(dir, options()).await.unwrap()
}

fn options() -> Options {
    Options::new(|reason| panic!("the store failed: {reason}"))
}

/// One node per class, `node-CLASS`.
fn plans(classes: &[(&str, &str)]) -> Command {
    Command::PutPlans {
        classes: classes
            .iter()
            .map(|(key, plan)| ((*key).into(), Bytes::copy_from_slice(plan.as_bytes())))
            .collect(),
        node_class: classes
            .iter()
            .map(|(key, _)| (format!("node-{key}"), (*key).into()))
            .collect::<BTreeMap<_, _>>(),
        rings: Bytes::new(),
        blobs: BTreeMap::new(),
    }
}

fn blob(key: &str, text: &str) -> Command {
    Command::PutBlob { key: key.into(), bytes: Bytes::copy_from_slice(text.as_bytes()) }
}
