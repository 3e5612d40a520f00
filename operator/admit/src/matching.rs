//! A rule's match.

use std::ops::RangeInclusive;

use sluice_crds::{
    EtherType, ExtensionHeader as ApiExtension, FragmentKind as ApiFragment, IcmpFamily as ApiFamily,
    IcmpMatch as ApiIcmp, IpOption as ApiOption, MAX_ENTRIES, MAX_FEW_ENTRIES, Match as ApiMatch, NumberText,
    PortRange as ApiPorts, Protocol, TcpFlag, TcpFlagsMatch, VlanMatch, nearest, protocol_names,
};
use sluice_policy::{
    ExtensionHeader, FragmentKind, IcmpFamily, IcmpMatch, IpOption, Match, PortRange, TcpFlags,
};

use crate::addresses::prefix_set;
use crate::contradictions;
use crate::macs::macs;
use crate::payload::payloads;
use crate::refusal::Checks;

pub(crate) fn admit(found: &ApiMatch, path: &str, checks: &mut Checks) -> Match {
    let ApiMatch {
        sources,
        destinations,
        source_macs,
        destination_macs,
        vlans,
        ether_types,
        protocols,
        source_ports,
        destination_ports,
        tcp_flags,
        icmp,
        length,
        ttl,
        dscp,
        ecn,
        fragments,
        ip_options,
        extension_headers,
        payload,
    } = found;
    checks.at_most(ip_options.len(), MAX_ENTRIES, &format!("{path}.ipOptions"));
    checks.at_most(extension_headers.len(), MAX_ENTRIES, &format!("{path}.extensionHeaders"));
    let VlanMatch { outer, inner } = vlans.clone().unwrap_or_default();
    if vlans.is_some() && outer.is_empty() && inner.is_empty() {
        checks.refuse(format!("{path}.vlans"), "no id is named: write outer or inner, or remove vlans");
    }
    checks.at_most(fragments.len(), MAX_ENTRIES, &format!("{path}.fragments"));
    let admitted = Match {
        sources: sources.as_ref().map(|set| prefix_set(set, &format!("{path}.sources"), checks)),
        destinations: destinations
            .as_ref()
            .map(|set| prefix_set(set, &format!("{path}.destinations"), checks)),
        source_macs: macs(source_macs, &format!("{path}.sourceMacs"), checks),
        destination_macs: macs(destination_macs, &format!("{path}.destinationMacs"), checks),
        outer_vlan: few_ranges(&outer, &format!("{path}.vlans.outer"), checks),
        inner_vlan: few_ranges(&inner, &format!("{path}.vlans.inner"), checks),
        ether_types: ether_type_numbers(ether_types, &format!("{path}.etherTypes"), checks),
        protocols: numbers(protocols, &format!("{path}.protocols"), checks),
        source_ports: ports(source_ports, &format!("{path}.sourcePorts"), checks),
        destination_ports: ports(destination_ports, &format!("{path}.destinationPorts"), checks),
        tcp_flags: tcp_flags.as_ref().map(|flags| masks(flags, &format!("{path}.tcpFlags"), checks)),
        icmp: icmp_matches(icmp, &format!("{path}.icmp"), checks),
        length: few_ranges(length, &format!("{path}.length"), checks),
        hop_limit: few_ranges(ttl, &format!("{path}.ttl"), checks),
        dscp: few_ranges(dscp, &format!("{path}.dscp"), checks),
        ecn: few_ranges(ecn, &format!("{path}.ecn"), checks),
        fragments: fragments.iter().map(fragment).collect(),
        ip_options: ip_options.iter().map(ip_option).collect(),
        extension_headers: extension_headers.iter().map(extension_header).collect(),
        payload: payloads(payload, &format!("{path}.payload"), checks),
    };
    contradictions::refuse(&admitted, path, checks);
    admitted
}

fn ether_type_numbers(found: &[EtherType], path: &str, checks: &mut Checks) -> Vec<u16> {
    checks.at_most(found.len(), MAX_FEW_ENTRIES, path);
    let parsed = found.iter().enumerate().filter_map(|(index, ether_type)| {
        ether_type.number().map_err(|message| checks.refuse(format!("{path}[{index}]"), message)).ok()
    });
    parsed.collect()
}

fn numbers(found: &[Protocol], path: &str, checks: &mut Checks) -> Vec<u8> {
    checks.at_most(found.len(), MAX_ENTRIES, path);
    let mut numbers = Vec::new();
    for (index, protocol) in found.iter().enumerate() {
        match protocol.number() {
            Some(number) => numbers.push(number),
            None => {
                let text = protocol.as_str();
                let hint = match nearest(text, protocol_names()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "write a name as IANA has it (TCP, UDP, ICMP, IPv6-ICMP, GRE, ESP, SCTP) or a number from \
                         \"0\" to \"255\""
                        .to_owned(),
                };
                checks
                    .refuse(format!("{path}[{index}]"), format!("\"{text}\" is not an IP protocol: {hint}"));
            }
        }
    }
    numbers
}

