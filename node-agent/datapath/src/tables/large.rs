//! Whether the tables beside the rows are sound: every child is a node or a leaf that is there, and ways end.

use sluice_abi::{
    Bit, MAX_BITS, MAX_CHILDREN, MAX_DEPTH, MAX_LEAF, MAX_RECORDS, NO_ENTRY, Node, Record, RecordV4,
    RecordV6, TREES, family, leaf, word,
};
use sluice_plan::Filters;

use super::{elements, ensure};
use crate::error::Result;

struct Sizes {
    entries: usize,
    bits: usize,
    children: usize,
    /// By family.
    records: [usize; family::COUNT],
}

/// Gives the number of bits.
pub fn check(filters: &Filters, entries: usize) -> Result<usize> {
    let tables = &filters.tables.large;
    let bits: Vec<Bit> = elements("bits", &tables.bits)?;
    let ranks: Vec<u32> = elements("ranks", &tables.ranks)?;
    let nodes: Vec<Node> = elements("nodes", &tables.nodes)?;
    let children: Vec<u32> = elements("children", &tables.children)?;
    let v4: Vec<RecordV4> = elements("records of IPv4", &tables.records_v4)?;
    let v6: Vec<RecordV6> = elements("records of IPv6", &tables.records_v6)?;
    let roots: Vec<[u32; TREES]> = elements("roots", &tables.roots)?;
    let records = [v4.len(), v6.len()];
    let sizes = Sizes { entries, bits: bits.len(), children: children.len(), records };
    sizes.check(tables.wide_words as usize, ranks.len())?;
    ensure(roots.len() == family::COUNT, "roots", || format!("{} families", roots.len()))?;
    for bit in &bits {
        let known = bit.entry == NO_ENTRY || usize::from(bit.entry) < entries;
        ensure(known, "bits", || format!("{bit:?} of {entries} entries"))?;
    }
    for rank in ranks {
        ensure(rank as usize <= sizes.bits, "ranks", || format!("{rank} of {} bits", sizes.bits))?;
    }
    for record in v4.iter().map(|record| &record.record).chain(v6.iter().map(|record| &record.record)) {
        sizes.check_record(record)?;
    }
    for (of, roots) in roots.iter().enumerate() {
        check_trees(&sizes, of, roots, &nodes, &children)?;
    }
    Ok(bits.len())
}

impl Sizes {
    fn check(&self, wide_words: usize, ranks: usize) -> Result<()> {
        let Sizes { entries, bits, children, records } = self;
        ensure(*bits <= MAX_BITS && wide_words * 64 <= *bits, "bits", || {
            format!("{bits}, {wide_words} words wide")
        })?;
        ensure(ranks == *entries, "ranks", || format!("{ranks} for {entries} entries"))?;
        ensure(*children <= MAX_CHILDREN, "children", || format!("{children} where {MAX_CHILDREN} fit"))?;
        ensure(records.iter().all(|records| *records <= MAX_RECORDS), "records", || {
            format!("{records:?} where {MAX_RECORDS} fit")
        })
    }

    fn check_record(&self, record: &Record) -> Result<()> {
        let sound = usize::from(record.entry) < self.entries && usize::from(record.column) < self.bits;
        ensure(sound, "records", || format!("{record:?} of {} entries and {} bits", self.entries, self.bits))
    }
}

/// Level by level, each node once.
fn check_trees(sizes: &Sizes, of: usize, roots: &[u32], nodes: &[Node], children: &[u32]) -> Result<()> {
    let mut level = roots.to_vec();
    for _ in 0..=MAX_DEPTH {
        let mut below = Vec::new();
        for child in level {
            if leaf::is(child) {
                let end = leaf::start(child) as usize + leaf::count(child) as usize;
                let fits = end <= sizes.records[of] && leaf::count(child) <= MAX_LEAF;
                ensure(fits, "children", || format!("a leaf up to record {end} of {}", sizes.records[of]))?;
                continue;
            }
            let node = nodes.get(child as usize);
            ensure(node.is_some(), "children", || format!("node {child} of {}", nodes.len()))?;
            let Some(node) = node else { continue };
            let end = node.children as usize + usize::from(node.last) + 1;
            let sound = usize::from(node.word) < word::COUNT
                && u32::from(node.shift) < u64::BITS
                && end <= sizes.children;
            ensure(sound, "nodes", || format!("{node:?} of {} children", sizes.children))?;
            below.extend(&children[node.children as usize..end]);
        }
        below.sort_unstable();
        below.dedup();
        level = below;
    }
    ensure(level.is_empty(), "nodes", || format!("a way of more than {MAX_DEPTH}"))
}
