//! What is left of three goes on alone, when it is told that the others are lost.

use sluice_raft::{NotAlone, go_on_alone};
use tokio::time::timeout;

use crate::fleet::{Fleet, PATIENCE, all_vote, has, leader, plan, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_outlived_the_others_goes_on_above_their_epochs_and_they_join_it_anew() {
    let (fleet, mut rafts) = Fleet::founded(3).await;
    let (leads, lead) = leader(&rafts.iter().collect::<Vec<_>>()).await;
    let before = lead.propose(plan("before")).await.unwrap().epoch;
    let left = (leads + 1) % 3;
    has(&rafts[left], before).await;
    let others: Vec<usize> = (0..3).filter(|index| *index != left).collect();
    for lost in &others {
        fleet.stop(*lost, &rafts[*lost]).await;
        fleet.lose_disk(*lost);
    }
    let former = rafts[left].identity().clone();
    go_on_alone(&fleet.dir(left), &former).unwrap();
    fleet.stop(left, &rafts[left]).await;

    rafts[left] = timeout(PATIENCE, fleet.start(left)).await.unwrap().unwrap();
    assert_ne!(rafts[left].identity().cluster_id, former.cluster_id);
    assert_eq!(text(&rafts[left]), "before", "with all that it had");
    let (_, lead) = leader(&[&rafts[left]]).await;
    let after = lead.propose(plan("after")).await.unwrap().epoch;
    assert!(after.incarnation > before.incarnation, "{after} after {before}");
    for lost in &others {
        rafts[*lost] = timeout(PATIENCE, fleet.start(*lost)).await.unwrap().unwrap();
        has(&rafts[*lost], after).await;
    }
    all_vote(&rafts).await;
    // What was done is not done again.
    let identity = rafts[left].identity().clone();
    fleet.stop(left, &rafts[left]).await;
    rafts[left] = timeout(PATIENCE, fleet.start(left)).await.unwrap().unwrap();
    assert_eq!(*rafts[left].identity(), identity);
    for raft in rafts {
        raft.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_goes_on_alone_beside_others_that_are_there() {
    let (fleet, rafts) = Fleet::founded(3).await;
    let address = Fleet::address;
    let (leads, lead) = leader(&rafts.iter().collect::<Vec<_>>()).await;
    let (a, b) = ((leads + 1) % 3, (leads + 2) % 3);
    let lost = [address(leads), address(b)];
    let led = rafts[a].stands_alone(&lost).await;
    assert!(matches!(&led, Err(NotAlone::Led(by)) if *by == address(leads)), "{led:?}");
    let unnamed = rafts[a].stands_alone(&lost[..1]).await;
    assert!(matches!(unnamed, Err(NotAlone::OtherNames { .. })), "{unnamed:?}");
    drop(lead);

    fleet.stop(leads, &rafts[leads]).await;
    // Cut off from each other they cannot elect; one that answers is no lost one.
    fleet.stop(b, &rafts[b]).await;
    let gone = async {
        while rafts[a].leader_address().is_some() {
            rafts[a].leader_changed().await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
    let alone = rafts[a].stands_alone(&lost).await;
    assert!(alone.is_ok(), "{alone:?}");
    let back = timeout(PATIENCE, fleet.start(b)).await.unwrap().unwrap();
    let there = rafts[a].stands_alone(&lost).await;
    assert!(matches!(there, Err(NotAlone::There { .. } | NotAlone::Led(_))), "{there:?}");
    back.shutdown().await;
    rafts[a].shutdown().await;
}
