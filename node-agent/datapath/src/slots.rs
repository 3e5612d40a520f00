//! Counter slots: a rule keeps its slot for life, so its counters survive every swap and restart. So it is with the
//! regions of rules that limit a rate.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Whose counter it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotKey {
    /// `metadata.uid` of the object: one that is deleted and made again counts anew.
    pub policy: String,
    /// A rule's name, `_default`, `_malformed`, `_established`, `VIP:PORT/PROTO` or `VIP:PORT/PROTO>BACKEND`.
    pub name: String,
}

/// Which (policy, name) owns which slot of an array. Plain data: the caller persists it after each apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotTable {
    slots: BTreeMap<SlotKey, u32>,
}

impl SlotTable {
    pub fn get(&self, key: &SlotKey) -> Option<u32> {
        self.slots.get(key).copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&SlotKey, u32)> {
        self.slots.iter().map(|(key, slot)| (key, *slot))
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Gives every key a slot, keeping those that have one; returns the slots given out now. Changes nothing if there
    /// are too few, and says how many are wanted.
    pub(crate) fn allocate(&mut self, keys: &BTreeSet<SlotKey>, capacity: u32) -> Result<Vec<u32>, usize> {
        let new: Vec<_> = keys.iter().filter(|key| !self.slots.contains_key(key)).collect();
        let wanted = self.slots.len() + new.len();
        if wanted > capacity as usize {
            return Err(wanted);
        }
        let used: BTreeSet<u32> = self.slots.values().copied().collect();
        let given: Vec<u32> = (0..capacity).filter(|slot| !used.contains(slot)).take(new.len()).collect();
        self.slots.extend(new.into_iter().cloned().zip(given.iter().copied()));
        Ok(given)
    }

    /// Frees the slots of every key that is not listed, and returns them.
    pub(crate) fn retain(&mut self, keys: &BTreeSet<SlotKey>) -> Vec<u32> {
        let (kept, gone) =
            std::mem::take(&mut self.slots).into_iter().partition(|(key, _)| keys.contains(key));
        self.slots = kept;
        BTreeMap::into_values(gone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: impl IntoIterator<Item = usize>) -> BTreeSet<SlotKey> {
        names.into_iter().map(|name| SlotKey { policy: "uid".into(), name: name.to_string() }).collect()
    }

    fn slot(table: &SlotTable, name: usize) -> Option<u32> {
        table.get(&SlotKey { policy: "uid".into(), name: name.to_string() })
    }

    #[test]
    fn a_rule_keeps_its_slot_while_others_come_and_go() {
        let mut table = SlotTable::default();
        assert_eq!(table.allocate(&keys([1, 2, 3]), 9).expect("room"), [0, 1, 2]);
        assert_eq!(table.retain(&keys([3])), [0, 1]);
        assert_eq!(table.allocate(&keys([0, 3]), 9).expect("room"), [0]);
        assert_eq!((slot(&table, 0), slot(&table, 3), slot(&table, 1)), (Some(0), Some(2), None));
    }

    #[test]
    fn one_name_in_two_policies_is_two_counters() {
        let mut table = SlotTable::default();
        let both = ["a", "b"].map(|policy| SlotKey { policy: policy.into(), name: "web".into() });
        table.allocate(&both.clone().into(), 9).expect("room");
        assert_ne!(table.get(&both[0]), table.get(&both[1]));
    }

    #[test]
    fn a_full_table_refuses_and_stays_as_it_is() {
        let mut table = SlotTable::default();
        table.allocate(&keys(0..9), 9).expect("room");
        let before = table.clone();
        assert_eq!(table.allocate(&keys([usize::MAX]), 9), Err(10));
        assert_eq!(table, before);
    }
}
