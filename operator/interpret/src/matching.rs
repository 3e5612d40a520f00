//! Whether a rule's match fits a packet, field by field. All must; a field that is not given always does.

mod link;
mod parts;
mod payload;

use std::net::IpAddr;
use std::ops::RangeInclusive;

use sluice_policy::{
    FragmentKind, IcmpFamily, IcmpMatch, LaterFragments, Match, PortRange, PrefixSet, Rule, TcpFlags,
};

use crate::packet::{Fragment, Packet, Transport, transport};
use crate::world::Sets;

/// A field of a rule's match, named as the API names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Sources,
    Destinations,
    SourceMacs,
    DestinationMacs,
    OuterVlans,
    InnerVlans,
    EtherTypes,
    Protocols,
    Length,
    Ttl,
    Dscp,
    Ecn,
    Fragments,
    IpOptions,
    ExtensionHeaders,
    SourcePorts,
    DestinationPorts,
    TcpFlags,
    Icmp,
    Payload,
}

/// A field that a rule restricts, held against a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    pub field: Field,
    pub fits: bool,
}

/// Every field that the rule restricts, in the order of [`Field::ALL`]; looked at one by one as the caller asks.
pub(crate) fn fields<'a>(
    rule: &'a Rule,
    packet: &'a Packet<'_>,
    sets: &'a Sets,
) -> impl Iterator<Item = Checked> + 'a {
    Field::ALL.into_iter().filter_map(|field| Some(Checked { field, fits: field.check(rule, packet, sets)? }))
}

impl Field {
    pub const ALL: [Field; 20] = [
        Field::Sources,
        Field::Destinations,
        Field::SourceMacs,
        Field::DestinationMacs,
        Field::OuterVlans,
        Field::InnerVlans,
        Field::EtherTypes,
        Field::Protocols,
        Field::Length,
        Field::Ttl,
        Field::Dscp,
        Field::Ecn,
        Field::Fragments,
        Field::IpOptions,
        Field::ExtensionHeaders,
        Field::SourcePorts,
        Field::DestinationPorts,
        Field::TcpFlags,
        Field::Icmp,
        Field::Payload,
    ];

    /// Whether the rule reads by it a header that a later fragment does not carry.
    pub fn is_layer4(self, rule: &Rule) -> bool {
        match self {
            Field::SourcePorts | Field::DestinationPorts | Field::TcpFlags | Field::Icmp => true,
            Field::Payload => rule.matches.payload.iter().any(|wanted| wanted.from.is_layer4()),
            _ => false,
        }
    }

    /// `None`: the rule does not restrict it.
    fn check(self, rule: &Rule, packet: &Packet, sets: &Sets) -> Option<bool> {
        let Match {
            sources,
            destinations,
            source_macs,
            destination_macs,
            outer_vlan,
            inner_vlan,
            ether_types,
            protocols,
            source_ports,
            destination_ports,
            tcp_flags,
            icmp,
            length,
            hop_limit,
            dscp,
            ecn,
            fragments,
            ip_options,
            extension_headers,
            payload,
        } = &rule.matches;
        let later = self.is_layer4(rule) && packet.is_later_fragment();
        // What a later fragment lacks may match in its first, if the rule says so.
        let goes_on = rule.later_fragments != LaterFragments::NoMatch;
        let has_ports = goes_on && transport::may_have_ports(packet.protocol);
        match self {
            Field::Sources => Some(holds(sources.as_ref()?, sets, packet.ip.map(|ip| ip.source))),
            Field::Destinations => {
                Some(holds(destinations.as_ref()?, sets, packet.ip.map(|ip| ip.destination)))
            }
            Field::SourceMacs => {
                given(source_macs).map(|wanted| link::is_mac(wanted, packet.macs.map(|macs| macs.source)))
            }
            Field::DestinationMacs => given(destination_macs)
                .map(|wanted| link::is_mac(wanted, packet.macs.map(|macs| macs.destination))),
            Field::OuterVlans => given(outer_vlan).map(|ids| within(ids, packet.outer_vlan)),
            Field::InnerVlans => given(inner_vlan).map(|ids| within(ids, packet.inner_vlan)),
            Field::EtherTypes => given(ether_types).map(|wanted| link::is_type(wanted, packet.ether_type)),
            Field::Length => given(length).map(|ranges| within(ranges, packet.ip.map(|ip| ip.length))),
            Field::Ttl => {
                given(hop_limit).map(|ranges| within(ranges, packet.ip.map(|ip| ip.hop_limit.into())))
            }
            Field::Dscp => given(dscp).map(|ranges| within(ranges, packet.ip.map(|ip| ip.dscp()))),
            Field::Ecn => given(ecn).map(|ranges| within(ranges, packet.ip.map(|ip| ip.ecn()))),
            Field::IpOptions => given(ip_options).map(|wanted| parts::has_option(wanted, packet)),
            Field::ExtensionHeaders => {
                given(extension_headers).map(|wanted| parts::has_extension(wanted, packet))
            }
            Field::Protocols => given(protocols)
                .map(|numbers| packet.protocol.is_some_and(|number| numbers.contains(&number))),
            Field::Fragments => {
                given(fragments).map(|kinds| kinds.iter().any(|kind| is_kind(*kind, packet.fragment)))
            }
            Field::SourcePorts => {
                let port = packet.ports().map(|ports| ports.source);
                given(source_ports).map(|ranges| if later { has_ports } else { in_any(ranges, port) })
            }
            Field::DestinationPorts => {
                let port = packet.ports().map(|ports| ports.destination);
                given(destination_ports).map(|ranges| if later { has_ports } else { in_any(ranges, port) })
            }
            Field::TcpFlags if later => {
                tcp_flags.map(|_| goes_on && transport::may_have_flags(packet.protocol))
            }
            Field::TcpFlags => tcp_flags.as_ref().map(|wanted| fits_flags(wanted, packet)),
            Field::Icmp if later => given(icmp).map(|wanted| goes_on && could_be_icmp(wanted, packet)),
            Field::Icmp => given(icmp).map(|wanted| wanted.iter().any(|one| fits_icmp(one, packet))),
            Field::Payload => {
                given(payload).map(|wanted| wanted.iter().all(|one| payload::holds(one, packet, goes_on)))
            }
        }
    }
}

