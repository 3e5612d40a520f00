//! The trees of both families.

use std::collections::{BTreeSet, HashMap, HashSet};

use sluice_abi::{MAX_CHILDREN, MAX_DEPTH, MAX_LEAF, MAX_RECORDS, Node, TREES, family, leaf, word};

use super::cut::{self, Cut};
use super::space::{OUTSIDE, Region, Words, everything};
use super::store::Store;
use crate::error::CompileError;
use crate::flatten::Flat;
use crate::sweep::Span;

pub struct Forest {
    /// The trees that are there come first.
    pub roots: [[u32; TREES]; family::COUNT],
    pub store: Store,
    /// Entries that have to leave, because no cut tells them from the others in their leaf.
    pub alike: BTreeSet<u16>,
}

impl Forest {
    pub fn grow(regions: &[Vec<Region>; family::COUNT], border: u32) -> Forest {
        let roots = [[leaf::EMPTY; TREES]; family::COUNT];
        let mut forest = Forest { roots, store: Store::default(), alike: BTreeSet::new() };
        for of in [family::V4, family::V6] {
            let mut next = 0;
            for tree in 0..TREES {
                let belongs = |region: &u32| tree_of(&regions[of][*region as usize], of, border) == tree;
                let list: Vec<u32> = (0..regions[of].len() as u32).filter(belongs).collect();
                let mut grower = Grower { forest: &mut forest, regions: &regions[of], of };
                let root = grower.grow(list, &everything(of), 0);
                if root != leaf::EMPTY {
                    forest.roots[of][next] = root;
                    next += 1;
                }
            }
        }
        forest
    }

    /// Whether the tables fit, and if not, the filter that takes most of them.
    pub fn check(&self, flat: &Flat, regions: &[Vec<Region>; family::COUNT]) -> Result<(), CompileError> {
        let too_many = |total: usize, limit: usize, what| {
            let mut records = vec![0usize; flat.entries.len()];
            for (regions, leaves) in regions.iter().zip(&self.store.leaves) {
                leaves.iter().for_each(|region| records[usize::from(regions[*region as usize].entry)] += 1);
            }
            let most = (0..records.len()).max_by_key(|entry| records[*entry]).unwrap_or(0);
            Err(CompileError::TooInvolved { object: flat.object(most), what, total, limit })
        };
        for leaves in &self.store.leaves {
            if leaves.len() > MAX_RECORDS {
                return too_many(leaves.len(), MAX_RECORDS, "records");
            }
        }
        if self.store.children.len() > MAX_CHILDREN {
            return too_many(self.store.children.len(), MAX_CHILDREN, "branches");
        }
        Ok(())
    }

    pub fn too_many_alike(&self, flat: &Flat) -> CompileError {
        let first = self.alike.first().copied().unwrap_or(0);
        let (object, limit) = (flat.object(usize::from(first)), MAX_LEAF as usize);
        CompileError::TooManyAlike { object, total: self.alike.len() + limit, limit }
    }
}

/// The tree that cuts where the region is narrow: by source, by destination, by broad addresses, or by the rest.
fn tree_of(region: &Region, of: usize, border: u32) -> usize {
    let source = narrowness(region, of, word::SOURCE_HIGH);
    let destination = narrowness(region, of, word::DESTINATION_HIGH);
    match () {
        () if source >= border && source >= destination => 0,
        () if destination >= border => 1,
        () if source > 0 || destination > 0 => 2,
        () => 3,
    }
}

/// Length of the shortest prefix that holds the address, of 32 bits; two bits of IPv6 count as one.
fn narrowness(region: &Region, of: usize, high: usize) -> u32 {
    let same = |span: Span<u64>| (span.first ^ span.last).leading_zeros();
    let (first, second) = (same(region.words[high]), same(region.words[high + 1]));
    match of {
        family::V4 => second - u32::BITS,
        _ if first == u64::BITS => (u64::BITS + second).div_ceil(2).min(u32::BITS),
        _ => (first / 2).min(u32::BITS),
    }
}

struct Grower<'a> {
    forest: &'a mut Forest,
    regions: &'a [Region],
    of: usize,
}

