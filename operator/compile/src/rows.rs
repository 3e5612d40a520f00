//! Sets of entries, and the rows of them that all dimensions share.

use std::collections::HashMap;

use sluice_abi::{ABSENT, LATER, Row, WORDS};

/// A set of entries with a fingerprint that follows each change, so that finding an equal row costs no pass over it.
#[derive(Clone, Copy, Default)]
pub struct EntrySet {
    row: Row,
    /// XOR of one random-looking number per entry in the set (Zobrist 1970).
    fingerprint: u64,
}

impl EntrySet {
    /// The first `entries` entries.
    pub fn all(entries: usize) -> EntrySet {
        let mut set = EntrySet::default();
        (0..entries).for_each(|entry| set.toggle(entry));
        set
    }

    pub fn insert(&mut self, entry: usize) {
        if !self.contains(entry) {
            self.toggle(entry);
        }
    }

    pub fn remove(&mut self, entry: usize) {
        if self.contains(entry) {
            self.toggle(entry);
        }
    }

    pub fn toggle(&mut self, entry: usize) {
        self.row[entry / 64] ^= 1 << (entry % 64);
        self.fingerprint ^= number(entry as u64);
    }

    fn contains(&self, entry: usize) -> bool {
        self.row[entry / 64] & 1 << (entry % 64) != 0
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn number(entry: u64) -> u64 {
    let mut z = entry.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Rows in the order of their first use; equal ones are stored once.
#[derive(Default)]
pub struct Rows {
    rows: Vec<Row>,
    /// Rows by fingerprint. For look-up only: its order never reaches the output.
    known: HashMap<u64, Vec<u32>>,
}

impl Rows {
    /// The index of the row of a set.
    pub fn intern(&mut self, set: &EntrySet) -> u32 {
        let known = self.known.get(&set.fingerprint);
        let found = known.and_then(|known| known.iter().find(|&&index| self.rows[index as usize] == set.row));
        found.copied().unwrap_or_else(|| self.push(set))
    }

    /// The index of the first of two rows that stand side by side.
    pub fn special(&mut self, absent: &EntrySet, later: &EntrySet) -> u32 {
        const { assert!(ABSENT == 0 && LATER == 1) };
        let neighbours = self.rows.array_windows().position(|[a, b]| *a == absent.row && *b == later.row);
        if let Some(first) = neighbours {
            return first as u32;
        }
        let first = self.push(absent);
        self.push(later);
        first
    }

    pub fn as_slice(&self) -> &[Row] {
        &self.rows
    }

    fn push(&mut self, set: &EntrySet) -> u32 {
        const { assert!(WORDS * 64 <= u16::MAX as usize) };
        let index = self.rows.len() as u32;
        self.rows.push(set.row);
        self.known.entry(set.fingerprint).or_default().push(index);
        index
    }
}
