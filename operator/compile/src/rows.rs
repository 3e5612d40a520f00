//! The rows that all dimensions share.

use std::collections::HashMap;

use sluice_abi::{ABSENT, LATER, Row, WORDS};

/// Rows in the order of their first use; equal ones are stored once.
#[derive(Default)]
pub struct Rows {
    rows: Vec<Row>,
    /// For look-up only: its order never reaches the output.
    known: HashMap<Row, u32>,
}

impl Rows {
    /// The index of a row.
    pub fn intern(&mut self, row: &Row) -> u32 {
        if let Some(&index) = self.known.get(row) {
            return index;
        }
        let index = self.rows.len() as u32;
        self.rows.push(*row);
        self.known.insert(*row, index);
        index
    }

    /// The index of the first of two rows that stand side by side.
    pub fn special(&mut self, absent: Row, later: Row) -> u32 {
        const { assert!(ABSENT == 0 && LATER == 1) };
        let neighbours = self.rows.array_windows().position(|[a, b]| *a == absent && *b == later);
        if let Some(first) = neighbours {
            return first as u32;
        }
        let first = self.rows.len() as u32;
        for row in [absent, later] {
            self.known.entry(row).or_insert(self.rows.len() as u32);
            self.rows.push(row);
        }
        first
    }

    pub fn as_slice(&self) -> &[Row] {
        &self.rows
    }
}

/// A row with the bits of the first `entries` entries.
pub fn all(entries: usize) -> Row {
    let mut row = [0; WORDS];
    (0..entries).for_each(|entry| set(&mut row, entry));
    row
}

pub fn set(row: &mut Row, entry: usize) {
    row[entry / 64] |= 1 << (entry % 64);
}

pub fn clear(row: &mut Row, entry: usize) {
    row[entry / 64] &= !(1 << (entry % 64));
}

pub fn toggle(row: &mut Row, entry: usize) {
    row[entry / 64] ^= 1 << (entry % 64);
}
