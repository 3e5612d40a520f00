//! Feeds fetched again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sluice_policy::Feed;
use sluice_sets::{AddressList, ListState, check_reading, read_list};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::fetch::{Fetched, Fetcher, Validators};
use crate::keep::Kept;
use crate::target::Targets;

/// What is known of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub state: ListState,
    /// Of the last good reading.
    pub validators: Validators,
}

pub type KnownFeeds = BTreeMap<Feed, Known>;

/// After a failure the next try comes sooner than after a success, and later each time.
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// Follows what is wanted until nobody listens. `kept` are readings from before a restart.
pub fn follow(
    wanted: watch::Receiver<BTreeSet<Feed>>,
    targets: watch::Receiver<Targets>,
    kept: Kept,
) -> watch::Receiver<Arc<KnownFeeds>> {
    let (sender, receiver) = watch::channel(Arc::default());
    let (news, heard) = mpsc::channel(16);
    let follower = Follower { fetcher: Fetcher::default(), targets, kept, news, tasks: BTreeMap::new() };
    tokio::spawn(follower.run(wanted, heard, sender));
    receiver
}

/// One fetch, read and held against the guards; what is known afterwards. `now` is in Unix milliseconds.
pub async fn fetch_once(fetcher: &Fetcher, feed: &Feed, known: &Known, targets: &Targets, now: i64) -> Known {
    let last = known.state.good.as_ref();
    let fetched = fetcher.fetch(feed, &known.validators, targets).await.map_err(|error| error.to_string());
    let reading = fetched.and_then(|fetched| match fetched {
        Fetched::Unchanged => Ok(None),
        Fetched::New { bytes, validators } => {
            let list = read_list(&bytes, feed.format).map_err(|fault| fault.to_string())?;
            check_reading(&list, last.map(AsRef::as_ref), feed)?;
            Ok(Some((list, validators)))
        }
    });
    let mut after = known.clone();
    match reading {
        Ok(new) => {
            after.state.fault = None;
            after.state.fetched = Some(now);
            if let Some((list, validators)) = new {
                after.validators = validators;
                take(&mut after.state, list);
            }
        }
        Err(fault) => after.state.fault = Some(fault),
    }
    after
}

/// The same list keeps its identity, so that nothing is made anew from it.
fn take(state: &mut ListState, list: AddressList) {
    if state.good.as_ref().is_none_or(|good| **good != list) {
        state.good = Some(Arc::new(list));
    }
}

struct Follower {
    fetcher: Fetcher,
    targets: watch::Receiver<Targets>,
    kept: Kept,
    news: mpsc::Sender<(Feed, Known)>,
    tasks: BTreeMap<Feed, JoinHandle<()>>,
}

impl Follower {
    async fn run(
        mut self,
        mut wanted: watch::Receiver<BTreeSet<Feed>>,
        mut heard: mpsc::Receiver<(Feed, Known)>,
        sender: watch::Sender<Arc<KnownFeeds>>,
    ) {
        wanted.mark_changed();
        loop {
            tokio::select! {
                () = sender.closed() => break,
                changed = wanted.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let feeds = wanted.borrow_and_update().clone();
                    self.want(feeds, &sender);
                }
                Some((feed, known)) = heard.recv() => self.hear(feed, known, &sender),
            }
        }
        self.tasks.values().for_each(JoinHandle::abort);
    }

    fn hear(&mut self, feed: Feed, known: Known, sender: &watch::Sender<Arc<KnownFeeds>>) {
        // The last words of a task that was ended.
        if !self.tasks.contains_key(&feed) {
            return;
        }
        if let Some(fault) = &known.state.fault {
            tracing::warn!(url = feed.url, fault, "feed not taken; its last good reading stays in force");
        }
        sender.send_modify(|all| {
            Arc::make_mut(all).insert(feed, known);
        });
    }

    fn want(&mut self, wanted: BTreeSet<Feed>, sender: &watch::Sender<Arc<KnownFeeds>>) {
        let before = sender.borrow().clone();
        self.tasks.retain(|feed, task| {
            let stays = wanted.contains(feed);
            if !stays {
                task.abort();
            }
            stays
        });
        let mut all = KnownFeeds::new();
        for feed in wanted {
            // Other guards or another interval make it no other list.
            let of_list = before.iter().find(|(old, _)| same_list(old, &feed));
            let known = match before.get(&feed).or(of_list.map(|(_, known)| known)) {
                Some(known) => known.clone(),
                None => self.kept.get(&feed).cloned().unwrap_or_default(),
            };
            all.insert(feed.clone(), known.clone());
            if !self.tasks.contains_key(&feed) {
                let each = Each {
                    fetcher: self.fetcher.clone(),
                    targets: self.targets.clone(),
                    news: self.news.clone(),
                };
                self.tasks.insert(feed.clone(), tokio::spawn(each.run(feed, known)));
            }
        }
        sender.send_replace(Arc::new(all));
    }
}

fn same_list(one: &Feed, other: &Feed) -> bool {
    (&one.url, one.format) == (&other.url, other.format)
}

/// The task of one feed.
struct Each {
    fetcher: Fetcher,
    targets: watch::Receiver<Targets>,
    news: mpsc::Sender<(Feed, Known)>,
}

impl Each {
    async fn run(mut self, feed: Feed, mut known: Known) {
        let mut failures = 0;
        loop {
            let targets = self.targets.borrow_and_update().clone();
            let now = jiff::Timestamp::now().as_millisecond();
            known = fetch_once(&self.fetcher, &feed, &known, &targets, now).await;
            failures = if known.state.fault.is_some() { failures + 1 } else { 0 };
            if self.news.send((feed.clone(), known.clone())).await.is_err() {
                return;
            }
            tokio::select! {
                () = sleep(pause(feed.interval, failures)) => {}
                // What was forbidden may be allowed now.
                Ok(()) = self.targets.changed(), if failures > 0 => {}
            }
        }
    }
}

/// With up to a tenth more or less, so that a fleet's operators do not ask all at once.
fn pause(interval: Duration, failures: u32) -> Duration {
    let base = match failures {
        0 => interval,
        _ => interval.min(FIRST_RETRY * 2u32.saturating_pow((failures - 1).min(16))),
    };
    base.mul_f64(rand::random_range(0.9..1.1))
}
