//! Notices on their way, within bounds.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use sluice_index::ObjectKey;

use crate::notice::Notice;

/// Of one object within [`WINDOW`]; what is more is left out, for its status says how things are.
const PER_OBJECT: usize = 10;
const WINDOW: Duration = Duration::from_secs(600);
const PER_SECOND: usize = 10;
/// That wait; the oldest make way.
const WAITING: usize = 500;

/// What is to be told.
#[derive(Debug, Default)]
pub struct News {
    waiting: VecDeque<Notice>,
    /// When notices of an object were taken in.
    objects: BTreeMap<ObjectKey, VecDeque<Instant>>,
    /// When notices left within the last second.
    told: VecDeque<Instant>,
    left_out: u64,
}

impl News {
    pub fn add(&mut self, notice: Notice, now: Instant) {
        let same = |other: &&mut Notice| {
            (&other.object, &other.reason, &other.action) == (&notice.object, &notice.reason, &notice.action)
        };
        if let Some(waiting) = self.waiting.iter_mut().find(same) {
            *waiting = notice;
            return;
        }
        let times = self.objects.entry(notice.object.clone()).or_default();
        forget(times, now, WINDOW);
        if times.len() >= PER_OBJECT {
            self.left_out += 1;
            return;
        }
        times.push_back(now);
        self.waiting.push_back(notice);
        if self.waiting.len() > WAITING {
            self.waiting.pop_front();
            self.left_out += 1;
        }
    }

    /// The next that may be told now.
    pub fn next(&mut self, now: Instant) -> Option<Notice> {
        forget(&mut self.told, now, Duration::from_secs(1));
        if self.told.len() >= PER_SECOND {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.told.push_back(now);
        self.objects.retain(|_, times| times.back().is_some_and(|at| now.duration_since(*at) < WINDOW));
        Some(next)
    }

    /// Notices that nobody was told, and that from now on count as known.
    pub fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

fn forget(times: &mut VecDeque<Instant>, now: Instant, after: Duration) {
    while times.front().is_some_and(|at| now.duration_since(*at) >= after) {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use sluice_crds::Kind;

    use super::*;

    fn notice(object: usize, action: &str) -> Notice {
        Notice {
            object: ObjectKey::new(Kind::XdpNode, "", &format!("node-{object}")),
            uid: String::new(),
            warning: true,
            reason: "Unreachable".into(),
            action: action.into(),
            note: String::new(),
        }
    }

    #[test]
    fn an_object_that_changes_all_the_time_is_told_of_a_few_times() {
        let (mut news, begun) = (News::default(), Instant::now());
        let mut told = 0;
        for second in 0..600 {
            let now = begun + Duration::from_secs(second);
            news.add(notice(0, &second.to_string()), now);
            told += std::iter::from_fn(|| news.next(now)).count();
        }
        assert_eq!((told, news.take_left_out()), (PER_OBJECT, 600 - PER_OBJECT as u64));
        let later = begun + Duration::from_secs(2_000);
        news.add(notice(0, "later"), later);
        assert!(news.next(later).is_some());
    }

    #[test]
    fn a_fleet_that_falls_silent_is_told_of_at_a_pace() {
        let (mut news, begun) = (News::default(), Instant::now());
        (0..5_000).for_each(|node| news.add(notice(node, "Ready"), begun));
        assert_eq!(news.take_left_out(), 5_000 - WAITING as u64);
        let per_second = |second: u64, news: &mut News| {
            let at = |step: u64| begun + Duration::from_millis(1000 * second + 200 * step);
            (0..5).map(|step| std::iter::from_fn(|| news.next(at(step))).count()).sum::<usize>()
        };
        assert!((0..50).all(|second| per_second(second, &mut news) == PER_SECOND));
        assert_eq!(per_second(50, &mut news), 0);
    }

    #[test]
    fn what_waits_is_told_once_in_its_newest_words() {
        let (mut news, now) = (News::default(), Instant::now());
        news.add(notice(0, "Ready"), now);
        news.add(Notice { note: "newer".into(), ..notice(0, "Ready") }, now);
        assert_eq!(news.next(now).map(|notice| notice.note), Some("newer".to_owned()));
        assert_eq!(news.next(now), None);
    }
}
