use std::time::Duration;

use rand::Rng;
use sluice_pki::Authority;

/// What keeps many agents from hurting each other.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Agents that may be between their connect and their first update.
    pub joining: usize,
    /// Enrollments at once; each may cost a call to the API server.
    pub enrolling: usize,
    /// So long agents wait for their turn at either before they are sent away: another handshake costs more than a wait.
    pub turn: Duration,
    /// A stream's first message must come within this.
    pub hello: Duration,
    /// An agent that enforces a later epoch than this replica's waits this long for it to catch up.
    pub catch_up: Duration,
    /// An update without a final verdict ends the stream after this.
    pub verdict: Duration,
    /// A stream is moved on after this, give or take a fifth, so that load spreads over replicas.
    pub age: Duration,
    /// Agents that are sent away come back over this time.
    pub spread: Duration,
    /// Life of an agent's certificate, which it renews at half of it.
    pub certificate: Duration,
    /// Streams that have not ended this long after a drain began are cut.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            joining: 256,
            enrolling: 32,
            turn: Duration::from_secs(5),
            hello: Duration::from_secs(10),
            catch_up: Duration::from_secs(2),
            verdict: Duration::from_secs(120),
            age: Duration::from_secs(30 * 60),
            spread: Duration::from_secs(2),
            certificate: Authority::NODE_VALIDITY,
            drain: Duration::from_secs(5),
        }
    }
}

impl Limits {
    pub(crate) fn jittered_age(&self) -> Duration {
        self.age.mul_f64(rand::rng().random_range(0.8..=1.2))
    }

    pub(crate) fn retry_after_ms(&self) -> u32 {
        let spread = u32::try_from(self.spread.as_millis()).unwrap_or(u32::MAX);
        rand::rng().random_range(0..=spread)
    }
}
