//! The plan's table bytes as elements, and whether they are sound: an agent loads nothing that it has not checked.

mod large;

use bytemuck::Pod;
use sluice_abi::{
    BALANCER_WORDS, Bit, Bound32, Bound64, Bound128, Dimension, Entry, EntryAction, Limit, MAX_BALANCERS,
    MAX_BITS, MAX_ENTRIES, MAX_PATTERNS, Mark, NO_TARGET, PATTERN_BYTES, Pattern, PatternLayer, Row, Target,
    Vip, VipKey, WORDS, dimension, features,
};
use sluice_plan::{FilterTables, NodePlan};

use crate::error::{Error, Result};

/// The bytes of a table as its elements, whatever their alignment.
pub fn elements<T: Pod>(table: &'static str, bytes: &[u8]) -> Result<Vec<T>> {
    if !bytes.len().is_multiple_of(size_of::<T>()) {
        let detail = format!("{} bytes are no whole number of elements of {}", bytes.len(), size_of::<T>());
        return Err(Error::InvalidPlan { table, detail });
    }
    Ok(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect())
}

/// The searched dimensions: index, name of the kernel program's map, size of an interval.
pub const BOUNDS: [(usize, &str, usize); 13] = [
    (dimension::SOURCE_V4, "SRC4", size_of::<Bound32>()),
    (dimension::DESTINATION_V4, "DST4", size_of::<Bound32>()),
    (dimension::SOURCE_V6, "SRC6", size_of::<Bound128>()),
    (dimension::DESTINATION_V6, "DST6", size_of::<Bound128>()),
    (dimension::SOURCE_PORT, "SPORT", size_of::<Bound32>()),
    (dimension::DESTINATION_PORT, "DPORT", size_of::<Bound32>()),
    (dimension::ICMP, "ICMP", size_of::<Bound32>()),
    (dimension::LENGTH, "LENGTH", size_of::<Bound32>()),
    (dimension::OUTER_VLAN, "OUTER_VLAN", size_of::<Bound32>()),
    (dimension::INNER_VLAN, "INNER_VLAN", size_of::<Bound32>()),
    (dimension::ETHER_TYPE, "ETHER_TYPE", size_of::<Bound32>()),
    (dimension::SOURCE_MAC, "SOURCE_MAC", size_of::<Bound64>()),
    (dimension::DESTINATION_MAC, "DESTINATION_MAC", size_of::<Bound64>()),
];

/// Where each directly indexed dimension lies in the one table.
const DIRECT: [(usize, std::ops::Range<u32>); 8 + dimension::PAYLOAD_GROUPS] = [
    (dimension::KIND, dimension::DIRECT_KIND..dimension::DIRECT_PROTOCOL),
    (dimension::PROTOCOL, dimension::DIRECT_PROTOCOL..dimension::DIRECT_TCP_FLAGS),
    (dimension::TCP_FLAGS, dimension::DIRECT_TCP_FLAGS..dimension::DIRECT_HOP_LIMIT),
    (dimension::HOP_LIMIT, dimension::DIRECT_HOP_LIMIT..dimension::DIRECT_TRAFFIC_CLASS),
    (dimension::TRAFFIC_CLASS, dimension::DIRECT_TRAFFIC_CLASS..dimension::DIRECT_IP_OPTIONS),
    (dimension::IP_OPTIONS, dimension::DIRECT_IP_OPTIONS..dimension::DIRECT_EXTENSION_HEADERS),
    (dimension::EXTENSION_HEADERS, dimension::DIRECT_EXTENSION_HEADERS..dimension::DIRECT_PAYLOADS),
    (dimension::PAYLOADS, dimension::payload_group(0)..dimension::payload_group(1)),
    (dimension::PAYLOADS + 1, dimension::payload_group(1)..dimension::payload_group(2)),
    (dimension::PAYLOADS + 2, dimension::payload_group(2)..dimension::payload_group(3)),
    (dimension::PAYLOADS + 3, dimension::payload_group(3)..dimension::payload_group(4)),
    (dimension::ESTABLISHED, dimension::DIRECT_ESTABLISHED..dimension::DIRECT_LEN),
];

/// Every index in the tables points into them.
pub fn check(plan: &NodePlan) -> Result<()> {
    let entries = check_entries(plan)?;
    let is_large = plan.filters.tables.features & features::LARGE != 0;
    let bits = if is_large { large::check(&plan.filters, entries)? } else { entries };
    check_rows(plan, bits)?;
    check_balancers(plan)
}

