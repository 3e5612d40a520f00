//! The contents of the table maps, as the plan has them.

use std::mem::offset_of;
use std::os::fd::BorrowedFd;

use bytemuck::Pod;
use sluice_abi::{
    DecapPeer, Entry, HopState, Limit, MAX_ENTRIES, Mark, NextHop, Pattern, Record, RecordV4, RecordV6,
    Target, Vip, VipKey,
};
use sluice_plan::NodePlan;

use super::addressed::Addressed;
use super::{LoadError, LoadSpec};
use crate::bpf;

pub const ENTRY: &str = "ENTRIES";
pub const TARGETS: &str = "TARGETS";
pub const LIMITS: &str = "LIMITS";
pub const SETS: &str = "SETS";

/// One map's contents. Arrays have their indices as keys.
pub struct Table {
    pub name: &'static str,
    keys: Vec<u8>,
    values: Vec<u8>,
    count: usize,
}

impl Table {
    /// The kernel has no map without elements.
    pub fn max_entries(&self) -> u32 {
        self.count.max(1) as u32
    }

    pub fn value_size(&self) -> Option<u32> {
        let size = self.values.len().checked_div(self.count)?;
        u32::try_from(size).ok()
    }

    pub fn fill(&self, map: BorrowedFd<'_>) -> Result<(), LoadError> {
        bpf::update_batch(map, &self.keys, &self.values, self.count as u32).map_err(|source| LoadError::Map {
            name: self.name.into(),
            action: "fill",
            source,
        })
    }

    pub fn array(name: &'static str, values: &[u8], value_size: usize) -> Result<Table, LoadError> {
        if !values.len().is_multiple_of(value_size) {
            let problem = format!("{} bytes, not a multiple of {value_size}", values.len());
            return Err(LoadError::Plan { table: name, problem });
        }
        let count = values.len() / value_size;
        let keys = (0..count as u32).flat_map(u32::to_ne_bytes).collect();
        Ok(Table { name, keys, values: values.to_vec(), count })
    }
}

pub fn tables(plan: &NodePlan, spec: &LoadSpec, addressed: Vec<Addressed>) -> Result<Vec<Table>, LoadError> {
    let filters = &plan.filters.tables;
    let balancers = &plan.balancers.tables;
    let mut tables = vec![
        Table::array("RING", &balancers.ring, size_of::<u32>())?,
        Table::array(TARGETS, &balancers.targets, size_of::<Target>())?,
        Table::array("TARGET_SLOTS", bytemuck::cast_slice(&spec.target_slots), size_of::<u32>())?,
        Table::array("VIP_SLOTS", bytemuck::cast_slice(&spec.vip_slots), size_of::<u32>())?,
        Table::array(LIMITS, &filters.limits, size_of::<Limit>())?,
        Table::array("MARKS", &filters.marks, size_of::<Mark>())?,
        Table::array("PATTERNS", &filters.patterns, size_of::<Pattern>())?,
        Table::array("REGIONS", bytemuck::cast_slice(&spec.limit_regions), size_of::<u32>())?,
        vips(&balancers.vips)?,
        decap(&spec.decap),
    ];
    tables.push(next_hops(balancers.targets.len() / size_of::<Target>(), spec)?);
    let addressed = addressed.into_iter().map(|Addressed { name, bytes, .. }| Table {
        name,
        keys: 0u32.to_ne_bytes().to_vec(),
        values: bytes,
        count: 1,
    });
    tables.extend(addressed);
    let entries = filters.entries.len() / size_of::<Entry>();
    if entries > MAX_ENTRIES {
        let problem = format!("{entries} entries, at most {MAX_ENTRIES}");
        return Err(LoadError::Plan { table: ENTRY, problem });
    }
    Ok(tables)
}

/// The records with the counter slots of their entries, which are this node's; zero where there are none.
pub fn with_slots(records: &[u8], size: usize, slots: &[u32]) -> Vec<u8> {
    const { assert!(offset_of!(RecordV4, record) == 0 && offset_of!(RecordV6, record) == 0) };
    let mut records = records.to_vec();
    for one in records.chunks_exact_mut(size) {
        let mut record: Record = bytemuck::pod_read_unaligned(&one[..size_of::<Record>()]);
        let slot = slots.get(usize::from(record.entry)).copied().unwrap_or(0);
        record.slot = slot as u16;
        one[..size_of::<Record>()].copy_from_slice(bytemuck::bytes_of(&record));
    }
    records
}

/// As [`with_slots`], for the entries themselves.
pub fn entries_with_slots(entries: &[u8], slots: &[u32]) -> Vec<u8> {
    let mut entries = entries.to_vec();
    for (number, one) in entries.chunks_exact_mut(size_of::<Entry>()).enumerate() {
        let slot = slots.get(number).copied().unwrap_or(0);
        let entry = Entry { slot: slot as u16, ..bytemuck::pod_read_unaligned(one) };
        one.copy_from_slice(bytemuck::bytes_of(&entry));
    }
    entries
}

/// The bytes as elements, wherever they lie in memory.
pub fn array<T: Pod>(table: &'static str, bytes: &[u8]) -> Result<Vec<T>, LoadError> {
    if !bytes.len().is_multiple_of(size_of::<T>()) {
        let problem = format!("{} bytes, not a multiple of {}", bytes.len(), size_of::<T>());
        return Err(LoadError::Plan { table, problem });
    }
    Ok(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect())
}

fn vips(bytes: &[u8]) -> Result<Table, LoadError> {
    const KEY: usize = size_of::<VipKey>();
    const ELEMENT: usize = KEY + size_of::<Vip>();
    let mut table = Table::array("VIPS", bytes, ELEMENT)?;
    table.keys = bytes.chunks_exact(ELEMENT).flat_map(|element| &element[..KEY]).copied().collect();
    table.values = bytes.chunks_exact(ELEMENT).flat_map(|element| &element[KEY..]).copied().collect();
    Ok(table)
}

/// Unresolved until the agent has asked netlink. A test has no neighbours, and wants to see the packet leave.
fn next_hops(targets: usize, spec: &LoadSpec) -> Result<Table, LoadError> {
    let test = NextHop { mtu: u16::MAX, state: HopState::Resolved as u8, ..NextHop::default() };
    let hop = if spec.pins.is_none() { test } else { NextHop::default() };
    Table::array("NEXT_HOPS", bytemuck::cast_slice(&vec![hop; targets]), size_of::<NextHop>())
}

fn decap(peers: &[DecapPeer]) -> Table {
    Table {
        name: "DECAP",
        keys: bytemuck::cast_slice(peers).to_vec(),
        values: vec![1; peers.len()],
        count: peers.len(),
    }
}
