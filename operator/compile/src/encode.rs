//! The bytes of the classifier's maps.

use bytemuck::Pod;
use sluice_abi::{Dimension, Entry, EntryAction, Pattern, Straight, dimension, entry_flags, features, tests};
use sluice_plan::{FilterTables, LargeTables};

use crate::rows::{EntrySet, Rows};

/// Tables as the dimensions fill them in.
pub struct Tables {
    pub rows: Rows,
    features: u64,
    dimensions: [Dimension; dimension::COUNT],
    direct: Vec<u32>,
    bounds: Vec<Vec<u8>>,
    patterns: Vec<u8>,
}

impl Tables {
    pub fn new() -> Tables {
        Tables {
            rows: Rows::default(),
            features: 0,
            dimensions: [Dimension::default(); dimension::COUNT],
            direct: Vec::new(),
            bounds: vec![Vec::new(); dimension::COUNT],
            patterns: Vec::new(),
        }
    }

    /// Marks a directly indexed dimension that every packet has as used.
    pub fn used(&mut self, index: usize) {
        self.features |= features::dimension(index);
    }

    /// Marks a directly indexed dimension that packets may lack as used.
    pub fn used_with(&mut self, index: usize, special: u32) {
        self.used(index);
        self.dimensions[index].special = special;
    }

    /// Puts a row at one element of the directly indexed table.
    pub fn direct(&mut self, at: u32, row: &EntrySet) {
        let at = at as usize;
        self.direct.resize(self.direct.len().max(at + 1), 0);
        self.direct[at] = self.rows.intern(row);
    }

    /// Fills in a searched dimension.
    pub fn searched<B: Pod>(&mut self, index: usize, special: u32, bounds: &[B]) {
        self.used_with(index, special);
        self.dimensions[index].intervals = bounds.len() as u32;
        self.bounds[index] = bytes(bounds);
    }

    /// The sets that a dimension's entries ask for, as bits.
    pub fn sets(&mut self, index: usize, used: u32) {
        self.dimensions[index].intervals = used;
    }

    /// The patterns whose groups are looked up.
    pub fn patterns(&mut self, patterns: &[Pattern]) {
        self.dimensions[dimension::PAYLOADS].intervals = patterns.len() as u32;
        self.patterns = bytes(patterns);
    }

    /// Entries that need no tables beside themselves, the address sets and the kernel's sockets.
    pub fn straight(entries: &[Entry], straight: &[Straight]) -> FilterTables {
        let any = |sets: fn(&Straight) -> u32| straight.iter().map(sets).fold(0, |any, sets| any | sets);
        let sides = [
            (dimension::SOURCE_SETS, any(|entry| entry.source_sets)),
            (dimension::DESTINATION_SETS, any(|entry| entry.destination_sets)),
        ];
        let mut tables = Tables::new();
        for (index, sets) in sides.into_iter().filter(|(_, sets)| *sets != 0) {
            tables.used(index);
            tables.sets(index, sets);
        }
        if straight.iter().any(|entry| entry.tests & tests::ESTABLISHED != 0) {
            tables.used(dimension::ESTABLISHED);
        }
        FilterTables {
            features: features::STRAIGHT | tables.features | entry_features(entries),
            words: 1,
            dimensions: bytes(&tables.dimensions),
            entries: bytes(entries),
            straight: bytes(straight),
            ..FilterTables::default()
        }
    }

    /// `bits` are those of a row in use: as many as there are entries, or fewer beside `large`.
    pub fn encode(self, entries: &[Entry], bits: usize, large: LargeTables) -> FilterTables {
        let trees = if large == LargeTables::default() { 0 } else { features::LARGE };
        FilterTables {
            features: self.features | entry_features(entries) | trees,
            words: if trees == 0 { bits.div_ceil(64).max(1) } else { bits.div_ceil(64).next_power_of_two() }
                as u32,
            dimensions: bytes(&self.dimensions),
            entries: bytes(entries),
            straight: Vec::new(),
            rows: bytes(self.rows.as_slice()),
            direct: bytes(&self.direct),
            bounds: self.bounds,
            large,
            limits: Vec::new(),
            marks: Vec::new(),
            patterns: self.patterns,
        }
    }
}

fn entry_features(entries: &[Entry]) -> u64 {
    let audit = entry_flags::AUDIT_RULE | entry_flags::AUDIT_FILTER;
    let decides = [EntryAction::Pass as u8, EntryAction::Drop as u8];
    let continues = |entry: &Entry| !decides.contains(&entry.action) || entry.flags & audit != 0;
    let mut bits = 0;
    if !entries.is_empty() {
        bits |= features::ENTRIES;
    }
    if entries.iter().any(continues) {
        bits |= features::CONTINUING;
    }
    for (action, bit) in [(EntryAction::RateLimit, features::LIMITS), (EntryAction::Mark, features::MARKS)] {
        if entries.iter().any(|entry| entry.action == action as u8) {
            bits |= bit;
        }
    }
    bits
}

pub fn bytes<T: Pod>(elements: &[T]) -> Vec<u8> {
    bytemuck::cast_slice(elements).to_vec()
}
