//! What the policies say of a packet, rule by rule.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use sluice_policy::{
    Action, ExtensionHeader, Filter, FragmentKind, IcmpFamily, IcmpMatch, IpOption, LaterFragments, Layer,
    MacMatch, Malformed, Match, Mode, PayloadMatch, PortRange, PrefixSet, Rule,
};

use crate::packet::{Fragment, Layer4, Link, Network, Outcome, Packet};
use crate::policies;

pub fn ordered(filters: &[Filter]) -> Vec<&Filter> {
    let mut ordered: Vec<&Filter> = filters.iter().collect();
    ordered.sort_by_key(|filter| (-i64::from(filter.priority), filter.object.name.clone()));
    ordered
}

pub fn judge(filters: &[&Filter], packet: &Packet) -> Outcome {
    let mut outcome = Outcome::default();
    for filter in filters {
        let Some((name, action)) = first_match(filter, packet, &mut outcome) else { continue };
        let decider = (filter.object.name.clone(), name);
        match (filter.mode, action) {
            (Mode::Audit, Action::Drop) => _ = outcome.audited.get_or_insert(decider),
            (Mode::Audit, _) | (Mode::Enforce, Action::Next) => {}
            (Mode::Enforce, action) => {
                outcome.dropped = action == Action::Drop;
                outcome.decided = Some(decider);
                return outcome;
            }
        }
    }
    outcome
}

/// The rule that decides for a filter, or what it does with packets that no rule decided.
fn first_match(filter: &Filter, packet: &Packet, outcome: &mut Outcome) -> Option<(String, Action)> {
    if filter.allow_established && packet.established {
        return Some(("_established".to_owned(), Action::Pass));
    }
    for rule in filter.rules.iter().filter(|rule| matches(rule, packet)) {
        let later_drop = packet.is_later()
            && rule.matches.has_layer4_fields()
            && rule.later_fragments == LaterFragments::Drop;
        let action = if later_drop { Action::Drop } else { rule.action };
        if action.continues() {
            continue;
        }
        if rule.mode == Mode::Enforce {
            return Some((rule.name.clone(), action));
        }
        if action == Action::Drop {
            outcome.audited.get_or_insert((filter.object.name.clone(), rule.name.clone()));
        }
    }
    if packet.malformed && filter.malformed == Malformed::Drop {
        return Some(("_malformed".to_owned(), Action::Drop));
    }
    if filter.default_action == Action::Next {
        return None;
    }
    if packet.malformed {
        return Some(("_malformed".to_owned(), Action::Pass));
    }
    Some(("_default".to_owned(), filter.default_action))
}

fn matches(rule: &Rule, packet: &Packet) -> bool {
    let wanted = &rule.matches;
    let in_set = |set: &Option<PrefixSet>, address: Option<IpAddr>| {
        set.as_ref().is_none_or(|set| address.is_some_and(|address| holds(set, address)))
    };
    in_set(&wanted.sources, packet.addresses.map(|(source, _)| source))
        && in_set(&wanted.destinations, packet.addresses.map(|(_, destination)| destination))
        && (wanted.protocols.is_empty() || packet.protocol.is_some_and(|p| wanted.protocols.contains(&p)))
        && (wanted.fragments.is_empty() || wanted.fragments.iter().any(|kind| is(*kind, packet.fragment)))
        && link(wanted, packet.link)
        && network(wanted, packet)
        && layer4(rule, packet)
        && payload(rule, packet)
}

fn payload(rule: &Rule, packet: &Packet) -> bool {
    let holds = |pattern: &PayloadMatch| match pattern.from {
        Layer::L4 | Layer::Payload if packet.is_later() => rule.later_fragments != LaterFragments::NoMatch,
        _ => packet.held >> pattern.offset & 1 == 1,
    };
    rule.matches.payload.iter().all(holds)
}

fn link(wanted: &Match, link: Link) -> bool {
    let fits = |ranges: &[RangeInclusive<u16>], value: Option<u16>| {
        ranges.is_empty() || value.is_some_and(|value| ranges.iter().any(|range| range.contains(&value)))
    };
    let is = |wanted: &[MacMatch], own: Option<[u8; 6]>| {
        wanted.is_empty()
            || own.is_some_and(|own| wanted.iter().any(|one| mac(own) & mac(one.mask) == mac(one.address)))
    };
    is(&wanted.source_macs, link.macs.map(|macs| macs.0))
        && is(&wanted.destination_macs, link.macs.map(|macs| macs.1))
        && fits(&wanted.outer_vlan, link.outer)
        && fits(&wanted.inner_vlan, link.inner)
        && (wanted.ether_types.is_empty()
            || link.ether_type.is_some_and(|own| wanted.ether_types.contains(&own)))
}

fn mac(octets: [u8; 6]) -> u64 {
    octets.into_iter().fold(0, |number, octet| number << 8 | u64::from(octet))
}

