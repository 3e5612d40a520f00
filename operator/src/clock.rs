//! Two clocks: the one that people set, and one that only goes on.

use std::sync::LazyLock;

use tokio::time::Instant;

/// When this process began.
static BEGUN: LazyLock<(Instant, i64)> = LazyLock::new(|| (Instant::now(), wall()));

/// Unix milliseconds, as the machine has them now: for the times that objects name.
pub fn now() -> i64 {
    #[cfg(test)]
    if let Some(simulated) = crate::simulation::clock() {
        return simulated;
    }
    wall()
}

/// Unix milliseconds, as if nobody had set the clock since this process began: for how long a node has been silent, or a wave
/// has held.
pub fn steady() -> i64 {
    #[cfg(test)]
    if let Some(simulated) = crate::simulation::steady() {
        return simulated;
    }
    let (begun, then) = &*BEGUN;
    then.saturating_add(i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX))
}

fn wall() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
