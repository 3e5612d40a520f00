//! Drops that failsafe traffic does not heed.

use std::net::IpAddr;

use ipnet::IpNet;
use sluice_plan::Failsafe;
use sluice_policy::{Action, Filter, IcmpFamily, Match, Mode, PrefixSet};

use crate::Surroundings;
use crate::class::{Class, TCP, UDP, acknowledged, icmp, ports, protocol};
use crate::reach::{CASES, Product, Reach, everything, field};
use crate::shadow::{covers, decides};
use crate::warning::{Reason, Warning};

/// `certain` is what the rules match at least. Of rules alone: that a default action leaves failsafe traffic be is what it is documented to do.
pub(crate) fn warnings(filter: &Filter, certain: &[Reach], around: &Surroundings) -> Vec<Warning> {
    if filter.mode == Mode::Audit {
        return Vec::new();
    }
    let (network, node) = (network_classes(), node_classes(around.failsafe));
    let mut warnings = Vec::new();
    for (index, (rule, reach)) in filter.rules.iter().zip(certain).enumerate() {
        if rule.action != Action::Drop || rule.mode == Mode::Audit {
            continue;
        }
        let earlier = earlier(filter, certain, index);
        let destinations = rule.matches.destinations.as_ref();
        let to_node =
            destinations.is_none_or(|set| around.node_addresses.iter().any(|address| holds(set, *address)));
        let shadowed = network.iter().filter(|class| is_about(reach, &class.reach, &[]));
        let node_shadowed =
            node.iter().filter(|class| to_node && is_about(reach, &class.reach, &[field::DESTINATION]));
        warnings.extend(warning(&rule.name, shadowed.chain(node_shadowed), &earlier));
    }
    warnings
}

fn earlier<'a>(filter: &Filter, reaches: &'a [Reach], end: usize) -> Vec<&'a Reach> {
    filter.rules[..end]
        .iter()
        .zip(reaches)
        .filter(|(rule, _)| decides(rule))
        .map(|(_, reach)| reach)
        .collect()
}

/// What an earlier rule decides whole is none of this one's.
fn warning<'a>(name: &str, classes: impl Iterator<Item = &'a Class>, earlier: &[&Reach]) -> Option<Warning> {
    let mut left: Vec<&str> = classes
        .filter(|class| !earlier.iter().any(|before| covers(before, &class.reach)))
        .map(|class| class.name.as_str())
        .collect();
    left.dedup();
    let message = format!(
        "does not drop {}: that is failsafe traffic, which passes before every rule",
        left.join(", ")
    );
    (!left.is_empty()).then(|| Warning {
        rule: Some(name.to_owned()),
        reason: Reason::ShadowedByFailsafe,
        message,
    })
}

/// Whether a rule takes all of the class in a family, or nothing else; some fields set aside. The failsafe has no part in
/// later fragments.
fn is_about(reach: &Reach, class: &Reach, aside: &[usize]) -> bool {
    let within = |outer: &Product, inner: &Product| {
        (0..field::COUNT).all(|field| aside.contains(&field) || outer.0[field].covers(&inner.0[field]))
    };
    let pairs = || CASES.iter().zip(reach.iter().zip(class)).filter(|(case, _)| !case.is_later());
    let takes_all = |rule: &Option<Product>, class: &Option<Product>| {
        rule.as_ref().zip(class.as_ref()).is_some_and(|(rule, class)| within(rule, class))
    };
    let no_more = |rule: &Option<Product>, class: &Option<Product>| match (rule, class) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(rule), Some(class)) => within(class, rule),
    };
    let is_somewhere = pairs().any(|(_, (rule, _))| rule.is_some());
    pairs().any(|(_, (rule, class))| takes_all(rule, class))
        || is_somewhere && pairs().all(|(_, (rule, class))| no_more(rule, class))
}

/// What is in a named set is not known here.
fn holds(set: &PrefixSet, address: IpAddr) -> bool {
    let PrefixSet { v4, v6, sets: _, except_v4, except_v6 } = set;
    let any = |v4: &[ipnet::Ipv4Net], v6: &[ipnet::Ipv6Net]| {
        let nets = v4.iter().copied().map(IpNet::V4).chain(v6.iter().copied().map(IpNet::V6));
        nets.into_iter().any(|net| net.contains(&address))
    };
    (set.is_open() || any(v4, v6)) && !any(except_v4, except_v6)
}

/// What keeps a network alive, whoever it is for.
fn network_classes() -> Vec<Class> {
    let dhcp = |client, server| {
        let to_client = ports(UDP, Some(server), Some((client, client)));
        let to_server = ports(UDP, Some(client), Some((server, server)));
        [Class::new("DHCP", to_client), Class::new("DHCP", to_server)]
    };
    let messages = |types: &[u8]| types.iter().map(|one| (*one, None)).collect::<Vec<_>>();
    let v6 = |types: &[u8]| icmp(IcmpFamily::V6, &messages(types));
    let routers = PrefixSet {
        v4: vec!["224.0.0.5/32", "224.0.0.6/32"].into_iter().filter_map(|net| net.parse().ok()).collect(),
        v6: vec!["ff02::5/128", "ff02::6/128"].into_iter().filter_map(|net| net.parse().ok()).collect(),
        ..PrefixSet::default()
    };
    let mut link = everything();
    link[1..].fill(None);
    let mut classes = vec![
        Class { name: "ARP, LLDP, LACP and spanning tree".to_owned(), reach: link },
        Class::new("IPv6 neighbour discovery", v6(&[133, 134, 135, 136, 137])),
        Class::new("MLD", v6(&[130, 131, 132, 143])),
        Class::new("IGMP with TTL 1", protocol(2)),
        Class::new("VRRP with TTL 255", protocol(112)),
        Class::new("OSPF hellos", Match { destinations: Some(routers), ..protocol(89) }),
        Class::new("BFD with TTL 255", ports(UDP, None, Some((3784, 3784)))),
    ];
    classes.extend(dhcp(68, 67));
    classes.extend(dhcp(546, 547));
    classes
}

/// What the node itself needs, to its own addresses.
fn node_classes(failsafe: &Failsafe) -> Vec<Class> {
    let port = |entry: &sluice_plan::FailsafeEntry| {
        let name = if entry.protocol == TCP { "TCP" } else { "UDP" };
        let matches = ports(entry.protocol, None, Some((entry.port, entry.port)));
        let sources = (!entry.sources.is_empty()).then(|| {
            let mut set = PrefixSet::default();
            entry.sources.iter().for_each(|prefix| set.push(*prefix));
            set
        });
        let from = if sources.is_some() { " from its sources" } else { "" };
        Class::new(format!("{name} port {}{from} to nodes", entry.port), Match { sources, ..matches })
    };
    let endpoint = |endpoint: &sluice_plan::ControlEndpoint| {
        let mut set = PrefixSet::default();
        set.push(endpoint.address.into());
        let matches = acknowledged(ports(TCP, Some(endpoint.port), None));
        let name = format!(
            "replies of the control endpoint {}",
            std::net::SocketAddr::new(endpoint.address, endpoint.port)
        );
        Class::new(name, Match { sources: Some(set), ..matches })
    };
    failsafe.ports.iter().map(port).chain(failsafe.control_endpoints.iter().map(endpoint)).collect()
}