impl Grower<'_> {
    /// The child for packets in `space`, where these regions can match.
    fn grow(&mut self, list: Vec<u32>, space: &Words, depth: u32) -> u32 {
        if self.is_full() {
            return leaf::EMPTY;
        }
        let list = self.visible(list, space);
        let regions: Vec<&Region> = list.iter().map(|region| &self.regions[*region as usize]).collect();
        let cut = if depth < MAX_DEPTH { cut::best(&regions, space) } else { None };
        match cut {
            Some(cut) => self.node(&list, space, depth, &cut),
            None => self.leaf(list),
        }
    }

    /// What has grown out of bounds is refused, so it need not grow on.
    fn is_full(&self) -> bool {
        let Store { leaves, children, .. } = &self.forest.store;
        leaves[self.of].len() > MAX_RECORDS || children.len() > MAX_CHILDREN
    }

    /// Without regions that never come first here: of the same column, and behind one that ends the filter for every
    /// packet of the space, or for the same packets.
    fn visible(&self, mut list: Vec<u32>, space: &Words) -> Vec<u32> {
        let (mut ended, mut parts) = (HashSet::new(), HashSet::new());
        list.retain(|region| {
            let region = &self.regions[*region as usize];
            let part = (region.column, region.part(space));
            if ended.contains(&region.column) || parts.contains(&part) {
                return false;
            }
            if region.ends && region.fills(space) {
                ended.insert(region.column);
            } else if region.ends {
                parts.insert(part);
            }
            true
        });
        list
    }

    fn leaf(&mut self, mut list: Vec<u32>) -> u32 {
        if list.len() > MAX_LEAF as usize {
            let mut broadest = list.clone();
            broadest.sort_by_key(|region| std::cmp::Reverse(self.breadth(*region)));
            let leaving = broadest.into_iter().take(list.len() - MAX_LEAF as usize / 2);
            let leaving: BTreeSet<u16> = leaving.map(|region| self.regions[region as usize].entry).collect();
            list.retain(|region| !leaving.contains(&self.regions[*region as usize].entry));
            self.forest.alike.extend(leaving);
        }
        self.forest.store.leaf(self.of, &list)
    }

    /// log2 of how many values the region accepts, roughly.
    fn breadth(&self, region: u32) -> u32 {
        self.regions[region as usize]
            .words
            .iter()
            .map(|span| u64::BITS - (span.last - span.first).leading_zeros())
            .sum()
    }

    fn node(&mut self, list: &[u32], space: &Words, depth: u32, cut: &Cut) -> u32 {
        let covering = |region: &u32| self.regions[*region as usize].covers(cut.word, space);
        let (everywhere, some): (Vec<u32>, Vec<u32>) = list.iter().partition(|region| covering(region));
        let mut slices = vec![Vec::new(); cut.slices as usize];
        for region in &some {
            let own = cut.slices_of(&self.regions[*region as usize], space);
            slices[own].iter_mut().for_each(|slice| slice.push(*region));
        }
        // A slice that every region in it fills is as good as any other with the same regions.
        let mut filled: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut children = Vec::with_capacity(slices.len() + 1);
        for (number, slice) in (0..).zip(slices) {
            let inside = self.slice(space, cut, number);
            let fills = |region: &u32| self.regions[*region as usize].covers(cut.word, &inside);
            let all_fill = slice.iter().all(fills);
            let child = match filled.get(&slice).filter(|_| all_fill) {
                Some(child) => *child,
                None => {
                    let child = self.grow(merged(&everywhere, &slice), &inside, depth + 1);
                    if all_fill {
                        filled.insert(slice, child);
                    }
                    child
                }
            };
            children.push(child);
        }
        let beyond: Vec<u32> = some
            .into_iter()
            .filter(|region| self.regions[*region as usize].reaches_beyond(cut.word))
            .collect();
        children.push(self.grow(merged(&everywhere, &beyond), &outside(space, cut), depth + 1));
        let node = Node {
            low: cut.base << cut.shift,
            children: 0,
            last: cut.slices as u16,
            word: cut.word as u8,
            shift: cut.shift as u8,
        };
        self.forest.store.node(node, children)
    }

    /// The part of `space` that lies in one slice.
    fn slice(&self, space: &Words, cut: &Cut, number: u64) -> Words {
        let first = (cut.base + number) << cut.shift;
        let last = first + ((1 << cut.shift) - 1);
        let whole = space[cut.word];
        let mut inside = *space;
        inside[cut.word] = Span { first: first.max(whole.first), last: last.min(whole.last) };
        inside
    }
}

fn outside(space: &Words, cut: &Cut) -> Words {
    let mut outside = *space;
    if matches!(cut.word, word::SOURCE_PORT | word::DESTINATION_PORT) {
        outside[cut.word] = OUTSIDE;
    }
    outside
}

/// Both in order.
fn merged(one: &[u32], other: &[u32]) -> Vec<u32> {
    let mut merged = [one, other].concat();
    merged.sort_unstable();
    merged
}
