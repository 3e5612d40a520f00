//! Fields of Ethernet and of the IP header, in words.

use std::ops::RangeInclusive;

use sluice_interpret::Field;
use sluice_interpret::packet::Packet;
use sluice_policy::{ExtensionHeader, IpOption, MacMatch, Match, NO_VLAN, PayloadMatch};

/// What the packet has there.
pub fn found(field: Field, packet: &Packet) -> Option<String> {
    match field {
        Field::SourceMacs => packet.macs.map(|macs| octets(macs.source)),
        Field::DestinationMacs => packet.macs.map(|macs| octets(macs.destination)),
        Field::OuterVlans => packet.outer_vlan.map(id),
        Field::InnerVlans => packet.inner_vlan.map(id),
        Field::EtherTypes => packet.ether_type.map(ether_type),
        Field::Length => packet.ip.map(|ip| ip.length.to_string()),
        Field::Ttl => packet.ip.map(|ip| ip.hop_limit.to_string()),
        Field::Dscp => packet.ip.map(|ip| ip.dscp().to_string()),
        Field::Ecn => packet.ip.map(|ip| ip.ecn().to_string()),
        Field::IpOptions => packet.options.as_ref().filter(|options| options.present).map(|options| {
            if options.kinds.is_empty() { "padding".to_owned() } else { numbers(&options.kinds) }
        }),
        Field::ExtensionHeaders => {
            packet.extensions.as_ref().filter(|headers| !headers.is_empty()).map(|headers| numbers(headers))
        }
        _ => None,
    }
}

/// What the packet has at each of the places, in their order.
pub fn found_bytes(wanted: &[PayloadMatch], packet: &Packet) -> Option<String> {
    let bytes = wanted.iter().map(|one| packet.bytes_at(one).map_or("none".to_owned(), digits));
    let found: Vec<String> = bytes.collect();
    found.iter().any(|one| one != "none").then(|| found.join(", "))
}

/// What the rule asks for there: any of these, and of payload all.
pub fn wanted(field: Field, matches: &Match) -> Vec<String> {
    match field {
        Field::SourceMacs => matches.source_macs.iter().map(mac).collect(),
        Field::DestinationMacs => matches.destination_macs.iter().map(mac).collect(),
        Field::OuterVlans => matches.outer_vlan.iter().map(ids).collect(),
        Field::InnerVlans => matches.inner_vlan.iter().map(ids).collect(),
        Field::EtherTypes => matches.ether_types.iter().map(|number| ether_type(*number)).collect(),
        Field::Length => matches.length.iter().map(range).collect(),
        Field::Ttl => matches.hop_limit.iter().map(range).collect(),
        Field::Dscp => matches.dscp.iter().map(range).collect(),
        Field::Ecn => matches.ecn.iter().map(range).collect(),
        Field::IpOptions => matches.ip_options.iter().map(|option| option_name(*option).to_owned()).collect(),
        Field::ExtensionHeaders => {
            matches.extension_headers.iter().map(|header| header_name(*header).to_owned()).collect()
        }
        Field::Payload => matches.payload.iter().map(bytes).collect(),
        _ => Vec::new(),
    }
}

fn octets(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}

fn mac(wanted: &MacMatch) -> String {
    match wanted.mask {
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => octets(wanted.address),
        mask => format!("{}/{}", octets(wanted.address), octets(mask)),
    }
}

fn bytes(wanted: &PayloadMatch) -> String {
    let PayloadMatch { from, offset, value, mask } = wanted;
    let masked =
        if mask.iter().all(|byte| *byte == 0xff) { String::new() } else { format!("/{}", digits(mask)) };
    format!("{from:?}+{offset} {}{masked}", digits(value))
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn id(number: u16) -> String {
    if number == NO_VLAN { "none".to_owned() } else { number.to_string() }
}

fn ids(wanted: &RangeInclusive<u16>) -> String {
    if wanted.start() == wanted.end() { id(*wanted.start()) } else { range(wanted) }
}

fn ether_type(number: u16) -> String {
    format!("{number:#06x}")
}

fn range(range: &RangeInclusive<u16>) -> String {
    if range.start() == range.end() {
        range.start().to_string()
    } else {
        format!("{}-{}", range.start(), range.end())
    }
}

fn numbers(numbers: &[u8]) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!("number {}", numbers.join(", "))
}

fn option_name(option: IpOption) -> &'static str {
    match option {
        IpOption::Any => "Any",
        IpOption::RecordRoute => "RecordRoute",
        IpOption::Timestamp => "Timestamp",
        IpOption::Security => "Security",
        IpOption::Lsrr => "LSRR",
        IpOption::StreamId => "StreamId",
        IpOption::Ssrr => "SSRR",
        IpOption::RouterAlert => "RouterAlert",
        IpOption::Other => "Other",
    }
}

fn header_name(header: ExtensionHeader) -> &'static str {
    match header {
        ExtensionHeader::Any => "Any",
        ExtensionHeader::HopByHop => "HopByHop",
        ExtensionHeader::Routing => "Routing",
        ExtensionHeader::Fragment => "Fragment",
        ExtensionHeader::Authentication => "Authentication",
        ExtensionHeader::DestinationOptions => "DestinationOptions",
        ExtensionHeader::Mobility => "Mobility",
        ExtensionHeader::Hip => "HIP",
        ExtensionHeader::Shim6 => "Shim6",
    }
}
