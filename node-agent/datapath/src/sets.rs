//! The address sets of this node in the kernel: each in maps of its own, which are made whole and then put at the set's
//! place by one update. So a look-up meets a set as it was or as it is, and no program is loaded for it.

mod blocks;
mod layout;
mod parts;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use sluice_abi::{SET_PLACES, set_place};
use sluice_address_set::AddressSet;
use sluice_plan::{Hash, NodePlan};

use crate::bpf;
use crate::error::{Context, Error, Result};
use crate::outcome::SetOutcome;
use crate::slots::{SlotKey, SlotTable};
use blocks::Blocks;
use layout::Layout;

pub(crate) use blocks::new_places;

/// Elements of the map of all sets, two for each place.
pub(crate) const ELEMENTS: u32 = 2 * SET_PLACES;

/// A set in the kernel, whether anybody looks it up yet or not.
#[derive(Debug)]
pub struct KernelSet {
    hash: Hash,
    contents: AddressSet,
    v4: Option<Blocks>,
    v6: Option<Blocks>,
}

impl KernelSet {
    /// Makes the maps of a set and reads them back. `hash` names the contents.
    pub fn make(hash: Hash, contents: AddressSet) -> Result<KernelSet> {
        let make = |layout: Option<Layout>| layout.as_ref().map(Blocks::make).transpose();
        let failed = || format!("making a set of {} prefixes in the kernel", contents.len());
        let v4 = make(Layout::v4(contents.v4())).context(failed)?;
        let v6 = make(Layout::v6(contents.v6())).context(failed)?;
        Ok(KernelSet { hash, contents, v4, v6 })
    }

    pub fn hash(&self) -> Hash {
        self.hash
    }

    pub fn contents(&self) -> &AddressSet {
        &self.contents
    }

    /// What its maps take up.
    pub fn bytes(&self) -> u64 {
        self.families().into_iter().flatten().map(Blocks::bytes).sum()
    }

    /// Whether its maps hold what its contents say, byte by byte.
    pub(crate) fn is_intact(&self) -> Result<bool> {
        let read = || format!("reading a set of {} prefixes", self.contents.len());
        let holds = |blocks: &Option<Blocks>, layout: Option<Layout>| match (blocks, layout) {
            (Some(blocks), Some(layout)) => blocks.holds(&layout),
            (blocks, layout) => Ok(blocks.is_none() && layout.is_none()),
        };
        Ok(holds(&self.v4, Layout::v4(self.contents.v4())).context(read)?
            && holds(&self.v6, Layout::v6(self.contents.v6())).context(read)?)
    }

    pub(crate) fn outcome(&self) -> SetOutcome {
        SetOutcome { hash: self.hash, kernel_bytes: self.bytes() }
    }

    fn families(&self) -> [Option<&Blocks>; 2] {
        [self.v4.as_ref(), self.v6.as_ref()]
    }
}

#[cfg(test)]
impl KernelSet {
    /// A set of IPv4 addresses whose map is not frozen.
    pub(crate) fn make_open(hash: Hash, contents: AddressSet) -> io::Result<KernelSet> {
        let v4 = Layout::v4(contents.v4()).as_ref().map(Blocks::make_open).transpose()?;
        Ok(KernelSet { hash, contents, v4, v6: None })
    }

    /// Empties the first block.
    pub(crate) fn alter(&self) -> io::Result<()> {
        let blocks = self.v4.as_ref().expect("a set of IPv4 addresses");
        bpf::update(blocks.fd(), &0u32.to_ne_bytes(), &[0; sluice_abi::SET_BLOCK])
    }
}

/// Sets by their names in plans.
pub type KernelSets = BTreeMap<String, Arc<KernelSet>>;

/// Those of a plan; their order is that of the bits.
pub(crate) fn of_plan(plan: &NodePlan, sets: &KernelSets) -> Result<KernelSets> {
    let find = |name: &String| {
        let set = sets.get(name).cloned().ok_or_else(|| Error::SetMissing { name: name.clone() })?;
        Ok((name.clone(), set))
    };
    plan.sets.iter().map(find).collect()
}

/// Whose place is whose.
pub(crate) fn key(name: &str) -> SlotKey {
    SlotKey { policy: String::new(), name: name.to_owned() }
}

/// The map of all sets.
pub(crate) struct Places<'a>(pub BorrowedFd<'a>);

impl Places<'_> {
    /// Puts each set at its place, all of them by one call but for families that became empty. Returns once no program looks into what was there before.
    pub fn put(&self, sets: &KernelSets, places: &SlotTable) -> Result<()> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (_, index, blocks) in elements(sets, places) {
            match blocks {
                Some(blocks) if self.id_at(index)? != Some(blocks.id()) => {
                    keys.push(index);
                    values.push(blocks.fd().as_raw_fd() as u32);
                }
                None if self.id_at(index)?.is_some() => self.clear(index)?,
                _ => {}
            }
        }
        let (keys, values): (&[u8], &[u8]) = (bytemuck::cast_slice(&keys), bytemuck::cast_slice(&values));
        let count = (keys.len() / size_of::<u32>()) as u32;
        bpf::update_batch(self.0, keys, values, count).context(|| "putting sets at their places".into())
    }

    /// The first set that is not at its place.
    pub fn lost<'a>(&self, sets: &'a KernelSets, places: &SlotTable) -> Result<Option<&'a str>> {
        for (name, index, blocks) in elements(sets, places) {
            if self.id_at(index)? != blocks.map(Blocks::id) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Empties the places that are nobody's.
    pub fn keep(&self, places: &SlotTable) -> Result<()> {
        let owned: BTreeSet<u32> = places.iter().map(|(_, place)| place).collect();
        let free = (0..SET_PLACES).filter(|place| !owned.contains(place));
        for index in free.flat_map(|place| [set_place(place, false), set_place(place, true)]) {
            if self.id_at(index)?.is_some() {
                self.clear(index)?;
            }
        }
        Ok(())
    }

    fn clear(&self, index: u32) -> Result<()> {
        match bpf::delete(self.0, &index.to_ne_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).context(|| "emptying the place of a set".into())
            }
            _ => Ok(()),
        }
    }

    fn id_at(&self, index: u32) -> Result<Option<u32>> {
        let mut id = [0; 4];
        match bpf::lookup(self.0, &index.to_ne_bytes(), &mut id) {
            Ok(()) => Ok(Some(u32::from_ne_bytes(id))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context(|| "asking for the set at a place".into()),
        }
    }
}

/// What belongs at each element of the sets' places, with the set's name.
fn elements<'a>(
    sets: &'a KernelSets,
    places: &SlotTable,
) -> impl Iterator<Item = (&'a str, u32, Option<&'a Blocks>)> {
    let placed = sets.iter().filter_map(|(name, set)| Some((name.as_str(), places.get(&key(name))?, set)));
    placed.flat_map(|(name, place, set)| {
        let [v4, v6] = set.families();
        [(name, set_place(place, false), v4), (name, set_place(place, true), v6)]
    })
}
