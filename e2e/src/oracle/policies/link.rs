//! Rules on the link layer's fields.

use std::ops::RangeInclusive;

use sluice_policy::{Action, Filter, Match, NO_VLAN};

use crate::oracle::build::*;

const UNTAGGED: RangeInclusive<u16> = NO_VLAN..=NO_VLAN;

pub fn sets() -> Vec<(&'static str, Vec<Filter>)> {
    vec![("Ethernet addresses", addresses()), ("VLAN ids", vlans()), ("EtherTypes", types())]
}

fn addresses() -> Vec<Filter> {
    const ONE: [u8; 6] = [0xff; 6];
    let vendor = [0xff, 0xff, 0xff, 0, 0, 0];
    let rules = vec![
        rule(
            "to-bridges",
            Action::Drop,
            destination_macs(&[mac([1, 0x80, 0xc2, 0, 0, 0], [0xff, 0xff, 0xff, 0xff, 0xff, 0xf0])]),
        ),
        rule("broadcast", Action::Drop, destination_macs(&[mac(ONE, ONE)])),
        rule("groups", Action::Next, destination_macs(&[mac([1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0])])),
        rule(
            "odd-hosts",
            Action::Drop,
            source_macs(&[mac([2, 0, 0, 0, 0, 9], [0xff, 0xff, 0xff, 0xff, 0xff, 0x09])]),
        ),
        rule("vendor", Action::Pass, source_macs(&[mac([2, 0, 0x5e, 0, 0, 0], vendor), mac([0; 6], ONE)])),
        rule(
            "pair",
            Action::Drop,
            Match {
                protocols: vec![17],
                source_macs: vec![mac([2, 0, 0, 0, 0, 1], ONE)],
                ..destination_macs(&[mac([2, 0, 0, 0, 0, 2], ONE)])
            },
        ),
        rule("one", Action::Pass, source_macs(&[mac([2, 0, 0, 0, 0, 1], ONE)])),
        rule("rest", Action::Drop, all()),
    ];
    vec![filter("macs", Action::Next, rules), filter("z", Action::Pass, vec![])]
}

fn vlans() -> Vec<Filter> {
    let rules = vec![
        rule("pair", Action::Drop, Match { inner_vlan: vec![200..=200], ..outer_vlan(&[100..=100]) }),
        rule("customer", Action::Next, inner_vlan(&[0..=0, 199..=200])),
        rule("one-tag", Action::Pass, Match { inner_vlan: vec![UNTAGGED], ..outer_vlan(&[100..=199]) }),
        rule("priority", Action::Drop, outer_vlan(&[0..=0])),
        rule("last", Action::Drop, outer_vlan(&[4095..=4095])),
        rule("untagged-tcp", Action::Drop, Match { protocols: vec![6], ..outer_vlan(&[UNTAGGED]) }),
        rule("untagged", Action::Pass, outer_vlan(&[UNTAGGED])),
        rule("few", Action::Pass, outer_vlan(&[1..=8])),
        rule("tagged", Action::Drop, outer_vlan(&[0..=4095])),
    ];
    vec![filter("vlans", Action::Next, rules), filter("z", Action::Drop, vec![])]
}

fn types() -> Vec<Filter> {
    let rules = vec![
        rule("first", Action::Drop, ether_types(&[0x0600])),
        rule("last", Action::Drop, ether_types(&[0xffff])),
        rule("tagged-v4", Action::Pass, Match { outer_vlan: vec![0..=4095], ..ether_types(&[0x0800]) }),
        rule("tunnels", Action::Drop, ether_types(&[0x8847, 0x8848, 0x8864])),
        rule("third-tag", Action::Next, ether_types(&[0x8100, 0x88a8])),
        rule("udp-v6", Action::Drop, Match { protocols: vec![17], ..ether_types(&[0x86dd]) }),
        rule("v4", Action::Next, ether_types(&[0x0800])),
    ];
    vec![filter("types", Action::Next, rules), filter("z", Action::Pass, vec![])]
}
