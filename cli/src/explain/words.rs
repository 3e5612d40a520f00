//! Packets and rules in the words of the API.

mod details;

use std::fmt::Display;

use sluice_crds::protocol_name;
use sluice_interpret::packet::{Fragment, Packet, Transport};
use sluice_interpret::{Considered, Field, Kept};
use sluice_policy::{
    Action, FragmentKind, IcmpFamily, IcmpMatch, LaterFragments, Match, Mode, PortRange, PrefixSet, Rule,
};

const FLAGS: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

pub fn field(field: Field) -> &'static str {
    match field {
        Field::Sources => "sources",
        Field::Destinations => "destinations",
        Field::Protocols => "protocols",
        Field::Fragments => "fragments",
        Field::SourcePorts => "sourcePorts",
        Field::DestinationPorts => "destinationPorts",
        Field::TcpFlags => "tcpFlags",
        Field::Icmp => "icmp",
        Field::SourceMacs => "sourceMacs",
        Field::DestinationMacs => "destinationMacs",
        Field::OuterVlans => "vlans.outer",
        Field::InnerVlans => "vlans.inner",
        Field::EtherTypes => "etherTypes",
        Field::Length => "length",
        Field::Ttl => "ttl",
        Field::Dscp => "dscp",
        Field::Ecn => "ecn",
        Field::IpOptions => "ipOptions",
        Field::ExtensionHeaders => "extensionHeaders",
        Field::Payload => "payload",
    }
}

/// What the packet has there.
pub fn found(field: Field, rule: &Rule, packet: &Packet) -> String {
    let shown = |value: Option<String>| match value {
        Some(value) => value,
        None if field.is_layer4(rule) && packet.is_later_fragment() => {
            "a later fragment carries none".to_owned()
        }
        None => "none".to_owned(),
    };
    shown(match field {
        Field::Sources => packet.ip.map(|ip| ip.source.to_string()),
        Field::Destinations => packet.ip.map(|ip| ip.destination.to_string()),
        Field::Protocols => packet.protocol.map(protocol),
        Field::Fragments => Some(fragment(packet.fragment).to_owned()),
        Field::SourcePorts => packet.ports().map(|ports| ports.source.to_string()),
        Field::DestinationPorts => packet.ports().map(|ports| ports.destination.to_string()),
        Field::TcpFlags => flags(packet),
        Field::Icmp => type_and_code(packet),
        Field::SourceMacs
        | Field::DestinationMacs
        | Field::OuterVlans
        | Field::InnerVlans
        | Field::EtherTypes
        | Field::Length
        | Field::Ttl
        | Field::Dscp
        | Field::Ecn
        | Field::IpOptions
        | Field::ExtensionHeaders => details::found(field, packet),
        Field::Payload => details::found_bytes(&rule.matches.payload, packet),
    })
}

fn flags(packet: &Packet) -> Option<String> {
    match packet.transport {
        Transport::Tcp { flags, .. } => Some(flag_names(flags)),
        _ => None,
    }
}

fn type_and_code(packet: &Packet) -> Option<String> {
    let Transport::Icmp { icmp_type, code } = packet.transport else { return None };
    let family = if packet.ip.is_some_and(|ip| ip.source.is_ipv6()) { "IPv6" } else { "IPv4" };
    Some(format!("{family} type {icmp_type} code {code}"))
}

/// What the rule asks for there: any of these, and of payload all.
pub fn wanted(field: Field, rule: &Rule, packet: &Packet) -> Vec<String> {
    let Match {
        sources,
        destinations,
        protocols,
        source_ports,
        destination_ports,
        tcp_flags,
        icmp,
        fragments,
        ..
    } = &rule.matches;
    let mut wanted = match field {
        Field::Sources => prefixes(sources.as_ref()),
        Field::Destinations => prefixes(destinations.as_ref()),
        Field::Protocols => protocols.iter().map(|number| protocol(*number)).collect(),
        Field::Fragments => fragments.iter().map(|kind| kind_name(*kind).to_owned()).collect(),
        Field::SourcePorts => source_ports.iter().map(range).collect(),
        Field::DestinationPorts => destination_ports.iter().map(range).collect(),
        Field::TcpFlags => tcp_flags
            .iter()
            .map(|flags| format!("set {}, unset {}", flag_names(flags.set), flag_names(flags.unset)))
            .collect(),
        Field::Icmp => icmp.iter().map(message).collect(),
        Field::SourceMacs
        | Field::DestinationMacs
        | Field::OuterVlans
        | Field::InnerVlans
        | Field::EtherTypes
        | Field::Length
        | Field::Ttl
        | Field::Dscp
        | Field::Ecn
        | Field::IpOptions
        | Field::ExtensionHeaders
        | Field::Payload => details::wanted(field, &rule.matches),
    };
    if field.is_layer4(rule) && packet.is_later_fragment() {
        let later = match rule.later_fragments {
            LaterFragments::MatchL3 => "laterFragments: MatchL3",
            LaterFragments::Drop => "laterFragments: Drop",
            LaterFragments::NoMatch => "laterFragments: NoMatch",
        };
        wanted.push(later.to_owned());
    }
    wanted
}

