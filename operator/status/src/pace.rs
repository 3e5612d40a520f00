//! How fast an API server is written to, whatever changes.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use sluice_index::ObjectKey;

const SECOND: Duration = Duration::from_secs(1);

/// Lets an object be written once a second, and all of them so often in any second. Attempts that fail count.
#[derive(Debug)]
pub struct Pace {
    per_second: usize,
    objects: BTreeMap<ObjectKey, Instant>,
    /// Of the last second.
    recent: VecDeque<Instant>,
}

impl Pace {
    pub fn new(per_second: usize) -> Pace {
        Pace { per_second, objects: BTreeMap::new(), recent: VecDeque::new() }
    }

    /// Whether the object may be written now; then it counts as written.
    pub fn take(&mut self, key: &ObjectKey, now: Instant) -> bool {
        let within = |at: &Instant| now.duration_since(*at) < SECOND;
        while self.recent.front().is_some_and(|at| !within(at)) {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.per_second || self.objects.get(key).is_some_and(within) {
            return false;
        }
        self.recent.push_back(now);
        // Whoever was not written for a second may be written, known or not.
        if self.objects.len() > 2 * self.per_second {
            self.objects.retain(|_, at| within(at));
        }
        self.objects.insert(key.clone(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> ObjectKey {
        ObjectKey { kind: "XdpFilter".into(), namespace: String::new(), name: format!("filter-{number}") }
    }

    /// What was let through by whom, at steps of 10 ms.
    fn run(pace: &mut Pace, objects: usize, seconds: u64) -> Vec<(u64, usize)> {
        let begun = Instant::now();
        let steps = (0..seconds * 100).flat_map(|step| (0..objects).map(move |object| (step * 10, object)));
        steps.filter(|(at, object)| pace.take(&key(*object), begun + Duration::from_millis(*at))).collect()
    }

    #[test]
    fn an_object_is_written_once_a_second_however_often_it_changes() {
        let written = run(&mut Pace::new(50), 1, 10);
        assert_eq!(
            written.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
            (0..10).map(|s| s * 1000).collect::<Vec<_>>()
        );
    }

    #[test]
    fn no_second_has_more_writes_than_the_budget_and_nobody_starves() {
        let written = run(&mut Pace::new(50), 500, 20);
        for (at, _) in &written {
            let second = written.iter().filter(|(other, _)| (*at..at + 1000).contains(other)).count();
            assert!(second <= 50, "{second} from {at} ms on");
        }
        assert_eq!(written.len(), 50 * 20, "the budget is used up");
    }
}
