//! The sets that an address is in, asked of the sets themselves.

use std::net::IpAddr;
use std::sync::Arc;

use sluice_abi::{Row, dimension};

use super::classify::Tables;
use crate::sets::KernelSet;

/// In the order of their bits.
pub struct Sets(pub Vec<Arc<KernelSet>>);

impl Sets {
    /// As bits.
    pub fn of(&self, address: IpAddr) -> u32 {
        let sets = self.0.iter().enumerate();
        sets.filter(|(_, set)| set.contents().contains(address)).map(|(bit, _)| 1 << bit).sum()
    }

    /// An address of each set of `wanted` that has one of the family.
    pub fn members(&self, wanted: u32, v4: bool) -> impl Iterator<Item = IpAddr> {
        let wanted = self.0.iter().enumerate().filter(move |(bit, _)| wanted >> bit & 1 == 1);
        wanted.filter_map(move |(_, set)| match v4 {
            true => set.contents().v4().first().map(|net| net.network().into()),
            false => set.contents().v6().first().map(|net| net.network().into()),
        })
    }
}

/// What the sets of a packet's addresses make of it.
pub fn rows(tables: &Tables, source: IpAddr, destination: IpAddr) -> impl Iterator<Item = Row> {
    let sides = [
        (dimension::SOURCE_SETS, dimension::DIRECT_SOURCE_SETS, source),
        (dimension::DESTINATION_SETS, dimension::DIRECT_DESTINATION_SETS, destination),
    ];
    let used = sides.into_iter().filter(|(dimension, ..)| tables.uses(*dimension));
    used.map(|(dimension, first, address)| row(tables, dimension, first, address))
}

/// The row of one side, [`dimension::SOURCE_SETS`] or the other.
pub fn row(tables: &Tables, dimension: usize, first: u32, address: IpAddr) -> Row {
    let sets = tables.sets.of(address) & tables.config.dimensions[dimension].intervals;
    let asking = (0..u32::BITS).filter(|bit| sets >> bit & 1 == 1).map(|bit| tables.direct_row(first + bit));
    asking.fold(tables.absent(dimension), |mut any, row| {
        any.iter_mut().zip(row).for_each(|(word, other)| *word |= other);
        any
    })
}
