//! Keeps as many checks going as are wanted, and what they found in one place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::Rng;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::judge::Judge;
use crate::probe::probe;
use crate::{Check, Health};

/// Runs until either channel's other side is gone.
///
/// # Guarantees
/// A check that stays wanted keeps what it knows. One that is no longer wanted leaves nothing behind.
pub async fn watch(mut wanted: watch::Receiver<BTreeSet<Check>>, found: watch::Sender<Vec<Health>>) {
    let (sender, mut results) = mpsc::channel::<(Check, Health)>(64);
    let mut running: BTreeMap<Check, Running> = BTreeMap::new();
    wanted.mark_changed();
    loop {
        tokio::select! {
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                adjust(&mut running, &wanted.borrow_and_update(), &sender);
                publish(&running, &found);
            }
            Some((check, health)) = results.recv() => {
                let (healthy, detail) = (health.healthy, health.detail.as_str());
                tracing::info!(backend = %check.target, healthy, detail, "health of a backend changed");
                // A result that was on its way when its check ended has nowhere to go.
                if let Some(running) = running.get_mut(&check) {
                    running.health = Some(health);
                }
                publish(&running, &found);
            }
            () = found.closed() => return,
        }
    }
}

struct Running {
    health: Option<Health>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn adjust(
    running: &mut BTreeMap<Check, Running>,
    wanted: &BTreeSet<Check>,
    results: &mpsc::Sender<(Check, Health)>,
) {
    running.retain(|check, _| wanted.contains(check));
    for check in wanted {
        running.entry(check.clone()).or_insert_with(|| {
            let task = tokio::spawn(repeat(check.clone(), results.clone())).abort_handle();
            Running { health: None, task }
        });
    }
}

fn publish(running: &BTreeMap<Check, Running>, found: &watch::Sender<Vec<Health>>) {
    let now: Vec<Health> = running.values().filter_map(|running| running.health.clone()).collect();
    found.send_if_modified(|before| {
        let changed = *before != now;
        *before = now;
        changed
    });
}

async fn repeat(check: Check, results: mpsc::Sender<(Check, Health)>) {
    let mut judge = Judge::new(check.rise, check.fall);
    // Many nodes that get the same plan at once must not knock at the same moments.
    sleep(jitter(check.interval)).await;
    loop {
        let begun = Instant::now();
        let result = probe(&check).await;
        if let Some(healthy) = judge.hear(result.is_ok()) {
            let (policy, address) = (check.policy.clone(), check.target.ip());
            let health = Health { policy, address, healthy, detail: result.err().unwrap_or_default() };
            if results.send((check.clone(), health)).await.is_err() {
                return;
            }
        }
        sleep_until(begun + check.interval).await;
    }
}

fn jitter(interval: Duration) -> Duration {
    rand::rng().random_range(Duration::ZERO..=interval.min(Duration::from_secs(10)))
}