fn given<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

/// A packet without the field does not fit.
fn within(ranges: &[RangeInclusive<u16>], value: Option<u16>) -> bool {
    value.is_some_and(|value| ranges.iter().any(|range| range.contains(&value)))
}

/// Whether the first fragment of this later one could be a wanted message.
fn could_be_icmp(wanted: &[IcmpMatch], packet: &Packet) -> bool {
    packet.ip.is_some_and(|ip| {
        transport::may_be_icmp(packet.protocol, ip.source)
            && wanted.iter().any(|wanted| is_family(wanted.family, ip.source))
    })
}

fn holds(wanted: &PrefixSet, sets: &Sets, address: Option<IpAddr>) -> bool {
    let PrefixSet { v4, v6, sets: names, except_v4, except_v6 } = wanted;
    let Some(address) = address else { return false };
    let in_set = |name: &String| {
        let set = sets.get(name).expect("filters that name an unknown set are refused before");
        set.contains(address)
    };
    let in_prefixes = match address {
        IpAddr::V4(address) => v4.iter().any(|prefix| prefix.contains(&address)),
        IpAddr::V6(address) => v6.iter().any(|prefix| prefix.contains(&address)),
    };
    let is_excepted = match address {
        IpAddr::V4(address) => except_v4.iter().any(|prefix| prefix.contains(&address)),
        IpAddr::V6(address) => except_v6.iter().any(|prefix| prefix.contains(&address)),
    };
    (wanted.is_open() || in_prefixes || names.iter().any(in_set)) && !is_excepted
}

fn in_any(ranges: &[PortRange], port: Option<u16>) -> bool {
    port.is_some_and(|port| ranges.iter().any(|range| range.first <= port && port <= range.last))
}

fn fits_flags(wanted: &TcpFlags, packet: &Packet) -> bool {
    match packet.transport {
        Transport::Tcp { flags, .. } => flags & wanted.set == wanted.set && flags & wanted.unset == 0,
        _ => false,
    }
}

fn fits_icmp(wanted: &IcmpMatch, packet: &Packet) -> bool {
    let (Transport::Icmp { icmp_type, code }, Some(ip)) = (packet.transport, packet.ip) else { return false };
    is_family(wanted.family, ip.source)
        && wanted.icmp_type.is_none_or(|wanted| wanted == icmp_type)
        && wanted.code.is_none_or(|wanted| wanted == code)
}

fn is_family(family: IcmpFamily, address: IpAddr) -> bool {
    match family {
        IcmpFamily::V4 => address.is_ipv4(),
        IcmpFamily::V6 => address.is_ipv6(),
    }
}

fn is_kind(kind: FragmentKind, fragment: Fragment) -> bool {
    match kind {
        FragmentKind::None => fragment == Fragment::Whole,
        FragmentKind::First => matches!(fragment, Fragment::First { .. }),
        FragmentKind::Later => matches!(fragment, Fragment::Later { .. }),
        FragmentKind::Tiny => {
            matches!(fragment, Fragment::First { tiny: true } | Fragment::Later { tiny: true })
        }
        FragmentKind::Any => fragment != Fragment::Whole,
    }
}
