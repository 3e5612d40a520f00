//! Entries that are constants of the program: a packet for one, and what they make of a packet.

use std::net::{IpAddr, Ipv6Addr};

use sluice_abi::{Row, Straight, WORDS, tests};

use super::probe::{Packet, with_defaults};
use super::sets::Sets;

/// Entries that the packet satisfies.
pub fn matched(entries: &[Straight], sets: &Sets, packet: &Packet) -> Row {
    let mut row = [0; WORDS];
    for (index, _) in entries.iter().enumerate().filter(|(_, entry)| matches(entry, sets, packet)) {
        row[index / 64] |= 1 << (index % 64);
    }
    row
}

/// `None` for one that wants malformed packets or those of a connection, ports of a protocol that has none, or sets without IPv4 addresses.
pub fn packet_for(entry: &Straight, sets: &Sets) -> Option<Packet> {
    let asks = |test: u16| entry.tests & test != 0;
    if !asks(tests::APPLIES) || asks(tests::MALFORMED) || asks(tests::ESTABLISHED) {
        return None;
    }
    let mut packet = with_defaults(!asks(tests::FAMILY_V6), asks(tests::PROTOCOL).then_some(entry.protocol));
    if asks(tests::SOURCE) {
        packet.source = address(entry.source, packet.source);
    }
    if asks(tests::DESTINATION) {
        packet.destination = address(entry.destination, packet.destination);
    }
    let v4 = packet.source.is_ipv4();
    if asks(tests::SOURCE_SETS) {
        packet.source = sets.members(entry.source_sets, v4).next()?;
    }
    if asks(tests::DESTINATION_SETS) {
        packet.destination = sets.members(entry.destination_sets, v4).next()?;
    }
    let ports = packet.ports.as_mut();
    if asks(tests::SOURCE_PORT) || asks(tests::DESTINATION_PORT) {
        let (source, destination) = ports?;
        *source = if asks(tests::SOURCE_PORT) { entry.source_ports[0] } else { *source };
        *destination = if asks(tests::DESTINATION_PORT) { entry.destination_ports[0] } else { *destination };
    }
    Some(packet)
}

fn matches(entry: &Straight, sets: &Sets, packet: &Packet) -> bool {
    let asks = |test: u16| entry.tests & test != 0;
    let v4 = packet.source.is_ipv4();
    let between =
        |port: Option<u16>, [first, last]: [u16; 2]| port.is_some_and(|port| (first..=last).contains(&port));
    asks(tests::APPLIES)
        && !asks(tests::MALFORMED)
        && !asks(tests::ESTABLISHED)
        && (!asks(tests::FAMILY_V4) || v4)
        && (!asks(tests::FAMILY_V6) || !v4)
        && (!asks(tests::PROTOCOL) || packet.protocol == entry.protocol)
        && (!asks(tests::SOURCE) || is_in(packet.source, entry.source, entry.source_mask))
        && (!asks(tests::DESTINATION) || is_in(packet.destination, entry.destination, entry.destination_mask))
        && (!asks(tests::SOURCE_SETS) || sets.of(packet.source) & entry.source_sets != 0)
        && (!asks(tests::DESTINATION_SETS) || sets.of(packet.destination) & entry.destination_sets != 0)
        && (!asks(tests::SOURCE_PORT) || between(packet.ports.map(|ports| ports.0), entry.source_ports))
        && (!asks(tests::DESTINATION_PORT)
            || between(packet.ports.map(|ports| ports.1), entry.destination_ports))
}

fn is_in(address: IpAddr, prefix: [u64; 2], mask: [u64; 2]) -> bool {
    let bits = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    bits & joined(mask) == joined(prefix)
}

/// The prefix's first address, in the family of `like`.
fn address(prefix: [u64; 2], like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4((prefix[1] as u32).into()),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(joined(prefix))),
    }
}

fn joined([high, low]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}
