//! Policies in a few words.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use sluice_policy::{
    Action, AttachMode, ExtensionHeader, Filter, FragmentKind, Hook, IcmpFamily, IcmpMatch, Interfaces,
    IpOption, LaterFragments, Layer, MacMatch, Malformed, Match, Mode, NodeSelector, ObjectRef, PayloadMatch,
    PortRange, PrefixSet, Rule, TcpFlags,
};

/// The interface that test packets arrive on.
pub const HERE: &str = "eth0";
pub const ELSEWHERE: &str = "eth1";

pub fn object(kind: &str, name: &str) -> ObjectRef {
    let namespace = if kind == "XdpFilter" { "" } else { "default" };
    let (kind, namespace, uid) = (kind.to_owned(), namespace.to_owned(), format!("uid-{name}"));
    ObjectRef { kind, namespace, name: name.to_owned(), uid, generation: 1 }
}

pub fn on(interface: &str) -> Interfaces {
    Interfaces { names: vec![interface.to_owned()], ..Interfaces::default() }
}

pub fn filter(name: &str, default_action: Action, rules: Vec<Rule>) -> Filter {
    Filter {
        object: object("XdpFilter", name),
        nodes: NodeSelector::default(),
        interfaces: on(HERE),
        attach: AttachMode::Auto,
        hook: Hook::Xdp,
        mode: Mode::Enforce,
        priority: 0,
        default_action,
        malformed: Malformed::Pass,
        allow_established: false,
        expires: None,
        rollout: None,
        rules,
    }
}

/// With the API's default for later fragments.
pub fn rule(name: &str, action: Action, matches: Match) -> Rule {
    let later_fragments =
        if action == Action::Pass { LaterFragments::MatchL3 } else { LaterFragments::NoMatch };
    Rule { name: name.to_owned(), action, mode: Mode::Enforce, later_fragments, matches }
}

pub fn audited(rule: Rule) -> Rule {
    Rule { mode: Mode::Audit, ..rule }
}

pub fn later(later_fragments: LaterFragments, rule: Rule) -> Rule {
    Rule { later_fragments, ..rule }
}

pub fn all() -> Match {
    Match::default()
}

pub fn protocols(protocols: &[u8]) -> Match {
    Match { protocols: protocols.to_vec(), ..Match::default() }
}

/// From any of the prefixes but the exceptions.
pub fn from(cidrs: &[&str], except: &[&str]) -> Match {
    Match { sources: Some(prefixes(cidrs, except)), ..Match::default() }
}

pub fn to(cidrs: &[&str], except: &[&str]) -> Match {
    Match { destinations: Some(prefixes(cidrs, except)), ..Match::default() }
}

pub fn prefixes(cidrs: &[&str], except: &[&str]) -> PrefixSet {
    let v4 = |texts: &[&str]| texts.iter().filter_map(|text| text.parse().ok()).collect();
    let v6 = |texts: &[&str]| texts.iter().filter_map(|text| text.parse().ok()).collect();
    PrefixSet {
        v4: v4(cidrs),
        v6: v6(cidrs),
        except_v4: v4(except),
        except_v6: v6(except),
        ..PrefixSet::default()
    }
}

pub fn source_ports(ranges: &[(u16, u16)]) -> Match {
    Match { source_ports: port_ranges(ranges), ..Match::default() }
}

pub fn destination_ports(ranges: &[(u16, u16)]) -> Match {
    Match { destination_ports: port_ranges(ranges), ..Match::default() }
}

fn port_ranges(ranges: &[(u16, u16)]) -> Vec<PortRange> {
    ranges.iter().map(|&(first, last)| PortRange { first, last }).collect()
}

pub fn flags(set: u8, unset: u8) -> Match {
    Match { tcp_flags: Some(TcpFlags { set, unset }), ..Match::default() }
}

pub fn icmp(family: IcmpFamily, icmp_type: Option<u8>, code: Option<u8>) -> Match {
    Match { icmp: vec![IcmpMatch { family, icmp_type, code }], ..Match::default() }
}

pub fn source_macs(wanted: &[MacMatch]) -> Match {
    Match { source_macs: wanted.to_vec(), ..Match::default() }
}

pub fn destination_macs(wanted: &[MacMatch]) -> Match {
    Match { destination_macs: wanted.to_vec(), ..Match::default() }
}

/// With the bits of the address that lie within the mask.
pub fn mac(address: [u8; 6], mask: [u8; 6]) -> MacMatch {
    MacMatch { address: std::array::from_fn(|octet| address[octet] & mask[octet]), mask }
}

pub fn outer_vlan(ranges: &[RangeInclusive<u16>]) -> Match {
    Match { outer_vlan: ranges.to_vec(), ..Match::default() }
}

pub fn inner_vlan(ranges: &[RangeInclusive<u16>]) -> Match {
    Match { inner_vlan: ranges.to_vec(), ..Match::default() }
}

pub fn ether_types(numbers: &[u16]) -> Match {
    Match { ether_types: numbers.to_vec(), ..Match::default() }
}

pub fn hop_limit(range: RangeInclusive<u16>) -> Match {
    Match { hop_limit: vec![range], ..Match::default() }
}

pub fn dscp(ranges: &[RangeInclusive<u16>]) -> Match {
    Match { dscp: ranges.to_vec(), ..Match::default() }
}

pub fn ecn(ranges: &[RangeInclusive<u16>]) -> Match {
    Match { ecn: ranges.to_vec(), ..Match::default() }
}

pub fn length(ranges: &[RangeInclusive<u16>]) -> Match {
    Match { length: ranges.to_vec(), ..Match::default() }
}

pub fn ip_options(wanted: &[IpOption]) -> Match {
    Match { ip_options: wanted.to_vec(), ..Match::default() }
}

pub fn extension_headers(wanted: &[ExtensionHeader]) -> Match {
    Match { extension_headers: wanted.to_vec(), ..Match::default() }
}

/// All of the patterns.
pub fn payload(wanted: &[PayloadMatch]) -> Match {
    Match { payload: wanted.to_vec(), ..Match::default() }
}

/// These bytes, all of their bits.
pub fn bytes(from: Layer, offset: u16, value: &[u8]) -> PayloadMatch {
    masked(from, offset, value, &vec![0xff; value.len()])
}

/// The bits of the value that lie within the mask.
pub fn masked(from: Layer, offset: u16, value: &[u8], mask: &[u8]) -> PayloadMatch {
    let value = value.iter().zip(mask).map(|(value, mask)| value & mask).collect();
    PayloadMatch { from, offset, value, mask: mask.to_vec() }
}

pub fn fragments(kinds: &[FragmentKind]) -> Match {
    Match { fragments: kinds.to_vec(), ..Match::default() }
}

pub fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect("test policies name addresses")).collect()
}