fn network(wanted: &Match, packet: &Packet) -> bool {
    let Network { hop_limit, class, length, parts } = packet.network;
    let (v4, v6) = (packet.addresses.is_some() && !packet.is_v6(), packet.is_v6());
    let options = |wanted: &[IpOption]| {
        wanted.is_empty()
            || v4
                && parts > 0
                && wanted.iter().any(|one| *one == IpOption::Any || bit(&OPTIONS, *one, parts - 1))
    };
    let headers = |wanted: &[ExtensionHeader]| {
        wanted.is_empty()
            || v6
                && parts > 0
                && wanted.iter().any(|one| *one == ExtensionHeader::Any || bit(&HEADERS, *one, parts))
    };
    let fits = |ranges: &[RangeInclusive<u16>], value: u16| {
        ranges.is_empty() || packet.addresses.is_some() && ranges.iter().any(|range| range.contains(&value))
    };
    fits(&wanted.hop_limit, hop_limit.into())
        && fits(&wanted.dscp, u16::from(class) / 4)
        && fits(&wanted.ecn, u16::from(class) % 4)
        && fits(&wanted.length, length)
        && options(&wanted.ip_options)
        && headers(&wanted.extension_headers)
}

const OPTIONS: [IpOption; 8] = {
    use IpOption::*;
    [RecordRoute, Timestamp, Security, Lsrr, StreamId, Ssrr, RouterAlert, Other]
};
const HEADERS: [ExtensionHeader; 8] = {
    use ExtensionHeader::*;
    [HopByHop, Routing, Fragment, Authentication, DestinationOptions, Mobility, Hip, Shim6]
};

fn bit<T: PartialEq>(order: &[T], wanted: T, bits: u16) -> bool {
    order.iter().position(|one| *one == wanted).is_some_and(|bit| bits >> bit & 1 == 1)
}

fn layer4(rule: &Rule, packet: &Packet) -> bool {
    let wanted = &rule.matches;
    let port = |ranges: &[PortRange], port: Option<u16>| {
        let inside = |port: u16| ranges.iter().any(|range| (range.first..=range.last).contains(&port));
        ranges.is_empty()
            || later(rule, packet, |p| [6, 17, 33, 132, 136].contains(&p))
            || port.is_some_and(inside)
    };
    let flags = wanted.tcp_flags.is_none_or(|wanted| {
        later(rule, packet, |p| p == 6)
            || matches!(packet.layer4, Layer4::Tcp { flags, .. }
                if flags & wanted.set == wanted.set && flags & wanted.unset == 0)
    });
    let v6 = packet.is_v6();
    let of_family = |icmp: &IcmpMatch| (icmp.family == IcmpFamily::V6) == v6;
    let message = |icmp: &IcmpMatch| {
        matches!(packet.layer4, Layer4::Icmp { icmp_type, code }
            if icmp.icmp_type.is_none_or(|wanted| wanted == icmp_type) && icmp.code.is_none_or(|c| c == code))
    };
    let icmp = wanted.icmp.is_empty()
        || wanted
            .icmp
            .iter()
            .filter(|icmp| of_family(icmp))
            .any(|icmp| later(rule, packet, |p| p == if v6 { 58 } else { 1 }) || message(icmp));
    port(&wanted.source_ports, packet.ports().map(|ports| ports.0))
        && port(&wanted.destination_ports, packet.ports().map(|ports| ports.1))
        && flags
        && icmp
}

/// A later fragment that the rule takes, of a datagram that could have the field.
fn later(rule: &Rule, packet: &Packet, could: impl Fn(u8) -> bool) -> bool {
    packet.is_later() && rule.later_fragments != LaterFragments::NoMatch && packet.protocol.is_none_or(could)
}

fn holds(set: &PrefixSet, address: IpAddr) -> bool {
    let any = set.is_open() || set.sets.iter().any(|name| policies::set(name).contains(address));
    match address {
        IpAddr::V4(a) => {
            (any || set.v4.iter().any(|net| net.contains(&a)))
                && !set.except_v4.iter().any(|net| net.contains(&a))
        }
        IpAddr::V6(a) => {
            (any || set.v6.iter().any(|net| net.contains(&a)))
                && !set.except_v6.iter().any(|net| net.contains(&a))
        }
    }
}

fn is(kind: FragmentKind, fragment: Fragment) -> bool {
    match kind {
        FragmentKind::None => fragment == Fragment::Whole,
        FragmentKind::First => matches!(fragment, Fragment::First | Fragment::FirstTiny),
        FragmentKind::Later => matches!(fragment, Fragment::Later | Fragment::LaterTiny),
        FragmentKind::Tiny => matches!(fragment, Fragment::FirstTiny | Fragment::LaterTiny),
        FragmentKind::Any => fragment != Fragment::Whole,
    }
}
