//! Tables of a plan by hand: each dimension as intervals with the entries that they satisfy.

use sluice_abi::{
    Bound32, Bound64, Bound128, Dimension, Entry, EntryAction, Limit, Pattern, Row, dimension,
    dimension::COUNT, entry_flags, features,
};
use sluice_plan::{FilterTables, NodePlan};

/// Entries of a row.
pub type Set<'a> = &'a [usize];

pub struct Tables {
    features: u64,
    dimensions: [Dimension; COUNT],
    entries: Vec<Entry>,
    rows: Vec<Row>,
    direct: Vec<u32>,
    bounds: Vec<Vec<u8>>,
    patterns: Vec<Pattern>,
}

impl Tables {
    /// All entries belong to one filter.
    pub fn new(entries: &[(EntryAction, u8)]) -> Tables {
        let next_filter = entries.len() as u16;
        let entry = |(rule, (action, flags)): (usize, &(EntryAction, u8))| Entry {
            action: *action as u8,
            flags: *flags,
            next_filter,
            filter: 0,
            rule: rule as u16,
            setting: 0,
            slot: 0,
        };
        let entries: Vec<Entry> = entries.iter().enumerate().map(entry).collect();
        let audited =
            |entry: &Entry| entry.flags & (entry_flags::AUDIT_RULE | entry_flags::AUDIT_FILTER) != 0;
        let decides =
            |entry: &Entry| [EntryAction::Pass as u8, EntryAction::Drop as u8].contains(&entry.action);
        let continuing = entries.iter().any(|entry| audited(entry) || !decides(entry));
        let limits = entries.iter().any(|entry| entry.action == EntryAction::RateLimit as u8);
        Tables {
            features: features::ENTRIES
                | if continuing { features::CONTINUING } else { 0 }
                | if limits { features::LIMITS } else { 0 },
            dimensions: Default::default(),
            entries,
            rows: vec![[0; 16]],
            direct: vec![0; dimension::DIRECT_LEN as usize],
            bounds: vec![Vec::new(); COUNT],
            patterns: Vec::new(),
        }
    }

    pub fn next_filter(mut self, of: std::ops::Range<usize>) -> Tables {
        let end = of.end as u16;
        self.entries[of].iter_mut().for_each(|entry| entry.next_filter = end);
        self
    }

    fn row(&mut self, set: Set<'_>) -> u32 {
        let mut row: Row = [0; 16];
        set.iter().for_each(|entry| row[entry / 64] |= 1 << (entry % 64));
        self.rows.push(row);
        self.rows.len() as u32 - 1
    }

    fn uses(&mut self, index: usize, intervals: usize, absent: Set<'_>, later: Set<'_>) {
        self.features |= features::dimension(index);
        let special = self.row(absent);
        self.row(later);
        self.dimensions[index] = Dimension { intervals: intervals as u32, special };
    }

    /// `intervals` are (start, entries); the first start is 0.
    pub fn searched(
        mut self,
        index: usize,
        intervals: &[(u32, Set<'_>)],
        absent: Set<'_>,
        later: Set<'_>,
    ) -> Self {
        self.uses(index, intervals.len(), absent, later);
        for (start, set) in intervals {
            let bound = Bound32 { start: *start, row: self.row(set) };
            self.bounds[index].extend_from_slice(bytemuck::bytes_of(&bound));
        }
        self
    }

    pub fn searched_mac(mut self, index: usize, intervals: &[(u64, Set<'_>)], absent: Set<'_>) -> Self {
        self.uses(index, intervals.len(), absent, absent);
        for (start, set) in intervals {
            let bound = Bound64 { start: *start, row: self.row(set), reserved: 0 };
            self.bounds[index].extend_from_slice(bytemuck::bytes_of(&bound));
        }
        self
    }

    pub fn searched_v6(mut self, index: usize, intervals: &[(u128, Set<'_>)], absent: Set<'_>) -> Self {
        self.uses(index, intervals.len(), absent, absent);
        for (start, set) in intervals {
            let row = self.row(set);
            let bound = Bound128 { high: (start >> 64) as u64, low: *start as u64, row, reserved: 0 };
            self.bounds[index].extend_from_slice(bytemuck::bytes_of(&bound));
        }
        self
    }

    /// `values` are those that do not have the set `others`; `length` values begin at `first` of the direct table.
    pub fn direct(
        mut self,
        index: usize,
        (first, length): (u32, u32),
        others: Set<'_>,
        values: &[(u32, Set<'_>)],
    ) -> Self {
        self.features |= features::dimension(index);
        let row = self.row(others);
        self.direct[first as usize..(first + length) as usize].fill(row);
        for (value, set) in values {
            self.direct[(first + value) as usize] = self.row(set);
        }
        self
    }

    /// The special rows of a directly indexed dimension.
    pub fn special(mut self, index: usize, absent: Set<'_>, later: Set<'_>) -> Self {
        self.uses(index, 0, absent, later);
        self
    }

    pub fn patterns(mut self, patterns: &[Pattern]) -> Self {
        self.dimensions[dimension::PAYLOADS].intervals = patterns.len() as u32;
        self.patterns = patterns.to_vec();
        self
    }

    pub fn plan(self) -> NodePlan {
        let limits = self.entries.iter().filter(|entry| entry.action == EntryAction::RateLimit as u8).count();
        let tables = FilterTables {
            features: self.features,
            words: self.entries.len().div_ceil(64).max(1) as u32,
            dimensions: bytemuck::cast_slice(&self.dimensions).to_vec(),
            entries: bytemuck::cast_slice(&self.entries).to_vec(),
            straight: Vec::new(),
            rows: bytemuck::cast_slice(&self.rows).to_vec(),
            direct: bytemuck::cast_slice(&self.direct).to_vec(),
            bounds: self.bounds,
            patterns: bytemuck::cast_slice(&self.patterns).to_vec(),
            limits: bytemuck::cast_slice(&vec![Limit::default(); limits]).to_vec(),
            ..FilterTables::default()
        };
        let mut plan = NodePlan::default();
        plan.filters.tables = tables;
        plan
    }
}