fn ports(found: &[ApiPorts], path: &str, checks: &mut Checks) -> Vec<PortRange> {
    checks.at_most(found.len(), MAX_ENTRIES, path);
    let ranges = ranges(found, path, checks).into_iter();
    ranges.map(|range| PortRange { first: *range.start(), last: *range.end() }).collect()
}

/// Of a field of which a rule lists few.
fn few_ranges<T: NumberText>(found: &[T], path: &str, checks: &mut Checks) -> Vec<RangeInclusive<u16>> {
    checks.at_most(found.len(), MAX_FEW_ENTRIES, path);
    ranges(found, path, checks)
}

fn ranges<T: NumberText>(found: &[T], path: &str, checks: &mut Checks) -> Vec<RangeInclusive<u16>> {
    let parsed = found.iter().enumerate().filter_map(|(index, text)| {
        text.range().map_err(|message| checks.refuse(format!("{path}[{index}]"), message)).ok()
    });
    parsed.collect()
}

fn masks(found: &TcpFlagsMatch, path: &str, checks: &mut Checks) -> TcpFlags {
    let mask = |flags: &[TcpFlag]| flags.iter().fold(0, |mask, flag| mask | flag_bit(*flag));
    let flags = TcpFlags { set: mask(&found.set), unset: mask(&found.unset) };
    if flags == TcpFlags::default() {
        checks.refuse(path, "no flag is named: write set or unset, or remove tcpFlags");
    }
    if flags.set & flags.unset != 0 {
        checks.refuse(path, "a flag cannot be both set and unset: remove it from one of them");
    }
    flags
}

fn flag_bit(flag: TcpFlag) -> u8 {
    match flag {
        TcpFlag::Fin => 1,
        TcpFlag::Syn => 2,
        TcpFlag::Rst => 4,
        TcpFlag::Psh => 8,
        TcpFlag::Ack => 16,
        TcpFlag::Urg => 32,
        TcpFlag::Ece => 64,
        TcpFlag::Cwr => 128,
    }
}

fn icmp_matches(found: &[ApiIcmp], path: &str, checks: &mut Checks) -> Vec<IcmpMatch> {
    checks.at_most(found.len(), MAX_ENTRIES, path);
    for (index, one) in found.iter().enumerate() {
        if one.icmp_type.is_none() && one.code.is_some() {
            checks.refuse(format!("{path}[{index}]"), "a code means nothing without its type: add type");
        }
    }
    let admitted = found.iter().map(|one| IcmpMatch {
        family: match one.family() {
            ApiFamily::IPv4 => IcmpFamily::V4,
            ApiFamily::IPv6 => IcmpFamily::V6,
        },
        icmp_type: one.icmp_type,
        code: one.code,
    });
    admitted.collect()
}

fn fragment(found: &ApiFragment) -> FragmentKind {
    match found {
        ApiFragment::None => FragmentKind::None,
        ApiFragment::First => FragmentKind::First,
        ApiFragment::Later => FragmentKind::Later,
        ApiFragment::Tiny => FragmentKind::Tiny,
        ApiFragment::Any => FragmentKind::Any,
    }
}

fn ip_option(found: &ApiOption) -> IpOption {
    match found {
        ApiOption::Any => IpOption::Any,
        ApiOption::RecordRoute => IpOption::RecordRoute,
        ApiOption::Timestamp => IpOption::Timestamp,
        ApiOption::Security => IpOption::Security,
        ApiOption::Lsrr => IpOption::Lsrr,
        ApiOption::StreamId => IpOption::StreamId,
        ApiOption::Ssrr => IpOption::Ssrr,
        ApiOption::RouterAlert => IpOption::RouterAlert,
        ApiOption::Other => IpOption::Other,
    }
}

fn extension_header(found: &ApiExtension) -> ExtensionHeader {
    match found {
        ApiExtension::Any => ExtensionHeader::Any,
        ApiExtension::HopByHop => ExtensionHeader::HopByHop,
        ApiExtension::Routing => ExtensionHeader::Routing,
        ApiExtension::Fragment => ExtensionHeader::Fragment,
        ApiExtension::Authentication => ExtensionHeader::Authentication,
        ApiExtension::DestinationOptions => ExtensionHeader::DestinationOptions,
        ApiExtension::Mobility => ExtensionHeader::Mobility,
        ApiExtension::Hip => ExtensionHeader::Hip,
        ApiExtension::Shim6 => ExtensionHeader::Shim6,
    }
}
