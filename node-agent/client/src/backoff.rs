//! Waits between attempts: exponential with full jitter, so that a fleet that lost its operator does not come back as
//! one wave.

use std::time::Duration;

use rand::Rng;

pub(crate) struct Backoff {
    least: Duration,
    most: Duration,
    attempts: u32,
}

impl Backoff {
    pub fn new((least, most): (Duration, Duration)) -> Backoff {
        Backoff { least, most, attempts: 0 }
    }

    /// Uniform from `least` to a bound that doubles with each attempt up to `most`.
    pub fn next(&mut self, random: &mut impl Rng) -> Duration {
        let doubled = self.least.saturating_mul(2u32.saturating_pow(self.attempts + 1));
        self.attempts = self.attempts.saturating_add(1).min(30);
        random.random_range(self.least..=doubled.min(self.most).max(self.least))
    }

    /// A connection held: the next failure is a new one.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn waits_grow_to_the_bound_and_stay_within() {
        let (least, most) = (Duration::from_millis(200), Duration::from_secs(30));
        let mut random = StdRng::seed_from_u64(1);
        let mut longest = [Duration::ZERO; 40];
        for _ in 0..200 {
            let mut backoff = Backoff::new((least, most));
            for slot in &mut longest {
                let wait = backoff.next(&mut random);
                assert!((least..=most).contains(&wait), "{wait:?}");
                *slot = wait.max(*slot);
            }
        }
        assert!(longest[0] <= Duration::from_millis(400));
        assert!(longest[39] > Duration::from_secs(25), "{:?}", longest[39]);
        let mut backoff = Backoff::new((least, most));
        (0..20).for_each(|_| _ = backoff.next(&mut random));
        backoff.reset();
        assert!(backoff.next(&mut random) <= Duration::from_millis(400));
    }
}
