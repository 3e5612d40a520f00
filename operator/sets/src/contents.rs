//! The contents of a set, and what they were made from.

use std::sync::{Arc, OnceLock};

use ipnet::IpNet;
use sluice_address_set::{AddressSet, Manifest, Shard};
use sluice_plan::Hash;

use crate::AddressList;

/// Made once and shared from then on.
#[derive(Debug, Default)]
pub struct Contents {
    pub addresses: AddressSet,
    /// Of all parts together, before anything is collapsed.
    pub entries: u64,
    shards: OnceLock<(Manifest, Vec<Shard>)>,
}

/// What contents follow from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    pub entries: Vec<IpNet>,
    pub lists: Vec<Arc<AddressList>>,
    pub sets: Vec<Arc<Contents>>,
    pub except: Vec<IpNet>,
}

impl Contents {
    pub fn new(addresses: AddressSet, entries: u64) -> Contents {
        Contents { addresses, entries, shards: OnceLock::new() }
    }

    /// Cut when they are asked for first: a million prefixes take a part of a second.
    pub fn shards(&self) -> &(Manifest, Vec<Shard>) {
        self.shards.get_or_init(|| self.addresses.shards())
    }

    /// Names the addresses, as nodes read them back.
    pub fn hash(&self) -> Hash {
        self.shards().0.hash()
    }
}

impl Parts {
    /// Lists and sets by identity: they are read and made anew only where something changed.
    pub fn same(&self, other: &Parts) -> bool {
        let lists = self.lists.len() == other.lists.len()
            && self.lists.iter().zip(&other.lists).all(|(one, two)| Arc::ptr_eq(one, two));
        let sets = self.sets.len() == other.sets.len()
            && self.sets.iter().zip(&other.sets).all(|(one, two)| Arc::ptr_eq(one, two));
        lists && sets && self.entries == other.entries && self.except == other.except
    }

    pub fn count(&self) -> u64 {
        let lists = self.lists.iter().map(|list| list.entries);
        let sets = self.sets.iter().map(|set| set.entries);
        self.entries.len() as u64 + lists.chain(sets).sum::<u64>()
    }

    pub fn addresses(&self) -> AddressSet {
        let lists = self.lists.iter().flat_map(|list| list.addresses.iter());
        let sets = self.sets.iter().flat_map(|set| set.addresses.iter());
        let all = AddressSet::collect(self.entries.iter().copied().chain(lists).chain(sets));
        if self.except.is_empty() {
            all
        } else {
            all.without(&AddressSet::collect(self.except.iter().copied()))
        }
    }
}