fn check_entries(plan: &NodePlan) -> Result<usize> {
    let entries: Vec<Entry> = elements("entries", &plan.filters.tables.entries)?;
    ensure(entries.len() <= MAX_ENTRIES, "entries", || format!("{} where {MAX_ENTRIES} fit", entries.len()))?;
    let limits = elements::<Limit>("limits", &plan.filters.tables.limits)?.len();
    let marks = elements::<Mark>("marks", &plan.filters.tables.marks)?.len();
    for (table, length, action) in
        [("limits", limits, EntryAction::RateLimit), ("marks", marks, EntryAction::Mark)]
    {
        let users = entries.iter().filter(|entry| entry.action == action as u8);
        let settings = users.map(|entry| usize::from(entry.setting));
        ensure(settings.eq(0..length), table, || format!("{length} where the entries name others"))?;
    }
    for (at, entry) in entries.iter().enumerate() {
        let next = usize::from(entry.next_filter);
        ensure(next > at && next <= entries.len(), "entries", || {
            format!("entry {at} goes on at {next} of {}", entries.len())
        })?;
    }
    for part in &plan.filters.parts {
        ensure(part.first <= part.end && usize::from(part.end) <= entries.len(), "entries", || {
            format!("filter {} has {}..{} of {}", part.policy.name, part.first, part.end, entries.len())
        })?;
    }
    Ok(entries.len())
}

fn check_rows(plan: &NodePlan, bits: usize) -> Result<()> {
    let tables = &plan.filters.tables;
    let rows = elements::<Row>("rows", &tables.rows)?.len();
    let words = tables.words as usize;
    ensure(words <= WORDS && words * 64 >= bits, "words", || format!("{words} for {bits} bits"))?;
    let dimensions: Vec<Dimension> = elements("dimensions", &tables.dimensions)?;
    ensure(dimensions.len() == dimension::COUNT || dimensions.is_empty(), "dimensions", || {
        format!("{} where there are {}", dimensions.len(), dimension::COUNT)
    })?;
    check_patterns(tables, &dimensions)?;
    let in_rows =
        |table, mut used: Box<dyn Iterator<Item = u32>>| match used.find(|row| *row as usize >= rows) {
            Some(row) => Err(Error::InvalidPlan { table, detail: format!("row {row} of {rows}") }),
            None => Ok(()),
        };
    let direct: Vec<u32> = elements("direct", &tables.direct)?;
    // A dimension that no entry uses is not looked up, nor is any for entries that are constants: what its part of the
    // table holds says nothing.
    let looked_up = if tables.features & features::STRAIGHT != 0 { 0 } else { tables.features };
    let used = |index: usize| looked_up & features::dimension(index) != 0;
    for (_, part) in DIRECT.into_iter().filter(|(index, _)| used(*index)) {
        let whole = direct.get(part.start as usize..part.end as usize);
        ensure(whole.is_some(), "direct", || format!("{} elements, expected {}", direct.len(), part.end))?;
        in_rows("direct", Box::new(whole.unwrap_or_default().iter().copied()))?;
    }
    for (index, table, size) in BOUNDS {
        let bytes = tables.bounds.get(index).map_or(&[][..], Vec::as_slice);
        let used: Box<dyn Iterator<Item = u32>> = match size {
            size if size == size_of::<Bound128>() => {
                Box::new(elements::<Bound128>(table, bytes)?.into_iter().map(|bound| bound.row))
            }
            size if size == size_of::<Bound64>() => {
                Box::new(elements::<Bound64>(table, bytes)?.into_iter().map(|bound| bound.row))
            }
            _ => Box::new(elements::<Bound32>(table, bytes)?.into_iter().map(|bound| bound.row)),
        };
        in_rows(table, used)?;
    }
    Ok(())
}

fn check_patterns(tables: &FilterTables, dimensions: &[Dimension]) -> Result<()> {
    let patterns: Vec<Pattern> = elements("patterns", &tables.patterns)?;
    let said = dimensions.get(dimension::PAYLOADS).map_or(0, |dimension| dimension.intervals as usize);
    ensure(patterns.len() == said && said <= MAX_PATTERNS, "patterns", || {
        format!("{} where the dimension says {said}, at most {MAX_PATTERNS}", patterns.len())
    })?;
    let sound = |one: &Pattern| {
        (1..=PATTERN_BYTES as u32).contains(&one.length) && one.layer <= PatternLayer::Payload as u32
    };
    let unsound = patterns.iter().find(|one| !sound(one));
    ensure(unsound.is_none(), "patterns", || format!("{unsound:?} is none"))
}

