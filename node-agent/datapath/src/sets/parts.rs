//! Nodes, cells and buckets of a family of a set.

use bytemuck::Pod;
use sluice_abi::{BucketV4, BucketV6, CUT_BUCKET, SET_CELLS, SET_DEPTH, SetNode};

/// A bucket of one of the families.
pub trait Bucket: Pod {
    /// An address.
    type Number: Copy + Ord + Into<u128>;
    /// As it lies in a bucket.
    type Bound: Pod;

    const CAPACITY: usize;

    fn new(below: u32, count: u32) -> Self;
    fn put(&mut self, at: usize, bound: Self::Number);
    fn bound(number: Self::Number) -> Self::Bound;

    #[cfg(test)]
    fn head(&self) -> (u32, u32);
    #[cfg(test)]
    fn bounds(&self) -> &[Self::Bound];
    #[cfg(test)]
    fn number(bound: Self::Bound) -> u128;
}

macro_rules! bucket {
    ($bucket:ty, $number:ty, $bound:ty, $capacity:literal, $to:expr, $from:expr) => {
        impl Bucket for $bucket {
            type Number = $number;
            type Bound = $bound;

            const CAPACITY: usize = $capacity;

            fn new(below: u32, count: u32) -> Self {
                let mut bucket = Self { below, count, ..Self::default() };
                bucket.bounds.fill(Self::bound(<$number>::MAX));
                bucket
            }
            fn put(&mut self, at: usize, bound: $number) {
                self.bounds[at] = Self::bound(bound);
            }
            fn bound(number: $number) -> $bound {
                $to(number)
            }
            #[cfg(test)]
            fn head(&self) -> (u32, u32) {
                (self.below, self.count)
            }
            #[cfg(test)]
            fn bounds(&self) -> &[$bound] {
                &self.bounds
            }
            #[cfg(test)]
            fn number(bound: $bound) -> u128 {
                $from(bound)
            }
        }
    };
}
bucket!(BucketV4, u32, u32, 14, |number| number, u128::from);
bucket!(BucketV6, u128, [u64; 2], 7, halves, |[high, low]: [u64; 2]| u128::from(high) << 64
    | u128::from(low));

/// As they grow.
pub struct Parts<'a, B: Bucket> {
    bounds: &'a [B::Number],
    pub nodes: Vec<SetNode>,
    /// For each bucket, a bit for each of its cells.
    pub cells: Vec<u32>,
    pub buckets: Vec<B>,
    pub searched: Vec<B::Bound>,
}

impl<'a, B: Bucket> Parts<'a, B> {
    pub fn new(bounds: &'a [B::Number]) -> Parts<'a, B> {
        Parts { bounds, nodes: Vec::new(), cells: Vec::new(), buckets: Vec::new(), searched: Vec::new() }
    }

    /// Cuts the bounds from `first` to `end`; the number of the node.
    pub fn add_node(&mut self, first: usize, end: usize, level: u32) -> u32 {
        let bounds = &self.bounds[first..end];
        let (lowest, highest) = (bounds[0].into(), bounds[bounds.len() - 1].into());
        let number = self.nodes.len();
        let mut node = SetNode {
            lowest: halves(lowest),
            highest: halves(highest),
            first: self.searched.len() as u32,
            below: first as u32,
            bounds: bounds.len() as u32,
            ..SetNode::default()
        };
        if level == SET_DEPTH || bounds.len() <= B::CAPACITY {
            self.searched.extend(bounds.iter().map(|bound| B::bound(*bound)));
            self.nodes.push(node);
            return number as u32;
        }
        // Half full on average.
        let buckets = bounds.len().div_ceil(B::CAPACITY / 2);
        let range = highest - lowest;
        node.first = self.buckets.len() as u32;
        node.shift = (u128::BITS - range.leading_zeros()).saturating_sub(u32::BITS);
        let steps = (range >> node.shift) as u64 + 1;
        node.scale = ((buckets as u64 * u64::from(SET_CELLS)) << 32) / steps;
        self.nodes.push(node);
        let at = self.buckets.len();
        self.buckets.resize(at + buckets, B::zeroed());
        self.cells.resize(at + buckets, 0);
        self.fill(&Cut { lowest, shift: node.shift, scale: node.scale, at, first, end }, level);
        number as u32
    }

    fn fill(&mut self, cut: &Cut, level: u32) {
        let (mut below, mut at) = (cut.first, cut.at);
        while below < cut.end {
            let bucket = self.bucket(cut, below);
            self.buckets[at..bucket].fill(B::new(below as u32, 0));
            let mut next = below;
            while next < cut.end && self.bucket(cut, next) == bucket {
                next += 1;
            }
            self.buckets[bucket] = self.one(below, next, level);
            (below, at) = (next, bucket + 1);
        }
        // The first of two bounds is in the set, and so is what lies before the second.
        for inside in (cut.first..cut.end).filter(|bound| bound % 2 == 0) {
            let last = self.bounds.get(inside + 1).filter(|_| inside + 1 < cut.end);
            let from = self.bounds[inside].into();
            let to = last.map_or(cut.last(self.bounds), |last| (*last).into() - 1);
            self.mark(cut.cell(from), cut.cell(to), cut.at);
        }
    }

    fn one(&mut self, below: usize, next: usize, level: u32) -> B {
        if next - below > B::CAPACITY {
            return B::new(self.add_node(below, next, level + 1), CUT_BUCKET);
        }
        let mut bucket = B::new(below as u32, (next - below) as u32);
        (below..next).enumerate().for_each(|(at, bound)| bucket.put(at, self.bounds[bound]));
        bucket
    }

    fn bucket(&self, cut: &Cut, bound: usize) -> usize {
        cut.at + (cut.cell(self.bounds[bound].into()) / u64::from(SET_CELLS)) as usize
    }

    /// The cells from one to another of the node whose first bucket this is.
    fn mark(&mut self, from: u64, to: u64, at: usize) {
        let cells = u64::from(SET_CELLS);
        for bucket in from / cells..=to / cells {
            let first = if bucket == from / cells { from % cells } else { 0 };
            let last = if bucket == to / cells { to % cells } else { cells - 1 };
            self.cells[at + bucket as usize] |= (u32::MAX >> (cells - 1 - last)) & (u32::MAX << first);
        }
    }
}

/// A node's bounds, and how they find their cell.
struct Cut {
    lowest: u128,
    shift: u32,
    scale: u64,
    /// The node's first bucket.
    at: usize,
    first: usize,
    end: usize,
}

impl Cut {
    fn cell(&self, number: u128) -> u64 {
        (((number - self.lowest) >> self.shift) as u64 * self.scale) >> 32
    }

    fn last<N: Copy + Into<u128>>(&self, bounds: &[N]) -> u128 {
        bounds[self.end - 1].into()
    }
}

fn halves(number: u128) -> [u64; 2] {
    [(number >> 64) as u64, number as u64]
}
