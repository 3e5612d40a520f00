//! Where a node cuts: the word and the width of slices that leave the least to look through.

use sluice_abi::{MAX_LEAF, MAX_SLICES, word};

use super::space::{OUTSIDE, Region, Words};

/// So few records are looked through faster than another node is read.
const ENOUGH: usize = 4;
/// Slices for each region, as powers of two: from a quarter of their number to four times as many.
const FEWEST: u32 = 2;
const MOST: u32 = 2;
/// Elements of a child list that weigh as much as a record to look at.
const ELEMENTS: u64 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub word: usize,
    pub shift: u32,
    /// Number of the first slice: its first value is `base << shift`.
    pub base: u64,
    pub slices: u64,
}

impl Cut {
    /// Slices that the region's values in `space` lie in.
    pub fn slices_of(&self, region: &Region, space: &Words) -> std::ops::RangeInclusive<usize> {
        let (own, space) = (region.words[self.word], space[self.word]);
        let slice =
            |value: u64| ((value >> self.shift).saturating_sub(self.base)).min(self.slices - 1) as usize;
        slice(own.first.max(space.first))..=slice(own.last.min(space.last))
    }
}

/// `None` where nothing is gained by looking at one more node.
pub fn best(regions: &[&Region], space: &Words) -> Option<Cut> {
    let count = regions.len() as u64;
    if regions.len() <= ENOUGH {
        return None;
    }
    let cuts = (0..word::COUNT).flat_map(|word| candidates(regions, space, word));
    let (cost, cut) = cuts.map(|cut| (cost(regions, space, &cut), cut)).min_by_key(|(cost, _)| *cost)?;
    let worth = if count <= u64::from(MAX_LEAF) { cost * 2 < count * count } else { cost < count * count };
    worth.then_some(cut)
}

/// Slices over all values that only some of the regions have.
fn candidates(regions: &[&Region], space: &Words, word: usize) -> Vec<Cut> {
    if space[word] == OUTSIDE {
        return Vec::new();
    }
    let some: Vec<&&Region> = regions.iter().filter(|region| !region.covers(word, space)).collect();
    let first = some.iter().map(|region| region.words[word].first.max(space[word].first)).min();
    let last = some.iter().map(|region| region.words[word].last.min(space[word].last)).max();
    let (Some(first), Some(last)) = (first, last) else { return Vec::new() };
    let least = regions.len().ilog2().saturating_sub(FEWEST).max(1);
    let mut cuts: Vec<Cut> =
        (least..=regions.len().ilog2() + MOST).map(|power| cut(word, first, last, 1 << power)).collect();
    cuts.dedup();
    cuts
}

fn cut(word: usize, first: u64, last: u64, most: u64) -> Cut {
    let slices = |shift: u32| (last >> shift) - (first >> shift) + 1;
    let fits = |shift: &u32| (last >> shift) - (first >> shift) < most.min(MAX_SLICES);
    let shift = (0..u64::BITS).find(fits).unwrap_or(u64::BITS - 1);
    Cut { word, shift, base: first >> shift, slices: slices(shift) }
}

/// Records that packets have to look through, if each record is met as often as any other, and the child list.
fn cost(regions: &[&Region], space: &Words, cut: &Cut) -> u64 {
    let mut changes = vec![0i64; cut.slices as usize + 1];
    let mut everywhere = 0;
    for region in regions {
        if region.covers(cut.word, space) {
            everywhere += 1;
            continue;
        }
        let slices = cut.slices_of(region, space);
        changes[*slices.start()] += 1;
        changes[*slices.end() + 1] -= 1;
    }
    let mut here = 0;
    let mut cost = everywhere * everywhere + cut.slices / ELEMENTS;
    for change in &changes[..cut.slices as usize] {
        here += change;
        if here > 0 {
            cost += (here as u64 + everywhere) * (here as u64 + everywhere);
        }
    }
    cost
}
