//! Whether a rule's match fits a packet. All fields must; a field that is not given always does.

use std::net::IpAddr;

use sluice_policy::{
    FragmentKind, IcmpFamily, IcmpMatch, LaterFragments, Match, PortRange, PrefixSet, Rule, TcpFlags,
};

use crate::packet::{Fragment, Packet, Transport, transport};

pub(crate) fn matches(rule: &Rule, packet: &Packet) -> bool {
    let Match {
        sources,
        destinations,
        protocols,
        source_ports,
        destination_ports,
        tcp_flags,
        icmp,
        fragments,
    } = &rule.matches;
    addresses(sources.as_ref(), packet.ip.map(|ip| ip.source))
        && addresses(destinations.as_ref(), packet.ip.map(|ip| ip.destination))
        && (protocols.is_empty() || packet.protocol.is_some_and(|number| protocols.contains(&number)))
        && (fragments.is_empty() || fragments.iter().any(|kind| is_kind(*kind, packet.fragment)))
        && layer4(rule, packet, source_ports, destination_ports, tcp_flags.as_ref(), icmp)
}

fn layer4(
    rule: &Rule,
    packet: &Packet,
    source_ports: &[PortRange],
    destination_ports: &[PortRange],
    flags: Option<&TcpFlags>,
    icmp: &[IcmpMatch],
) -> bool {
    if packet.is_later_fragment() && rule.matches.has_layer4_fields() {
        return rule.later_fragments != LaterFragments::NoMatch && could_match_in_first(rule, packet);
    }
    let ports = packet.ports();
    (source_ports.is_empty() || ports.is_some_and(|ports| in_any(source_ports, ports.source)))
        && (destination_ports.is_empty()
            || ports.is_some_and(|ports| in_any(destination_ports, ports.destination)))
        && flags.is_none_or(|wanted| fits_flags(wanted, packet))
        && (icmp.is_empty() || icmp.iter().any(|wanted| fits_icmp(wanted, packet)))
}

/// Whether the first fragment of this later one could have the fields that the rule asks for.
fn could_match_in_first(rule: &Rule, packet: &Packet) -> bool {
    let Match { source_ports, destination_ports, tcp_flags, icmp, .. } = &rule.matches;
    let asks_for_ports = !source_ports.is_empty() || !destination_ports.is_empty();
    (!asks_for_ports || transport::may_have_ports(packet.protocol))
        && (tcp_flags.is_none() || transport::may_have_flags(packet.protocol))
        && (icmp.is_empty()
            || packet.ip.is_some_and(|ip| {
                transport::may_be_icmp(packet.protocol, ip.source)
                    && icmp.iter().any(|wanted| is_family(wanted.family, ip.source))
            }))
}

fn addresses(set: Option<&PrefixSet>, address: Option<IpAddr>) -> bool {
    let Some(PrefixSet { v4, v6, except_v4, except_v6 }) = set else { return true };
    let is_open = v4.is_empty() && v6.is_empty();
    match address {
        None => false,
        Some(IpAddr::V4(address)) => {
            (is_open || v4.iter().any(|prefix| prefix.contains(&address)))
                && !except_v4.iter().any(|prefix| prefix.contains(&address))
        }
        Some(IpAddr::V6(address)) => {
            (is_open || v6.iter().any(|prefix| prefix.contains(&address)))
                && !except_v6.iter().any(|prefix| prefix.contains(&address))
        }
    }
}

fn in_any(ranges: &[PortRange], port: u16) -> bool {
    ranges.iter().any(|range| range.first <= port && port <= range.last)
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
    }
}
