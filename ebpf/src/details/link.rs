//! Ethernet addresses, VLAN ids and the EtherType.

use sluice_abi::{ABSENT, Bound32, dimension::*};

use super::Details;
use crate::classify::{search32, search64, special, used};
use crate::frame::Frame;
use crate::maps::{
    DESTINATION_MAC as DESTINATION_BOUNDS, ETHER_TYPE as ETHER_TYPE_BOUNDS, INNER_VLAN as INNER_BOUNDS,
    OUTER_VLAN as OUTER_BOUNDS, SOURCE_MAC as SOURCE_BOUNDS,
};
use crate::packet::{FIELD_ABSENT, Packet, SPECIAL, ether_type};
use crate::parse::is_tag;
use crate::table::Table;

/// Where the first type is, behind the two addresses.
const TYPE: usize = 12;
const SOURCE: usize = 6;
const DESTINATION: usize = 0;
const VLAN_ID: u32 = 0x0fff;

/// A tag between the types in front of it and behind it.
#[derive(Clone, Copy)]
#[repr(C, packed)]
struct Tag {
    control: u16,
    ether_type: u16,
}

#[inline(always)]
pub fn fill(row: &Details, frame: Frame, packet: &Packet) {
    if used::<SOURCE_MAC>() {
        row.and(match address(frame, SOURCE) {
            Some(address) => search64::<SOURCE_MAC, _>(&SOURCE_BOUNDS, address),
            None => special::<SOURCE_MAC>(ABSENT),
        });
    }
    if used::<DESTINATION_MAC>() {
        row.and(match address(frame, DESTINATION) {
            Some(address) => search64::<DESTINATION_MAC, _>(&DESTINATION_BOUNDS, address),
            None => special::<DESTINATION_MAC>(ABSENT),
        });
    }
    if used::<OUTER_VLAN>() || used::<INNER_VLAN>() {
        let (outer, inner) = vlans(frame);
        if used::<OUTER_VLAN>() {
            row.and(searched::<OUTER_VLAN, _>(&OUTER_BOUNDS, outer));
        }
        if used::<INNER_VLAN>() {
            row.and(searched::<INNER_VLAN, _>(&INNER_BOUNDS, inner));
        }
    }
    if used::<ETHER_TYPE>() {
        let number = if packet.ether_type < ether_type::FIRST { FIELD_ABSENT } else { packet.ether_type };
        row.and(searched::<ETHER_TYPE, _>(&ETHER_TYPE_BOUNDS, number));
    }
}

#[inline(always)]
fn searched<const DIMENSION: usize, const TABLE: usize>(table: &Table<Bound32, TABLE>, field: u32) -> u32 {
    if field & SPECIAL != 0 { special::<DIMENSION>(ABSENT) } else { search32::<DIMENSION, _>(table, field) }
}

/// Six bytes as a number; behind each address of a whole header there are two more.
#[inline(always)]
fn address(frame: Frame, at: usize) -> Option<u64> {
    frame.read::<u64>(at).map(|bytes| u64::from_be(bytes) >> 16)
}

/// Ids of the outer and the inner tag. A tag that is cut off has none, nor is there none.
#[inline(always)]
fn vlans(frame: Frame) -> (u32, u32) {
    let Some(first) = frame.read::<u16>(TYPE) else { return (FIELD_ABSENT, FIELD_ABSENT) };
    if let Some(control) = frame.outer_tag() {
        let inner = if is_tag(u16::from_be(first)) { inner_id(frame, TYPE + 2) } else { NO_VLAN };
        return (control as u32 & VLAN_ID, inner);
    }
    if !is_tag(u16::from_be(first)) {
        return (NO_VLAN, NO_VLAN);
    }
    let Some(outer) = frame.read::<Tag>(TYPE + 2) else { return (FIELD_ABSENT, FIELD_ABSENT) };
    let inner = if !is_tag(u16::from_be(outer.ether_type)) {
        NO_VLAN
    } else {
        inner_id(frame, TYPE + 2 + size_of::<Tag>())
    };
    (id(outer), inner)
}

#[inline(always)]
fn inner_id(frame: Frame, at: usize) -> u32 {
    frame.read::<Tag>(at).map_or(FIELD_ABSENT, id)
}

#[inline(always)]
fn id(tag: Tag) -> u32 {
    u16::from_be(tag.control) as u32 & VLAN_ID
}
