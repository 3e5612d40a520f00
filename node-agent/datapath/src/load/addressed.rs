//! The tables that the kernel program addresses, as they are to lie in the kernel.

use sluice_abi::{Bit, Bound32, Entry, Node, RecordV4, RecordV6, Row, dimension, table};
use sluice_plan::{FilterTables, NodePlan};

use super::tables::{array, entries_with_slots, with_slots};
use super::{LoadError, LoadSpec, trie};
use crate::tables::BOUNDS;

/// As long as a power of two of its elements, the last ones zero.
pub struct Addressed {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub element: usize,
}

impl Addressed {
    /// Index of the last element.
    pub fn last(&self) -> u32 {
        (self.bytes.len() / self.element - 1) as u32
    }
}

/// In the order of [`table`].
pub fn addressed(plan: &NodePlan, spec: &LoadSpec) -> Result<Vec<Addressed>, LoadError> {
    let contents =
        (0..table::COUNT).map(|number| Ok((number, contents(&plan.filters.tables, spec, number)?)));
    let padded = |(number, mut bytes): (usize, Vec<u8>)| {
        let (name, element) = (table::NAMES[number], element_size(number));
        if !bytes.len().is_multiple_of(element) {
            let problem = format!("{} bytes, not a multiple of {element}", bytes.len());
            return Err(LoadError::Plan { table: name, problem });
        }
        // The kernel has no map without elements.
        bytes.resize((bytes.len() / element).max(1).next_power_of_two() * element, 0);
        Ok(Addressed { name, bytes, element })
    };
    contents.map(|one| one.and_then(padded)).collect()
}

fn contents(tables: &FilterTables, spec: &LoadSpec, number: usize) -> Result<Vec<u8>, LoadError> {
    let large = &tables.large;
    Ok(match number {
        table::ENTRIES => entries_with_slots(&tables.entries, &spec.entry_slots),
        table::ROWS => tables.rows.clone(),
        table::DIRECT => tables.direct.clone(),
        table::BITS => large.bits.clone(),
        table::RANKS => large.ranks.clone(),
        table::NODES => large.nodes.clone(),
        table::CHILDREN => large.children.clone(),
        table::RECORDS4 => with_slots(&large.records_v4, size_of::<RecordV4>(), &spec.entry_slots),
        table::RECORDS6 => with_slots(&large.records_v6, size_of::<RecordV6>(), &spec.entry_slots),
        table::SPORT => made_of(tables, dimension::SOURCE_PORT, |bounds| Some(trie::ports(bounds)))?,
        table::DPORT => made_of(tables, dimension::DESTINATION_PORT, |bounds| Some(trie::ports(bounds)))?,
        table::SOURCE_TRIE => made_of(tables, dimension::SOURCE_V4, trie::addresses)?,
        table::DESTINATION_TRIE => made_of(tables, dimension::DESTINATION_V4, trie::addresses)?,
        _ => searched(number)
            .and_then(|(dimension, _)| tables.bounds.get(dimension))
            .cloned()
            .unwrap_or_default(),
    })
}

/// Empty where the plan has no intervals, or nothing can be made of them.
fn made_of(
    tables: &FilterTables,
    dimension: usize,
    make: impl Fn(&[Bound32]) -> Option<Vec<u32>>,
) -> Result<Vec<u8>, LoadError> {
    let table = "bounds";
    let bounds = tables.bounds.get(dimension).map_or(&[][..], Vec::as_slice);
    let bounds: Vec<Bound32> = array(table, bounds)?;
    if bounds.is_empty() {
        return Ok(Vec::new());
    }
    if bounds[0].start != 0 || !bounds.is_sorted_by(|one, next| one.start < next.start) {
        let problem = format!("intervals of dimension {dimension} are not in order from 0 on");
        return Err(LoadError::Plan { table, problem });
    }
    Ok(bytemuck::cast_slice(&make(&bounds).unwrap_or_default()).to_vec())
}

pub fn element_size(number: usize) -> usize {
    match number {
        table::ENTRIES => size_of::<Entry>(),
        table::ROWS => size_of::<Row>(),
        table::BITS => size_of::<Bit>(),
        table::NODES => size_of::<Node>(),
        table::RECORDS4 => size_of::<RecordV4>(),
        table::RECORDS6 => size_of::<RecordV6>(),
        table::SPORT | table::DPORT => size_of::<u32>(),
        _ => searched(number).map_or(size_of::<u32>(), |(_, element)| element),
    }
}

/// The dimension whose intervals a table holds, and their size.
fn searched(number: usize) -> Option<(usize, usize)> {
    let found = BOUNDS.iter().find(|(_, name, _)| *name == table::NAMES[number]);
    found.map(|(dimension, _, element)| (*dimension, *element))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever made them: a search would only have found a wrong row.
    #[test]
    fn intervals_that_are_not_in_order_are_refused() {
        for dimension in [dimension::DESTINATION_PORT, dimension::SOURCE_V4] {
            for (starts, sound) in [([0, 7], true), ([7, 0], false), ([0, 0], false), ([1, 7], false)] {
                let mut plan = NodePlan::default();
                let bounds = starts.map(|start| Bound32 { start, row: 0 });
                plan.filters.tables.bounds = vec![Vec::new(); dimension + 1];
                plan.filters.tables.bounds[dimension] = bytemuck::cast_slice(&bounds).to_vec();
                let made = addressed(&plan, &LoadSpec::default());
                assert_eq!(made.is_ok(), sound, "{starts:?}");
            }
        }
    }

    #[test]
    fn a_table_is_as_long_as_a_power_of_two() {
        let mut plan = NodePlan::default();
        plan.filters.tables.direct = vec![1; 4 * 5];
        let tables = addressed(&plan, &LoadSpec::default()).expect("sound");
        assert_eq!((tables[table::DIRECT].last(), &tables[table::DIRECT].bytes[20..]), (7, &[0; 12][..]));
        assert_eq!(tables[table::ROWS].last(), 0, "one element where there is none");
    }
}
