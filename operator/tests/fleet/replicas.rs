//! Three whole operators in directory mode, and agents without a kernel: what they are sent and what is said of them while
//! operators come and go.

use std::time::Duration;

use sluice_client::LinkState;
use sluice_proto::v1::Capabilities;
use tokio::time::{Instant, timeout};

use crate::agent::Agent;
use crate::operator::PATIENCE;
use crate::trio::Trio;

const CAPABILITIES: Capabilities =
    Capabilities { kernel: String::new(), tcx: true, entries: 10_240, set_prefixes: 1 << 22, successors: 0 };

fn filter(port: u16) -> String {
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: edge}}\nspec:\n  \
         interfaces: {{names: [eth0]}}\n  \
         rules: [{{name: bad, action: Drop, match: {{protocols: [UDP], destinationPorts: [\"{port}\"]}}}}]\n"
    )
}

async fn has(agent: &mut Agent, generation: i64) {
    let wanted = vec![("edge".to_owned(), generation)];
    let seen = timeout(PATIENCE, agent.filters.wait_for(|filters| *filters == wanted)).await;
    assert!(seen.is_ok(), "generation {generation}");
}

/// Agents that know one replica first each, so that every replica serves one.
fn agents(trio: &Trio) -> Vec<Agent> {
    let start = |index: usize| {
        Agent::start(&format!("edge-{index}"), trio.address(index), trio.data(0).as_path(), CAPABILITIES)
    };
    (0..3).map(start).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_serves_and_one_decides() {
    let trio = Trio::start().await;
    trio.save(&filter(1));
    let mut agents = agents(&trio);
    for generation in 1..4 {
        if generation > 1 {
            trio.save(&filter(generation as u16));
        }
        for agent in &mut agents {
            has(agent, generation).await;
        }
        // Whichever is asked.
        for index in 0..3 {
            trio.says(index, &format!("3 of 3 nodes enforce generation {generation}")).await;
        }
    }
    let deciding = trio.metrics_of_all("sluice_nodes 3").await;
    assert_eq!(deciding, 1, "one replica tells of the fleet");
    trio.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_replica_dies_is_on_another_within_three_seconds_and_is_sent_nothing_again() {
    let mut trio = Trio::start().await;
    trio.save(&filter(1));
    let all = trio.addresses();
    let mut agent = Agent::start("edge-1", all, trio.data(0).as_path(), CAPABILITIES);
    has(&mut agent, 1).await;
    trio.says(0, "1 of 1 nodes enforce generation 1").await;
    agent.filters.mark_unchanged();
    for _ in 0..3 {
        let LinkState::Connected(dies) = *agent.link.borrow_and_update() else { panic!("not connected") };
        let dies = trio.at(dies);
        trio.kill(dies).await;
        let died = Instant::now();
        let other = |link: &LinkState| matches!(link, LinkState::Connected(at) if trio.at(*at) != dies);
        timeout(PATIENCE, agent.link.wait_for(other)).await.unwrap().unwrap();
        let took = died.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        let stays = (dies + 1) % 3;
        trio.says(stays, "1 of 1 nodes enforce generation 1").await;
        println!("connected to another after {took:?}, known to all after {:?}", died.elapsed());
        assert!(!agent.filters.has_changed().unwrap(), "no plan came again");
        trio.revive(dies).await;
    }
    trio.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_after_the_deciding_replica_died_is_decided_within_four_seconds() {
    let mut trio = Trio::start().await;
    trio.save(&filter(1));
    let mut agent = Agent::start("edge-1", trio.addresses(), trio.data(0).as_path(), CAPABILITIES);
    has(&mut agent, 1).await;
    let leader = trio.deciding().await;
    trio.kill(leader).await;
    let died = Instant::now();
    trio.save(&filter(2));
    has(&mut agent, 2).await;
    let took = died.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    trio.says((leader + 1) % 3, "1 of 1 nodes enforce generation 2").await;
    trio.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_that_is_left_goes_on_when_it_is_told_that_the_others_are_lost() {
    let mut trio = Trio::start().await;
    trio.save(&filter(1));
    let mut agent = Agent::start("edge-1", trio.addresses(), trio.data(0).as_path(), CAPABILITIES);
    has(&mut agent, 1).await;
    trio.says(1, "1 of 1 nodes enforce generation 1").await;
    for lost in [0, 2] {
        trio.kill(lost).await;
        trio.lose_disk(lost);
    }
    trio.probed(1, "HTTP/1.1 503", "no replica decides").await;
    trio.save(&filter(2));
    trio.go_on_alone(1).await;
    has(&mut agent, 2).await;
    trio.probed(1, "HTTP/1.1 200", "ok").await;
    for lost in [0, 2] {
        trio.revive(lost).await;
        trio.says(lost, "1 of 1 nodes enforce generation 2").await;
    }
    trio.end().await;
}

/// Whoever looks at files finds those of the one that decides, and none that were true once.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_decides_no_more_leaves_no_status() {
    let mut trio = Trio::start().await;
    trio.save(&filter(7));
    let first = trio.deciding().await;
    let others: Vec<usize> = (0..3).filter(|index| *index != first).collect();
    status_is_there(&trio, first, true).await;
    // It is cut off, and knows it within a second.
    for other in &others {
        trio.kill(*other).await;
    }
    status_is_there(&trio, first, false).await;
    for other in &others {
        trio.revive(*other).await;
    }
    let second = trio.deciding().await;
    status_is_there(&trio, second, true).await;
    // It ends without a chance to clean up.
    trio.kill(second).await;
    let third = trio.deciding().await;
    assert_ne!(third, second);
    status_is_there(&trio, third, true).await;
    status_is_there(&trio, second, true).await;
    trio.revive(second).await;
    status_is_there(&trio, second, false).await;
    trio.end().await;
}

async fn status_is_there(trio: &Trio, index: usize, wanted: bool) {
    let file = trio.data(index).join("status/xdpfilter-edge.yaml");
    let until = Instant::now() + PATIENCE;
    while file.exists() != wanted {
        assert!(Instant::now() < until, "replica {index}: {} is there: {}", file.display(), !wanted);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
