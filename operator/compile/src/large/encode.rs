//! The bytes of the tables.

use sluice_abi::{Entry, EntryAction, Record, RecordV4, RecordV6, entry_flags, family, record_flags, word};
use sluice_plan::LargeTables;

use super::forest::Forest;
use super::space::{ANY_PORT, ANY_PROTOCOL, Region};
use super::split::Split;
use crate::encode::bytes;
use crate::flatten::Flat;
use crate::sweep::Span;

pub fn large(
    flat: &Flat,
    split: &Split,
    regions: &[Vec<Region>; family::COUNT],
    forest: &Forest,
) -> LargeTables {
    let in_leaves =
        |of: usize| forest.store.leaves[of].iter().map(move |region| &regions[of][*region as usize]);
    let records_v4: Vec<RecordV4> =
        in_leaves(family::V4).map(|region| record_v4(region, &flat.entries)).collect();
    let records_v6: Vec<RecordV6> =
        in_leaves(family::V6).map(|region| record_v6(region, &flat.entries)).collect();
    LargeTables {
        wide_words: split.wide_words as u32,
        bits: bytes(&split.bits),
        ranks: bytes(&ranks(flat, split)),
        roots: bytes(forest.roots.as_flattened()),
        nodes: bytes(&forest.store.nodes),
        children: bytes(&forest.store.children),
        records_v4: bytes(&records_v4),
        records_v6: bytes(&records_v6),
    }
}

/// By entry, how many wide ones are before it.
fn ranks(flat: &Flat, split: &Split) -> Vec<u32> {
    let is_wide = |entry: &usize| split.column[*entry].is_none();
    let mut before = 0;
    (0..flat.entries.len()).map(|entry| (before, before += u32::from(is_wide(&entry))).0).collect()
}

fn record_v4(region: &Region, entries: &[Entry]) -> RecordV4 {
    let address = |word: usize| (region.words[word].first as u32, region.words[word].last as u32);
    let (first_source, last_source) = address(word::SOURCE_LOW);
    let (first_destination, last_destination) = address(word::DESTINATION_LOW);
    RecordV4 {
        record: record(region, entries),
        first_source,
        last_source,
        first_destination,
        last_destination,
    }
}

fn record_v6(region: &Region, entries: &[Entry]) -> RecordV6 {
    let address = |high: usize| {
        let [high, low] = [region.words[high], region.words[high + 1]];
        ([high.first, low.first], [high.last, low.last])
    };
    let (first_source, last_source) = address(word::SOURCE_HIGH);
    let (first_destination, last_destination) = address(word::DESTINATION_HIGH);
    RecordV6 {
        record: record(region, entries),
        first_source,
        last_source,
        first_destination,
        last_destination,
    }
}

fn record(region: &Region, entries: &[Entry]) -> Record {
    let entry = &entries[usize::from(region.entry)];
    let mut flags = if region.later { record_flags::LATER } else { 0 };
    if entry.action == EntryAction::Drop as u8 {
        flags |= record_flags::DROPS;
    }
    if entry.flags & entry_flags::DROP_LATER != 0 {
        flags |= record_flags::DROPS_LATER;
    }
    let mut span = |word: usize, any: Span<u64>, flag: u8| {
        let found = region.words[word];
        if found == any {
            flags |= flag;
            return (0, 0);
        }
        (found.first as u16, found.last as u16)
    };
    let protocol = span(word::PROTOCOL, ANY_PROTOCOL, record_flags::ANY_PROTOCOL);
    let source_port = span(word::SOURCE_PORT, ANY_PORT, record_flags::ANY_SOURCE_PORT);
    let destination_port = span(word::DESTINATION_PORT, ANY_PORT, record_flags::ANY_DESTINATION_PORT);
    Record {
        entry: region.entry,
        column: region.column,
        slot: 0,
        protocol: protocol.0 as u8,
        flags,
        first_source_port: source_port.0,
        last_source_port: source_port.1,
        first_destination_port: destination_port.0,
        last_destination_port: destination_port.1,
    }
}
