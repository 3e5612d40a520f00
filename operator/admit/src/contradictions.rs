//! Fields that no packet satisfies together.

use sluice_policy::{IcmpFamily, Match, NO_VLAN, PrefixSet};

use crate::refusal::Checks;

const PORTED: [u8; 5] = [6, 17, 33, 132, 136];
const ICMP: [u8; 2] = [1, 58];
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

const _: () = assert!(sluice_crds::NO_VLAN == NO_VLAN);

pub(crate) fn refuse(wanted: &Match, path: &str, checks: &mut Checks) {
    protocols(wanted, path, checks);
    vlans(wanted, path, checks);
    families(wanted, path, checks);
}

fn protocols(wanted: &Match, path: &str, checks: &mut Checks) {
    let any_of = |known: &[u8]| wanted.protocols.iter().any(|number| known.contains(number));
    let restricted = !wanted.protocols.is_empty();
    let ports = !wanted.source_ports.is_empty() || !wanted.destination_ports.is_empty();
    let (flags, icmp) = (wanted.tcp_flags.is_some(), !wanted.icmp.is_empty());
    if ports && restricted && !any_of(&PORTED) {
        let message = "ports beside protocols that have none never match: add TCP, UDP, UDPLite, SCTP or DCCP to \
             protocols, or remove the ports";
        checks.refuse(path, message);
    }
    if flags && restricted && !any_of(&[6]) {
        checks.refuse(
            path,
            "tcpFlags beside protocols without TCP never match: add TCP to protocols, or remove tcpFlags",
        );
    }
    if icmp && restricted && !any_of(&ICMP) {
        let message = "icmp beside protocols without ICMP never matches: add ICMP or IPv6-ICMP to protocols, or remove \
             icmp";
        checks.refuse(path, message);
    }
    if icmp && (ports || flags) {
        checks.refuse(path, "icmp beside ports or tcpFlags never matches: write two rules");
    }
}

fn vlans(wanted: &Match, path: &str, checks: &mut Checks) {
    let none = NO_VLAN..=NO_VLAN;
    let untagged = !wanted.outer_vlan.is_empty() && wanted.outer_vlan.iter().all(|ids| *ids == none);
    if untagged && !wanted.inner_vlan.is_empty() && !wanted.inner_vlan.contains(&none) {
        let message = "a packet without an outer tag has no inner one: add ids to outer, or none to inner";
        checks.refuse(format!("{path}.vlans"), message);
    }
}

/// Kinds of packets by their IP header.
#[derive(Clone, Copy)]
struct Families {
    v4: bool,
    v6: bool,
    /// Without one.
    none: bool,
}

const IP: Families = Families { v4: true, v6: true, none: false };

fn families(wanted: &Match, path: &str, checks: &mut Checks) {
    let fields = fields(wanted);
    let all = |takes: fn(&Families) -> bool| fields.iter().all(takes);
    if all(|families| families.v4) || all(|families| families.v6) || all(|families| families.none) {
        return;
    }
    let ether_types = &wanted.ether_types;
    let message = if !ether_types.is_empty() && !ether_types.contains(&IPV4) && !ether_types.contains(&IPV6) {
        "etherTypes without IPv4 and IPv6 beside fields of IP packets never match: add IPv4 or IPv6 to etherTypes, \
             or remove the others"
    } else {
        "the fields are of different address families and never match the same packet: write one rule for IPv4 and \
             one for IPv6"
    };
    checks.refuse(path, message);
}

/// What each field takes that says something of the family.
fn fields(wanted: &Match) -> Vec<Families> {
    let mut fields = Vec::new();
    let sets = [&wanted.sources, &wanted.destinations];
    fields.extend(sets.into_iter().flatten().map(of_prefixes));
    if !wanted.ether_types.is_empty() {
        let (v4, v6) = (wanted.ether_types.contains(&IPV4), wanted.ether_types.contains(&IPV6));
        fields.push(Families { v4, v6, none: true });
    }
    if !wanted.icmp.is_empty() {
        let of = |family| wanted.icmp.iter().any(|icmp| icmp.family == family);
        fields.push(Families { v4: of(IcmpFamily::V4), v6: of(IcmpFamily::V6), none: false });
    }
    if !wanted.ip_options.is_empty() {
        fields.push(Families { v6: false, ..IP });
    }
    if !wanted.extension_headers.is_empty() {
        fields.push(Families { v4: false, ..IP });
    }
    let in_header = [&wanted.length, &wanted.hop_limit, &wanted.dscp, &wanted.ecn];
    let ports = [&wanted.source_ports, &wanted.destination_ports];
    if in_header.iter().any(|ranges| !ranges.is_empty())
        || ports.iter().any(|ranges| !ranges.is_empty())
        || !wanted.protocols.is_empty()
        || wanted.tcp_flags.is_some()
        || wanted.payload.iter().any(|pattern| pattern.from.is_layer4())
    {
        fields.push(IP);
    }
    fields
}

fn of_prefixes(set: &PrefixSet) -> Families {
    let any = set.is_open() || !set.sets.is_empty();
    Families { v4: any || !set.v4.is_empty(), v6: any || !set.v6.is_empty(), none: false }
}
