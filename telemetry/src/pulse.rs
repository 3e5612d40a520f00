//! Whether a loop that has to go on does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// No turn of a loop takes as long as this, whatever it does.
pub const LONGEST_TURN: Duration = Duration::from_secs(60);
/// Nothing goes round, and nothing has to.
const AT_REST: u64 = u64::MAX;

/// Beats with each turn of a loop.
#[derive(Clone, Debug)]
pub struct Pulse {
    begun: Instant,
    /// Milliseconds from `begun` to the last beat.
    last: Arc<AtomicU64>,
}

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse { begun: Instant::now(), last: Arc::new(AtomicU64::new(AT_REST)) }
    }
}

impl Pulse {
    pub fn beat(&self) {
        let since = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(AT_REST - 1);
        self.last.store(since, Ordering::Relaxed);
    }

    /// The loop is over, as it should be.
    pub fn rest(&self) {
        self.last.store(AT_REST, Ordering::Relaxed);
    }

    /// For how long it has been missed, if it is.
    pub fn missed(&self) -> Option<Duration> {
        let last = self.last.load(Ordering::Relaxed);
        if last == AT_REST {
            return None;
        }
        let silent = self.begun.elapsed().saturating_sub(Duration::from_millis(last));
        (silent > LONGEST_TURN).then_some(silent)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_hangs_is_missed_and_one_that_rests_is_not() {
        let pulse = Pulse::default();
        advance(2 * LONGEST_TURN).await;
        assert_eq!(pulse.missed(), None, "it has not begun");
        pulse.beat();
        advance(LONGEST_TURN).await;
        assert_eq!(pulse.missed(), None);
        advance(Duration::from_secs(5)).await;
        assert_eq!(pulse.missed(), Some(LONGEST_TURN + Duration::from_secs(5)));
        pulse.beat();
        assert_eq!(pulse.missed(), None);
        advance(2 * LONGEST_TURN).await;
        pulse.rest();
        assert_eq!(pulse.missed(), None);
    }
}
