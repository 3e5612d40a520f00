//! When an agent is told to sample: while somebody watches, again and again, so that it stops by itself if we vanish.

use std::collections::HashMap;
use std::time::Duration;

use sluice_proto::v1::SampleRequest;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long an agent samples without hearing again, and how often it hears.
const ASK_FOR: Duration = Duration::from_secs(15);
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Another message was on its way to the agent.
const TRY_AGAIN: Duration = Duration::from_millis(100);

pub struct Asking {
    node: String,
    watchers: watch::Receiver<HashMap<u64, String>>,
    /// It samples for us, as far as we know.
    asked: bool,
    renew: Instant,
    not_before: Instant,
}

impl Asking {
    pub(super) fn new(node: &str, watchers: watch::Receiver<HashMap<u64, String>>) -> Asking {
        let now = Instant::now();
        Asking { node: node.to_owned(), watchers, asked: false, renew: now, not_before: now }
    }

    /// Waits until there is something to tell.
    pub async fn due(&mut self) -> SampleRequest {
        loop {
            let wanted = self.is_wanted();
            let due = match (wanted, self.asked) {
                (false, false) => None,
                (true, true) => Some(self.renew.max(self.not_before)),
                _ => Some(self.not_before),
            };
            let changed = changed(&mut self.watchers);
            match due {
                None => changed.await,
                Some(due) if due <= Instant::now() => {
                    return SampleRequest { for_ms: if wanted { ASK_FOR.as_millis() as u32 } else { 0 } };
                }
                Some(due) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = sleep_until(due) => {}
                },
            }
        }
    }

    pub fn told(&mut self, request: SampleRequest) {
        self.asked = request.for_ms > 0;
        self.renew = Instant::now() + ASK_EVERY;
    }

    /// It could not be told now.
    pub fn postpone(&mut self) {
        self.not_before = Instant::now() + TRY_AGAIN;
    }

    fn is_wanted(&mut self) -> bool {
        let watchers = self.watchers.borrow_and_update();
        watchers.values().any(|node| node.is_empty() || *node == self.node)
    }
}

async fn changed(watchers: &mut watch::Receiver<HashMap<u64, String>>) {
    if watchers.changed().await.is_err() {
        // Nobody can watch any more.
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use crate::Drops;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_agent_is_asked_while_somebody_watches_its_node() {
        let drops = Drops::default();
        let (mut watched, mut other) = (drops.asking("edge-1"), drops.asking("edge-2"));
        let watcher = drops.watch("edge-1").unwrap();
        let first = watched.due().await;
        assert_eq!(u128::from(first.for_ms), ASK_FOR.as_millis());
        watched.told(first);
        let begun = Instant::now();
        let again = watched.due().await;
        assert_eq!((again, begun.elapsed().as_secs()), (first, ASK_EVERY.as_secs()));
        watched.postpone();
        assert_eq!(watched.due().await, first);
        watched.told(again);
        drop(watcher);
        let last = watched.due().await;
        assert_eq!(last.for_ms, 0);
        watched.told(last);
        assert!(timeout(2 * ASK_FOR, watched.due()).await.is_err(), "nothing more to tell");
        assert!(timeout(ASK_FOR, other.due()).await.is_err(), "nobody watched the other node");
    }
}
