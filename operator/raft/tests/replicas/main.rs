//! Three replicas: what its users know to go wrong with raft, each by name.
#![allow(clippy::unwrap_used, reason = "a helper's panic is the test's failure")]

mod alone;
mod fleet;
mod formats;

use std::time::Duration;

use fleet::{Fleet, PATIENCE, all_vote, has, ids, leader, plan, text};
use sluice_raft::{ProposeError, Raft};
use tokio::time::{Instant, sleep, timeout};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_found_one_cluster_and_serve_the_same_epoch() {
    let (_fleet, rafts) = Fleet::founded(3).await;
    assert_eq!(ids(&rafts).len(), 3, "each has an id of its own");
    let clusters: std::collections::BTreeSet<_> =
        rafts.iter().map(|raft| fleet::cluster(raft.identity())).collect();
    assert_eq!(clusters.len(), 1);
    // Asked on any of them.
    for (index, raft) in rafts.iter().enumerate() {
        let applied = raft.propose(plan(&format!("plan {index}"))).await.unwrap();
        for other in &rafts {
            has(other, applied.epoch).await;
            assert_eq!(text(other), format!("plan {index}"));
        }
    }
    shut(rafts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_leader_is_followed_within_four_seconds_and_nothing_is_lost() {
    let (fleet, rafts) = Fleet::founded(3).await;
    let (dead, lead) = leader(&all(&rafts)).await;
    let before = lead.propose(plan("before")).await.unwrap().epoch;
    fleet.stop(dead, &rafts[dead]).await;
    let died = Instant::now();
    let rest: Vec<&Raft> = others(&rafts, dead);
    let (_, next) = leader(&rest).await;
    let after = next.propose(plan("after")).await.unwrap().epoch;
    let took = died.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(after > before, "{after} after {before}");
    assert!(next.term() > lead.term());

    // Back from its own disk, under its own name.
    let again = timeout(PATIENCE, fleet.start(dead)).await.unwrap().unwrap();
    assert_eq!(again.identity(), rafts[dead].identity());
    has(&again, after).await;
    again.shutdown().await;
    for raft in rest {
        raft.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lost_its_disk_comes_back_under_an_id_that_nobody_ever_had() {
    let (fleet, mut rafts) = Fleet::founded(3).await;
    let before = rafts[0].propose(plan("kept")).await.unwrap().epoch;
    // The founder too: it must not found another cluster.
    for lost in [2, 0] {
        let (had, old) = (ids(&rafts), rafts[lost].identity().clone());
        fleet.stop(lost, &rafts[lost]).await;
        fleet.lose_disk(lost);
        rafts[lost] = timeout(PATIENCE, fleet.start(lost)).await.unwrap().unwrap();
        let new = rafts[lost].identity().clone();
        assert_eq!(new.cluster_id, old.cluster_id);
        assert!(had.iter().all(|id| *id < new.node_id), "{new} is new beside {had:?}");
        has(&rafts[lost], before).await;
        // The one that it was before has no vote any more.
        all_vote(&rafts).await;
    }
    shut(rafts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_nobody_reaches_may_not_decide() {
    let (fleet, rafts) = Fleet::founded(3).await;
    let (alone, lead) = leader(&all(&rafts)).await;
    lead.propose(plan("before")).await.unwrap();
    fleet.cut(alone);
    timeout(PATIENCE, lead.ended()).await.unwrap();
    // The consensus says so a moment after the clock did.
    let noticed = async {
        while rafts[alone].is_leader() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, noticed).await.unwrap();
    let rest = others(&rafts, alone);
    let (_, next) = leader(&rest).await;
    let decided = next.propose(plan("by the others")).await.unwrap().epoch;
    // It waits for a quorum while it is alone, and finds out that it was overtaken.
    let late = tokio::spawn(async move { lead.propose(plan("by the one alone")).await });
    sleep(Duration::from_millis(300)).await;
    fleet.heal();
    let late = timeout(PATIENCE, late).await.unwrap().unwrap();
    assert!(matches!(late, Err(ProposeError::Overtaken)), "{late:?}");
    has(&rafts[alone], decided).await;
    assert_eq!(text(&rafts[alone]), "by the others");
    shut(rafts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_leader_decides_only_once_a_quorum_has_answered() {
    let (fleet, rafts) = Fleet::founded(3).await;
    let (first, lead) = leader(&all(&rafts)).await;
    let before = lead.propose(plan("before")).await.unwrap().epoch;
    for (index, raft) in rafts.iter().enumerate() {
        fleet.stop(index, raft).await;
    }
    let alone = timeout(PATIENCE, fleet.start(first)).await.unwrap().unwrap();
    assert_eq!(alone.state().borrow().epoch, before, "served at once, from the disk");
    assert!(timeout(Duration::from_secs(3), alone.lead()).await.is_err(), "nobody confirmed it");
    let second = timeout(PATIENCE, fleet.start((first + 1) % 3)).await.unwrap().unwrap();
    let (_, lead) = leader(&[&alone, &second]).await;
    assert!(lead.propose(plan("after")).await.unwrap().epoch > before);
    shut(vec![alone, second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_for_another_replica_changes_nothing() {
    let (fleet, rafts) = Fleet::founded(3).await;
    let (leads, lead) = leader(&all(&rafts)).await;
    let before = lead.propose(plan("before")).await.unwrap().epoch;
    for raft in &rafts {
        has(raft, before).await;
    }
    // Pods take over each other's addresses.
    let (a, b) = ((leads + 1) % 3, (leads + 2) % 3);
    fleet.swap(a, b);
    timeout(PATIENCE, lead.ended()).await.unwrap();
    assert_eq!(text(&rafts[a]), "before");
    fleet.swap(a, b);
    let applied = rafts[leads].propose(plan("after")).await.unwrap();
    for raft in &rafts {
        has(raft, applied.epoch).await;
    }
    shut(rafts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_is_for_the_leader_of_this_cluster_and_for_nobody_at_its_address() {
    let (fleet, rafts) = Fleet::founded(3).await;
    let (leads, lead) = leader(&all(&rafts)).await;
    lead.propose(plan("before")).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let stranger =
        Raft::open(dir.path(), sluice_raft::Options::new(|reason| panic!("{reason}"))).await.unwrap();
    stranger.lead().await.unwrap();
    fleet.take_over(leads, &stranger);
    let asked = timeout(PATIENCE, rafts[(leads + 1) % 3].propose(plan("ours"))).await.unwrap();
    assert!(matches!(asked, Err(ProposeError::NoLeader(_))), "{asked:?}");
    assert_eq!(text(&stranger), "");
    stranger.shutdown().await;
    shut(rafts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_longer_than_a_heartbeat_arrives_all_the_same() {
    let (fleet, rafts) = Fleet::founded(3).await;
    let (_, lead) = leader(&all(&rafts)).await;
    // Above the time that openraft gives a call, below the leader's lease.
    fleet.delay(Duration::from_millis(450));
    let applied = timeout(PATIENCE, lead.propose(plan("slow"))).await.unwrap().unwrap();
    fleet.delay(Duration::ZERO);
    for raft in &rafts {
        has(raft, applied.epoch).await;
    }
    shut(rafts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_away_for_long_catches_up_by_a_snapshot_that_leaves_no_old_key() {
    let (fleet, mut rafts) = Fleet::founded(3).await;
    let (leads, lead) = leader(&all(&rafts)).await;
    let away = (leads + 1) % 3;
    let key = |key: &str| sluice_raft::Command::PutBlob { key: key.to_owned(), bytes: "x".into() };
    lead.propose(key("old")).await.unwrap();
    fleet.stop(away, &rafts[away]).await;
    lead.propose(sluice_raft::Command::RemoveBlob { key: "old".to_owned() }).await.unwrap();
    let big = "x".repeat(1 << 20);
    let mut epoch = sluice_plan::Epoch::default();
    for round in 0..40 {
        epoch = lead.propose(plan(&format!("{round} {big}"))).await.unwrap().epoch;
    }
    rafts[away] = timeout(PATIENCE, fleet.start(away)).await.unwrap().unwrap();
    has(&rafts[away], epoch).await;
    let (caught_up, leads) = (rafts[away].state().borrow().clone(), rafts[leads].state().borrow().clone());
    assert_eq!(caught_up, leads);
    assert!(!caught_up.blobs.contains_key("old"));
    shut(rafts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_founds_a_cluster_beside_replicas_that_cannot_be_asked() {
    let fleet = Fleet::new(3);
    let founder = fleet.start(0);
    sleep(Duration::from_millis(700)).await;
    assert!(!founder.is_finished(), "two others may have a store");
    let second = fleet.start(1);
    sleep(Duration::from_millis(700)).await;
    assert!(!founder.is_finished() && !second.is_finished(), "one other may have a store");
    let third = fleet.start(2);
    let mut rafts = Vec::new();
    for started in [founder, second, third] {
        rafts.push(timeout(PATIENCE, started).await.unwrap().unwrap());
    }
    all_vote(&rafts).await;
    shut(rafts).await;
}

fn all(rafts: &[Raft]) -> Vec<&Raft> {
    rafts.iter().collect()
}

fn others(rafts: &[Raft], without: usize) -> Vec<&Raft> {
    rafts.iter().enumerate().filter(|(index, _)| *index != without).map(|(_, raft)| raft).collect()
}

async fn shut(rafts: Vec<Raft>) {
    for raft in rafts {
        raft.shutdown().await;
    }
}
