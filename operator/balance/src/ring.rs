use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The backend of each slot of one virtual address and port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    /// Sorted; every one holds at least one slot.
    backends: Vec<IpAddr>,
    /// Index into `backends`; empty where no backend takes connections.
    slots: Vec<u16>,
    /// How many slots there are, a power of two.
    size: u32,
}

impl Ring {
    /// `owners` has a backend for every slot, or for none.
    pub(crate) fn new(owners: &[Option<IpAddr>]) -> Ring {
        let backends: Vec<IpAddr> =
            owners.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let index = |address: &IpAddr| {
            let found = backends.binary_search(address).expect("every owner is in the list made from them");
            u16::try_from(found).expect("a balancer has at most 256 backends")
        };
        let slots = owners.iter().flatten().map(index).collect();
        let size = u32::try_from(owners.len()).expect("a ring has at most 131072 slots");
        Ring { backends, slots, size }
    }

    /// Number of slots, a power of two.
    pub fn len(&self) -> usize {
        self.size as usize
    }

    /// No backend takes connections.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Backends that hold a slot, sorted.
    pub fn backends(&self) -> &[IpAddr] {
        &self.backends
    }

    pub fn owner(&self, slot: usize) -> Option<IpAddr> {
        self.slots.get(slot).map(|&index| self.backends[usize::from(index)])
    }

    /// The backend of each slot in order.
    pub fn owners(&self) -> impl Iterator<Item = Option<IpAddr>> + '_ {
        (0..self.len()).map(|slot| self.owner(slot))
    }
}
