//! Checks against real sockets on the loopback.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use sluice_health::{Check, Health, watch};
use tokio::net::TcpListener;
use tokio::sync::watch as channel;
use tokio::time::timeout;

fn check(target: SocketAddr) -> Check {
    let (interval, wait) = (Duration::from_millis(20), Duration::from_millis(500));
    Check { policy: "u".into(), target, interval, timeout: wait, rise: 2, fall: 3 }
}

async fn until(
    found: &mut channel::Receiver<Vec<Health>>,
    wanted: impl FnMut(&Vec<Health>) -> bool,
) -> Vec<Health> {
    let seen = timeout(Duration::from_secs(20), found.wait_for(wanted)).await;
    seen.expect("in time").expect("the checks run").clone()
}

#[tokio::test]
async fn a_backend_that_ends_is_found_out_and_found_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (wanted, checks) = channel::channel(BTreeSet::from([check(address)]));
    let (sender, mut found) = channel::channel(Vec::new());
    let running = tokio::spawn(watch(checks, sender));

    let up = until(&mut found, |found| found.iter().any(|health| health.healthy)).await;
    assert_eq!((up[0].policy.as_str(), up[0].address), ("u", address.ip()));
    drop(listener);
    let down = until(&mut found, |found| found.iter().any(|health| !health.healthy)).await;
    assert!(down[0].detail.contains("refused"), "{}", down[0].detail);
    let _listener = TcpListener::bind(address).await.expect("the same port");
    until(&mut found, |found| found.iter().any(|health| health.healthy)).await;

    wanted.send_replace(BTreeSet::new());
    until(&mut found, Vec::is_empty).await;
    drop(wanted);
    timeout(Duration::from_secs(20), running).await.expect("ends with its input").expect("no panic");
}

#[tokio::test]
async fn the_other_checks_keep_what_they_know() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let first = check(listener.local_addr().expect("bound"));
    let other = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let second = check(other.local_addr().expect("bound"));
    let (wanted, checks) = channel::channel(BTreeSet::from([first.clone()]));
    let (sender, mut found) = channel::channel(Vec::new());
    let running = tokio::spawn(watch(checks, sender));
    until(&mut found, |found| found.len() == 1).await;
    wanted.send_replace([first, second].into());
    let both = until(&mut found, |found| {
        assert!(!found.is_empty(), "what was known is gone");
        found.len() == 2
    });
    assert!(both.await.iter().all(|health| health.healthy));
    running.abort();
}
