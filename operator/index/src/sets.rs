//! Address sets: what they are made of, and which versions of filters may use them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_address_set::AddressSet;
use sluice_crds::{Kind, nearest};
use sluice_policy::{Feed, Filter, ListRef, Rule, SetDefinition};
use sluice_sets::{Contents, ListState, Resolution, resolve};

use crate::desired::ObjectKey;
use crate::held::{Held, Policy};

/// What feeds gave, by feed.
pub type Feeds = BTreeMap<Feed, ListState>;

/// Contents by name, as far as there are any.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    pub resolved: BTreeMap<String, Resolution>,
    pub feeds: Arc<Feeds>,
    /// Unix milliseconds.
    pub now: i64,
}

/// A rule's set that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct SetRefused {
    pub path: String,
    pub problem: String,
}

impl Sets {
    /// Contents that were agreed on before a restart.
    pub fn restore(contents: BTreeMap<String, AddressSet>) -> Sets {
        let resolved = contents.into_iter().map(|(name, addresses)| (name, Resolution::in_force(addresses)));
        Sets { resolved: resolved.collect(), ..Sets::default() }
    }

    /// True if contents, or what is said of a set, changed.
    pub fn update(&mut self, held: &BTreeMap<ObjectKey, Held>, lists: &BTreeMap<ListRef, ListState>) -> bool {
        let definitions: BTreeMap<&str, &SetDefinition> = definitions(held).collect();
        let list = |_: &SetDefinition, wanted: &ListRef| match wanted {
            ListRef::Feed(feed) => self.feeds.get(feed).cloned(),
            other => lists.get(other).cloned(),
        };
        let mut resolved = resolve(&definitions, &list, &self.resolved, self.now);
        // In force although its object is gone or was never sound: a filter still uses it.
        for (name, old) in &self.resolved {
            if !resolved.contains_key(name) && held.contains_key(&key(name)) {
                resolved.insert(name.clone(), old.clone());
            }
        }
        let changed = resolved.len() != self.resolved.len()
            || resolved.iter().any(|(name, new)| self.resolved.get(name).is_none_or(|old| !same(old, new)));
        self.resolved = resolved;
        changed
    }

    /// When the next entry of any set leaves it.
    pub fn next_expiry(&self) -> Option<i64> {
        self.resolved.values().filter_map(|resolution| resolution.next_expiry).min()
    }

    /// The sets that the source has, and whether each has contents.
    pub fn known<'a>(&self, held: &'a BTreeMap<ObjectKey, Held>) -> BTreeMap<&'a str, bool> {
        let is_set = |(key, held): &(&ObjectKey, &Held)| key.kind == Kind::XdpAddressSet.name() && !held.gone;
        let has_contents = |name: &str| self.resolved.get(name).is_some_and(|found| found.contents.is_some());
        held.iter().filter(is_set).map(|(key, _)| (key.name.as_str(), has_contents(&key.name))).collect()
    }

    pub fn contents(&self) -> impl Iterator<Item = (&String, &Arc<Contents>)> {
        self.resolved.iter().filter_map(|(name, found)| Some((name, found.contents.as_ref()?)))
    }
}

fn same(old: &Resolution, new: &Resolution) -> bool {
    let contents = match (&old.contents, &new.contents) {
        (Some(old), Some(new)) => Arc::ptr_eq(old, new),
        (None, None) => true,
        _ => false,
    };
    contents
        && old.unresolved == new.unresolved
        && old.faults == new.faults
        && old.next_expiry == new.next_expiry
}

/// Those that the source has.
fn definitions(held: &BTreeMap<ObjectKey, Held>) -> impl Iterator<Item = (&str, &SetDefinition)> {
    held.iter().filter(|(_, held)| !held.gone).filter_map(|(key, held)| match &held.good {
        Some(Policy::Set(definition)) => Some((key.name.as_str(), definition)),
        _ => None,
    })
}

/// Feeds that are to be fetched.
pub(crate) fn feeds(held: &BTreeMap<ObjectKey, Held>) -> BTreeSet<Feed> {
    let lists = definitions(held).flat_map(|(_, definition)| &definition.lists);
    let feeds = lists.filter_map(|list| match list {
        ListRef::Feed(feed) => Some(feed.clone()),
        ListRef::ConfigMap { .. } | ListRef::File(_) => None,
    });
    feeds.collect()
}

/// The version of a filter that may be in force, and why it is not the newest if it is not.
pub(crate) fn usable<'a>(
    held: &'a Held,
    known: &BTreeMap<&str, bool>,
) -> (Option<&'a Filter>, Option<SetRefused>) {
    let Some(Policy::Filter(newest)) = held.good.as_ref().filter(|_| !held.gone) else { return (None, None) };
    // What was planned for goes on with the sets that it has, even if their objects are gone.
    let in_force = held.filter_in_force();
    if in_force.is_some_and(|known| known.object.generation == newest.object.generation) {
        return (Some(newest), None);
    }
    match check_sets(newest, known) {
        None => (Some(newest), None),
        refused => (in_force, refused),
    }
}

/// The first set of a filter that cannot be used. `known` are the sets that are there, and whether each has contents.
pub fn check_sets(filter: &Filter, known: &BTreeMap<&str, bool>) -> Option<SetRefused> {
    named(filter).find_map(|(path, name)| {
        let problem = match known.get(name.as_str()) {
            Some(true) => return None,
            Some(false) => {
                format!("the XdpAddressSet \"{name}\" has no contents yet: its own status says why")
            }
            None => {
                let hint = match nearest(name, known.keys().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "make an XdpAddressSet of that name, or remove it here".to_owned(),
                };
                format!("there is no XdpAddressSet \"{name}\": {hint}")
            }
        };
        Some(SetRefused { path, problem })
    })
}

/// The sets that a filter's rules name, each with its place.
fn named(filter: &Filter) -> impl Iterator<Item = (String, &String)> {
    filter.rules.iter().enumerate().flat_map(|(rule, found)| {
        let sides = [("sources", &found.matches.sources), ("destinations", &found.matches.destinations)];
        sides.into_iter().flat_map(move |(side, set)| {
            let names = set.iter().flat_map(|set| &set.sets).enumerate();
            names.map(move |(index, name)| (format!("spec.rules[{rule}].match.{side}.sets[{index}]"), name))
        })
    })
}

/// Names of the sets that filters in force use.
pub(crate) fn in_use(held: &BTreeMap<ObjectKey, Held>) -> BTreeSet<String> {
    let versions = held.values().flat_map(|held| {
        let newest = match &held.good {
            Some(Policy::Filter(filter)) => Some(filter),
            _ => None,
        };
        newest.into_iter().chain(held.filter_in_force()).chain(held.former())
    });
    versions.flat_map(Filter::sets).cloned().collect()
}

/// Rules of a filter with sets that the source no longer has.
pub(crate) fn gone<'a>(filter: &'a Filter, held: &BTreeMap<ObjectKey, Held>) -> Vec<(&'a str, &'a str)> {
    let is_gone = |name: &str| held.get(&key(name)).is_none_or(|held| held.gone);
    let of_rule = |rule: &'a Rule| rule.matches.sets().map(|name| (rule.name.as_str(), name.as_str()));
    filter.rules.iter().flat_map(of_rule).filter(|(_, name)| is_gone(name)).collect()
}

pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey::new(Kind::XdpAddressSet, "", name)
}
