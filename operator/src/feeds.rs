//! Between the index and the feeds: what is to be fetched, from where it may be, and what of it outlives a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_address_set::{AddressSet, Manifest};
use sluice_feed::{Kept, KeptFeed, Known, KnownFeeds, Targets, follow, read_kept};
use sluice_index::{Feeds, Index};
use sluice_policy::Feed;
use sluice_raft::{Bytes, Command, KEPT_SET, Lead, ProposeError, State};
use sluice_sets::Contents;
use tokio::sync::watch;

use crate::planner::missing_shards;

/// Before what is kept of a feed beside its addresses.
const FEED: &str = "feed/";

#[derive(Default)]
pub struct FeedDesk {
    wanted: watch::Sender<BTreeSet<Feed>>,
    targets: watch::Sender<Targets>,
    /// The source has spoken: what is not wanted is wanted no more.
    asked: bool,
    /// Readings that are kept, by the keys of their feeds.
    kept: BTreeMap<String, Known>,
}

impl FeedDesk {
    /// Begins to follow feeds, with what was kept of them.
    pub fn open(&mut self, agreed: &State) -> watch::Receiver<Arc<KnownFeeds>> {
        self.kept = kept(agreed);
        let kept: Kept = self.kept.clone().into_iter().collect();
        follow(self.wanted.subscribe(), self.targets.subscribe(), kept)
    }

    /// Follows what the sets draw from now.
    pub fn want(&mut self, index: &Index) {
        self.asked = true;
        let targets =
            Targets { allowed: index.state().fleet.feed_targets.clone(), own: index.own_addresses() };
        set(&self.targets, targets);
        set(&self.wanted, index.feeds());
    }

    /// What the index takes of it: what was kept of a feed stands in until it is followed.
    pub fn states(&self, index: &Index, known: &KnownFeeds) -> Arc<Feeds> {
        let state = |feed: Feed| {
            let found = known.get(&feed).or_else(|| self.kept.get(&KeptFeed::key(&feed)));
            found.map(|found| (feed, found.state.clone()))
        };
        Arc::new(index.feeds().into_iter().filter_map(state).collect())
    }

    /// Agrees on readings that are new, so that a restart without the network has them; forgets those of feeds that
    /// nobody draws from.
    ///
    /// # Errors
    /// The store failed, or another replica may decide.
    pub async fn keep(&mut self, lead: &Lead, feeds: &KnownFeeds) -> Result<(), ProposeError> {
        let named: BTreeMap<String, &Known> =
            feeds.iter().map(|(feed, known)| (KeptFeed::key(feed), known)).collect();
        for (key, known) in &named {
            let Some(list) = &known.state.good else { continue };
            let old = self.kept.get(key).and_then(|old| old.state.good.as_ref());
            if old.is_some_and(|old| Arc::ptr_eq(old, list)) {
                continue;
            }
            let contents = Contents::new(list.addresses.clone(), list.entries);
            let agreed = lead.raft().state().borrow().clone();
            for blobs in missing_shards(std::iter::once(&contents), &agreed) {
                lead.propose(Command::PutBlobs { blobs }).await?;
            }
            let kept = serde_json::to_vec(&KeptFeed::of(known, list, contents.hash()))
                .expect("what is kept has string keys only");
            let manifest = Bytes::from(contents.shards().0.encode());
            let blobs = [(kept_set(key), manifest), (format!("{FEED}{key}"), Bytes::from(kept))];
            lead.propose(Command::PutBlobs { blobs: blobs.into() }).await?;
            self.kept.insert(key.clone(), (*known).clone());
        }
        if !self.asked {
            return Ok(());
        }
        let wanted: BTreeSet<String> = self.wanted.borrow().iter().map(KeptFeed::key).collect();
        let gone: Vec<String> = self.kept.keys().filter(|key| !wanted.contains(*key)).cloned().collect();
        for key in gone {
            for blob in [kept_set(&key), format!("{FEED}{key}")] {
                lead.propose(Command::RemoveBlob { key: blob }).await?;
            }
            self.kept.remove(&key);
        }
        Ok(())
    }
}

fn set<T: PartialEq>(sender: &watch::Sender<T>, new: T) {
    sender.send_if_modified(|current| {
        let changed = *current != new;
        *current = new;
        changed
    });
}

fn kept_set(key: &str) -> String {
    format!("{KEPT_SET}feed-{key}")
}

/// The contents of the sets that are agreed on, by name.
pub fn contents(agreed: &State) -> BTreeMap<String, AddressSet> {
    let read = |(name, set): (&String, &sluice_raft::SetManifest)| {
        addresses(agreed, &set.bytes).map(|addresses| (name.clone(), addresses))
    };
    agreed.sets.iter().filter_map(read).collect()
}

fn kept(agreed: &State) -> BTreeMap<String, Known> {
    let of = |(blob, bytes): (&String, &Bytes)| {
        let key = blob.strip_prefix(FEED)?;
        let kept: KeptFeed = serde_json::from_slice(bytes).ok()?;
        let set = addresses(agreed, agreed.blobs.get(&kept_set(key))?)?;
        Some((key.to_owned(), read_kept(kept, set)))
    };
    agreed.blobs.iter().filter_map(of).collect()
}

fn addresses(agreed: &State, manifest: &[u8]) -> Option<AddressSet> {
    let read = Manifest::decode(manifest)
        .and_then(|manifest| AddressSet::from_shards(&manifest, |hash| agreed.shard(hash)));
    read.inspect_err(|error| tracing::error!(%error, "a stored set of addresses is damaged")).ok()
}