/// What came of the rule.
pub fn result(considered: &Considered, packet: &Packet) -> String {
    if !considered.matches() {
        return "does not match".to_owned();
    }
    let rule = considered.rule;
    let drops_later = rule.later_fragments == LaterFragments::Drop && rule.matches.has_layer4_fields();
    let action = if drops_later && packet.is_later_fragment() { "Drop" } else { action(rule) };
    let note = match rule.action {
        _ if mode(considered) == "Audit" => " (Audit: only counted)",
        Action::RateLimit(_) if action != "Drop" => " (within the rate: goes on)",
        Action::Count | Action::Mark(_) if action != "Drop" => " (goes on)",
        _ => "",
    };
    format!("matches: {action}{note}")
}

pub fn action(rule: &Rule) -> &'static str {
    match rule.action {
        Action::Pass => "Pass",
        Action::Drop => "Drop",
        Action::Next => "Next",
        Action::Count => "Count",
        Action::RateLimit(_) => "RateLimit",
        Action::Mark(_) => "Mark",
    }
}

/// The rule's own, or that of its filter.
pub fn mode(considered: &Considered) -> &'static str {
    match (considered.filter.mode, considered.rule.mode) {
        (Mode::Enforce, Mode::Enforce) => "Enforce",
        _ => "Audit",
    }
}

pub fn kept(kept: Kept) -> &'static str {
    match kept {
        Kept::Arp => "ARP",
        Kept::SlowProtocol => "LACP",
        Kept::Lldp => "LLDP",
        Kept::SpanningTree => "spanning tree",
        Kept::NeighbourDiscovery => "IPv6 neighbour discovery",
        Kept::MulticastListener => "MLD",
        Kept::Igmp => "IGMP",
        Kept::Dhcp => "DHCP",
        Kept::Bfd => "BFD",
        Kept::Vrrp => "VRRP",
        Kept::Ospf => "OSPF",
        Kept::ControlReply => "a reply of a control endpoint",
        Kept::Port => "a failsafe port of the node",
    }
}

/// The packet in one line.
pub fn packet(packet: &Packet) -> String {
    let mut line = match (packet.ip, packet.ether_type) {
        (Some(ip), _) => format!("{} -> {}", ip.source, ip.destination),
        (None, Some(number)) => format!("EtherType {number:#06x}"),
        (None, None) => "no whole Ethernet header".to_owned(),
    };
    if let Some(number) = packet.protocol {
        line += &format!(", {}", protocol(number));
    }
    if let Some(ports) = packet.ports() {
        line += &format!(" {} -> {}", ports.source, ports.destination);
    }
    if let Some(fields) = flags(packet).or_else(|| type_and_code(packet)) {
        line += &format!(", {fields}");
    }
    if packet.fragment != Fragment::Whole {
        line += &format!(", fragment: {}", fragment(packet.fragment));
    }
    if packet.malformed {
        line += ", malformed";
    }
    line
}

fn prefixes(set: Option<&PrefixSet>) -> Vec<String> {
    let Some(PrefixSet { v4, v6, sets, except_v4, except_v6 }) = set else { return Vec::new() };
    let except = |net: &dyn Display| format!("except {net}");
    let mut words: Vec<String> =
        v4.iter().map(ToString::to_string).chain(v6.iter().map(ToString::to_string)).collect();
    words.extend(sets.iter().map(|name| format!("set {name}")));
    if words.is_empty() {
        words.push("any".to_owned());
    }
    words.extend(except_v4.iter().map(|net| except(net)).chain(except_v6.iter().map(|net| except(net))));
    words
}

fn protocol(number: u8) -> String {
    protocol_name(number).map_or_else(|| number.to_string(), str::to_owned)
}

fn range(range: &PortRange) -> String {
    match range {
        PortRange { first, last } if first == last => first.to_string(),
        PortRange { first, last } => format!("{first}-{last}"),
    }
}

fn message(wanted: &IcmpMatch) -> String {
    let family = match wanted.family {
        IcmpFamily::V4 => "IPv4",
        IcmpFamily::V6 => "IPv6",
    };
    let any = |number: Option<u8>| number.map_or_else(|| "any".to_owned(), |number| number.to_string());
    format!("{family} type {} code {}", any(wanted.icmp_type), any(wanted.code))
}

fn flag_names(mask: u8) -> String {
    let names: Vec<&str> =
        FLAGS.iter().enumerate().filter(|(bit, _)| mask & 1 << bit != 0).map(|(_, name)| *name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join("+") }
}

fn kind_name(kind: FragmentKind) -> &'static str {
    match kind {
        FragmentKind::None => "None",
        FragmentKind::First => "First",
        FragmentKind::Later => "Later",
        FragmentKind::Tiny => "Tiny",
        FragmentKind::Any => "Any",
    }
}

fn fragment(fragment: Fragment) -> &'static str {
    match fragment {
        Fragment::Whole => "None",
        Fragment::First { tiny: false } => "First",
        Fragment::First { tiny: true } => "First, Tiny",
        Fragment::Later { tiny: false } => "Later",
        Fragment::Later { tiny: true } => "Later, Tiny",
    }
}
