//! Address sets from files, and on demand from their feeds.

use std::collections::BTreeMap;

use sluice_address_set::AddressSet;
use sluice_feed::{Fetcher, Known, Targets, fetch_once};
use sluice_plan::Fleet;
use sluice_policy::{Feed, ListRef, SetDefinition};
use sluice_sets::{ListState, resolve};

/// Sets of one or more files.
#[derive(Default)]
pub struct SetFiles {
    definitions: BTreeMap<String, SetDefinition>,
    /// Of each set: files of one name may lie in several folders.
    lists: BTreeMap<(String, ListRef), ListState>,
}

impl SetFiles {
    pub fn add(&mut self, definition: SetDefinition, lists: &BTreeMap<ListRef, ListState>) {
        let name = definition.object.name.clone();
        for list in &definition.lists {
            if let Some(state) = lists.get(list) {
                self.lists.insert((name.clone(), list.clone()), state.clone());
            }
        }
        self.definitions.insert(name, definition);
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.definitions.keys().map(String::as_str)
    }

    /// What is in each set; whatever is wrong with any of them is a problem.
    ///
    /// # Errors
    /// Nothing can be fetched at all on this machine.
    pub fn contents(
        &self,
        fetch: bool,
        fleet: &Fleet,
        problems: &mut Vec<String>,
    ) -> anyhow::Result<BTreeMap<String, AddressSet>> {
        let fetched = if fetch { self.fetch(fleet)? } else { BTreeMap::new() };
        let unfetched = || ListState {
            fault: Some("is a feed, and nothing is fetched without --fetch".to_owned()),
            ..ListState::default()
        };
        let list = |definition: &SetDefinition, wanted: &ListRef| match wanted {
            ListRef::Feed(feed) => Some(fetched.get(feed).cloned().unwrap_or_else(unfetched)),
            other => self.lists.get(&(definition.object.name.clone(), other.clone())).cloned(),
        };
        let definitions = self.definitions.iter().map(|(name, found)| (name.as_str(), found)).collect();
        let now = jiff::Timestamp::now().as_millisecond();
        let mut sets = BTreeMap::new();
        for (name, resolution) in resolve(&definitions, &list, &BTreeMap::new(), now) {
            let faults = resolution.unresolved.iter().map(ToString::to_string).chain(resolution.faults);
            for fault in faults {
                // A directory has said it of its files.
                if !problems.iter().any(|known| known.ends_with(&fault)) {
                    problems.push(format!("XdpAddressSet/{name}: {fault}"));
                }
            }
            if let Some(contents) = resolution.contents {
                sets.insert(name, contents.addresses.clone());
            }
        }
        Ok(sets)
    }

    fn fetch(&self, fleet: &Fleet) -> anyhow::Result<BTreeMap<Feed, ListState>> {
        let targets = Targets { allowed: fleet.feed_targets.clone(), ..Targets::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let fetcher = Fetcher::default();
        let lists = self.definitions.values().flat_map(|definition| &definition.lists);
        let feeds = lists.filter_map(|list| match list {
            ListRef::Feed(feed) => Some(feed),
            ListRef::ConfigMap { .. } | ListRef::File(_) => None,
        });
        let fetch = |feed: &Feed| {
            let known = Known::default();
            let now = jiff::Timestamp::now().as_millisecond();
            (feed.clone(), runtime.block_on(fetch_once(&fetcher, feed, &known, &targets, now)).state)
        };
        Ok(feeds.map(fetch).collect())
    }
}
