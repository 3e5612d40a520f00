//! A plain reading of straight-line entries, and what a change to any of their fields does.

use std::net::IpAddr;

use proptest::prelude::*;
use sluice_abi::{MAX_STRAIGHT, Straight, features, tests};
use sluice_policy::{Action, Filter};

use crate::packet::Packet;
use crate::tables::has_ports;
use crate::{disagreement, plan, policies};

pub fn matches(entry: &Straight, packet: &Packet) -> bool {
    let asks = |test: u16| entry.tests & test != 0;
    let address = |asked, index: fn((IpAddr, IpAddr)) -> IpAddr, prefix, mask| {
        !asks(asked) || packet.addresses.is_some_and(|both| is_in(index(both), prefix, mask))
    };
    let port = |asked, index: fn((u16, u16)) -> u16, [first, last]: [u16; 2]| {
        !asks(asked)
            || packet.ports().is_some_and(|ports| (first..=last).contains(&index(ports)))
            || (asks(tests::LATER) && packet.is_later() && has_ports(packet.protocol))
    };
    let has_address = packet.addresses.is_some();
    asks(tests::APPLIES)
        && (!asks(tests::MALFORMED) || packet.malformed)
        && (!asks(tests::ESTABLISHED) || packet.established)
        && (!asks(tests::FAMILY_V4) || (has_address && !packet.is_v6()))
        && (!asks(tests::FAMILY_V6) || packet.is_v6())
        && (!asks(tests::PROTOCOL) || packet.protocol == Some(entry.protocol))
        && address(tests::SOURCE, |both| both.0, entry.source, entry.source_mask)
        && address(tests::DESTINATION, |both| both.1, entry.destination, entry.destination_mask)
        && port(tests::SOURCE_PORT, |ports| ports.0, entry.source_ports)
        && port(tests::DESTINATION_PORT, |ports| ports.1, entry.destination_ports)
}

fn is_in(address: IpAddr, prefix: [u64; 2], mask: [u64; 2]) -> bool {
    let bits = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let halves = [(bits >> 64) as u64, bits as u64];
    halves[0] & mask[0] == prefix[0] && halves[1] & mask[1] == prefix[1]
}

fn is_straight(filters: &[Filter]) -> bool {
    plan(filters).filters.tables.features & features::STRAIGHT != 0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn simple_entries_decide_as_the_policies_say(filters in policies::simple()) {
        prop_assert!(is_straight(&filters));
        prop_assert_eq!(disagreement(&filters, &plan(&filters)), None);
    }
}

#[test]
fn one_entry_too_many_takes_rows() {
    let rules = |number: usize| vec![policies::numbered(Action::Next, number as u16)];
    assert!(is_straight(&rules(MAX_STRAIGHT)));
    assert!(!is_straight(&rules(MAX_STRAIGHT + 1)));
}

/// Every field that an entry compares with, a little off.
#[test]
fn a_changed_constant_is_found() {
    let filters = policies::simple_sample();
    let sound = plan(&filters);
    let bytes = size_of::<Straight>();
    let entries = sound.filters.tables.straight.len() / bytes;
    for index in 0..entries {
        let entry: Straight =
            bytemuck::pod_read_unaligned(&sound.filters.tables.straight[index * bytes..][..bytes]);
        for (what, changed) in changes(entry) {
            let mut broken = sound.clone();
            broken.filters.tables.straight[index * bytes..][..bytes]
                .copy_from_slice(bytemuck::bytes_of(&changed));
            assert!(disagreement(&filters, &broken).is_some(), "nobody notices {what} of entry {index}");
        }
    }
}

fn changes(entry: Straight) -> Vec<(&'static str, Straight)> {
    let asks = |test: u16| entry.tests & test != 0;
    let mut changes = vec![("the action", Straight { action: entry.action ^ 1, ..entry })];
    let mut change = |asked: bool, what, changed| {
        if asked {
            changes.push((what, changed));
        }
    };
    let [first, last] = entry.source_ports;
    change(
        asks(tests::SOURCE_PORT),
        "the first source port",
        Straight { source_ports: [first.wrapping_add(1), last], ..entry },
    );
    change(
        asks(tests::SOURCE_PORT),
        "the last source port",
        Straight { source_ports: [first, last.wrapping_sub(1)], ..entry },
    );
    let [first, last] = entry.destination_ports;
    let ports = |destination_ports| Straight { destination_ports, ..entry };
    change(asks(tests::DESTINATION_PORT), "the first port", ports([first.wrapping_add(1), last]));
    change(asks(tests::DESTINATION_PORT), "the last port", ports([first, last.wrapping_sub(1)]));
    change(asks(tests::PROTOCOL), "the protocol", Straight { protocol: entry.protocol ^ 1, ..entry });
    let other = |[high, low]: [u64; 2]| [high, low ^ 1 << 40];
    change(asks(tests::SOURCE), "the source", Straight { source: other(entry.source), ..entry });
    change(
        asks(tests::DESTINATION),
        "the destination",
        Straight { destination: other(entry.destination), ..entry },
    );
    changes
}