fn check_balancers(plan: &NodePlan) -> Result<()> {
    let balancers = &plan.balancers;
    ensure(balancers.parts.len() <= MAX_BALANCERS, "balancers", || {
        format!("{} where {MAX_BALANCERS} fit", balancers.parts.len())
    })?;
    let ring: Vec<u32> = elements("ring", &balancers.tables.ring)?;
    let targets = elements::<Target>("targets", &balancers.tables.targets)?.len();
    let named: usize = balancers.parts.iter().map(|part| part.targets.len()).sum();
    ensure(targets == named, "targets", || format!("{targets} where the balancers name {named}"))?;
    let sound = |slot: &u32| *slot == NO_TARGET || (*slot as usize) < targets;
    ensure(ring.iter().all(sound), "ring", || format!("a slot points behind the {targets} targets"))?;
    let slots: usize = balancers.parts.iter().map(|part| part.vips.len()).sum();
    for (key, vip) in vips(plan)? {
        let end = u64::from(vip.ring) + u64::from(vip.mask) + 1;
        let fits = end <= ring.len() as u64
            && (u64::from(vip.mask) + 1).is_power_of_two()
            && (vip.slot as usize) < slots
            && (vip.balancer as usize) < balancers.parts.len();
        ensure(fits, "vips", || format!("{key:?} has {vip:?} with a ring of {}", ring.len()))?;
    }
    Ok(())
}

/// The VIP table's elements.
pub fn vips(plan: &NodePlan) -> Result<Vec<(VipKey, Vip)>> {
    #[repr(C)]
    #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
    struct Element(VipKey, Vip);
    let all: Vec<Element> = elements("vips", &plan.balancers.tables.vips)?;
    Ok(all.into_iter().map(|Element(key, vip)| (key, vip)).collect())
}

/// The bits of the rows that belong to the filters, by their position in the plan, which are selected.
pub fn mask(plan: &NodePlan, selected: impl Fn(usize) -> bool) -> [u64; WORDS] {
    let mut mask = [0; WORDS];
    let tables = &plan.filters.tables;
    if tables.features & features::LARGE != 0 {
        let bits = tables.large.bits.chunks_exact(size_of::<Bit>()).take(MAX_BITS);
        let filters = bits.map(|bit| usize::from(bytemuck::pod_read_unaligned::<Bit>(bit).filter));
        let own =
            filters.enumerate().filter(|(_, filter)| *filter < plan.filters.parts.len() && selected(*filter));
        own.for_each(|(bit, _)| set_bit(&mut mask, bit));
        return mask;
    }
    for (_, part) in plan.filters.parts.iter().enumerate().filter(|(position, _)| selected(*position)) {
        (part.first..part.end).for_each(|entry| set_bit(&mut mask, usize::from(entry)));
    }
    mask
}

/// Bit `index` set in a mask of words.
pub fn set_bit(mask: &mut [u64], index: usize) {
    mask[index / 64] |= 1 << (index % 64);
}

const _: () = assert!(MAX_BALANCERS == BALANCER_WORDS * 64);

fn ensure(sound: bool, table: &'static str, detail: impl FnOnce() -> String) -> Result<()> {
    if sound { Ok(()) } else { Err(Error::InvalidPlan { table, detail: detail() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_match_everything_need_no_rows() {
        let entry = Entry { next_filter: 1, ..Entry::default() };
        let mut plan = NodePlan::default();
        let tables = &mut plan.filters.tables;
        (tables.features, tables.words) = (features::ENTRIES, 1);
        tables.entries = bytemuck::bytes_of(&entry).to_vec();
        tables.direct = vec![0; 4 * dimension::DIRECT_LEN as usize];
        assert!(check(&plan).is_ok());
        plan.filters.tables.features |= features::dimension(dimension::PROTOCOL);
        let error = check(&plan).expect_err("a look-up would end nowhere");
        assert!(error.to_string().contains("direct: row 0 of 0"), "{error}");
    }
}
