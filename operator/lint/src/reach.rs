//! Which packets a match takes, as sets that can be held against each other.
//!
//! Packets fall into five cases, in each of which a match is a product of sets, one for each field. What fields have to do
//! with each other (only TCP has flags) narrows the sets, so that inclusion of products means inclusion of packets.

mod details;

use ipnet::{Ipv4Net, Ipv6Net};
use sluice_policy::{
    FragmentKind, IcmpFamily, IcmpMatch, LaterFragments, Match, PortRange, PrefixSet, TcpFlags,
};

use crate::ranges::Ranges;

/// What kind of packet: which fields it has at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// Without an intact IP header.
    NoIp,
    /// Whole packets and first fragments.
    V4,
    V6,
    /// Later fragments, without fields of layer 4.
    LaterV4,
    LaterV6,
}

pub(crate) const CASES: [Case; 5] = [Case::NoIp, Case::V4, Case::V6, Case::LaterV4, Case::LaterV6];

/// The fields, as indices of a product.
pub(crate) mod field {
    pub const SOURCE: usize = 0;
    pub const DESTINATION: usize = 1;
    pub const PROTOCOL: usize = 2;
    pub const FRAGMENT: usize = 3;
    pub const SOURCE_PORT: usize = 4;
    pub const DESTINATION_PORT: usize = 5;
    pub const TCP_FLAGS: usize = 6;
    pub const ICMP: usize = 7;
    pub const LENGTH: usize = 8;
    pub const HOP_LIMIT: usize = 9;
    pub const TRAFFIC_CLASS: usize = 10;
    pub const OUTER_VLAN: usize = 11;
    pub const INNER_VLAN: usize = 12;
    pub const ETHER_TYPE: usize = 13;
    pub const SOURCE_MAC: usize = 14;
    pub const DESTINATION_MAC: usize = 15;
    pub const IP_OPTIONS: usize = 16;
    pub const EXTENSION_HEADERS: usize = 17;
    /// Not the bytes: a number for each set of patterns. Two sets may well be of the same packet.
    pub const PAYLOAD: usize = 18;
    pub const COUNT: usize = 19;
}

/// A product of sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Product(pub [Ranges; field::COUNT]);

/// By case; `None`: no packet of it.
pub(crate) type Reach = [Option<Product>; CASES.len()];

const UNKNOWN_PROTOCOL: u128 = 256;
const NO_PORT: u128 = 1 << 16;
const NO_FLAGS: u128 = 256;
const NO_ICMP: u128 = 1 << 16;
const PORTED: [u128; 5] = [6, 17, 33, 132, 136];
const TCP: u128 = 6;

/// Kinds of fragments, each packet being exactly one.
mod kind {
    pub const WHOLE: u128 = 0;
    pub const FIRST: u128 = 1;
    pub const FIRST_TINY: u128 = 2;
    pub const LATER: u128 = 3;
    pub const LATER_TINY: u128 = 4;
}

/// What a rule matches at most: any address may be in a named set.
pub(crate) fn of_rule(matches: &Match, later: LaterFragments) -> Reach {
    reach(matches, later, SetsHold::Everything)
}

/// What a rule matches at least: a named set may be empty.
pub(crate) fn certain(matches: &Match, later: LaterFragments) -> Reach {
    reach(matches, later, SetsHold::Nothing)
}

/// What is assumed of named sets, whose contents are not known here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SetsHold {
    Nothing,
    Everything,
}

fn reach(matches: &Match, later: LaterFragments, sets_hold: SetsHold) -> Reach {
    CASES.map(|case| {
        let product = product(matches, later, case, sets_hold)?;
        product.0.iter().all(|set| !set.is_empty()).then_some(product)
    })
}

/// Everything.
pub(crate) fn everything() -> Reach {
    of_rule(&Match::default(), LaterFragments::NoMatch)
}

/// What both match.
pub(crate) fn and(one: &Reach, other: &Reach) -> Reach {
    std::array::from_fn(|case| {
        one[case].as_ref().zip(other[case].as_ref()).and_then(|(one, other)| one.and(other))
    })
}

pub(crate) fn is_nothing(reach: &Reach) -> bool {
    reach.iter().all(Option::is_none)
}

impl Product {
    /// `None`: nothing.
    fn and(&self, other: &Product) -> Option<Product> {
        let both = Product(std::array::from_fn(|field| self.0[field].and(&other.0[field])));
        both.0.iter().all(|set| !set.is_empty()).then_some(both)
    }

    pub fn covers(&self, other: &Product) -> bool {
        self.0.iter().zip(&other.0).all(|(mine, theirs)| mine.covers(theirs))
    }

    pub fn meets(&self, other: &Product) -> bool {
        (0..field::COUNT).all(|field| field == field::PAYLOAD || self.0[field].meets(&other.0[field]))
    }

    fn narrow(&mut self, field: usize, to: &Ranges) {
        self.0[field] = self.0[field].and(to);
    }
}

impl Case {
    fn is_v4(self) -> bool {
        matches!(self, Case::V4 | Case::LaterV4)
    }

    pub fn is_later(self) -> bool {
        matches!(self, Case::LaterV4 | Case::LaterV6)
    }

    /// Every packet of the case. A field that its packets do not have is one number, the same for all.
    fn every(self) -> Product {
        let none = || Ranges::one(0, 0);
        let (address, protocol) = match self {
            Case::NoIp => (none(), Ranges::one(UNKNOWN_PROTOCOL, UNKNOWN_PROTOCOL)),
            Case::V4 | Case::LaterV4 => (Ranges::one(0, u128::from(u32::MAX)), Ranges::one(0, 255)),
            Case::V6 | Case::LaterV6 => (Ranges::one(0, u128::MAX), Ranges::one(0, UNKNOWN_PROTOCOL)),
        };
        let (kinds, [port, flags, icmp]) = match self {
            Case::NoIp => (Ranges::one(kind::WHOLE, kind::WHOLE), [none(), none(), none()]),
            Case::V4 | Case::V6 => (
                Ranges::one(kind::WHOLE, kind::FIRST_TINY),
                [Ranges::one(0, NO_PORT), Ranges::one(0, NO_FLAGS), Ranges::one(0, NO_ICMP)],
            ),
            Case::LaterV4 | Case::LaterV6 => {
                (Ranges::one(kind::LATER, kind::LATER_TINY), [none(), none(), none()])
            }
        };
        let mut product = Product(std::array::from_fn(|_| none()));
        for (field, set) in [
            (field::SOURCE, address.clone()),
            (field::DESTINATION, address),
            (field::PROTOCOL, protocol),
            (field::FRAGMENT, kinds),
            (field::SOURCE_PORT, port.clone()),
            (field::DESTINATION_PORT, port),
            (field::TCP_FLAGS, flags),
            (field::ICMP, icmp),
        ] {
            product.0[field] = set;
        }
        details::every(&mut product, self);
        product
    }
}

fn product(matches: &Match, later: LaterFragments, case: Case, sets_hold: SetsHold) -> Option<Product> {
    // Without `..`: what a new field takes away must be said here, or warnings would be wrong.
    let Match {
        sources,
        destinations,
        protocols,
        source_ports,
        destination_ports,
        tcp_flags,
        icmp,
        fragments,
        length: _,
        hop_limit: _,
        dscp: _,
        ecn: _,
        source_macs: _,
        destination_macs: _,
        outer_vlan: _,
        inner_vlan: _,
        ether_types: _,
        ip_options: _,
        extension_headers: _,
        payload: _,
    } = matches;
    let mut product = case.every();
    details::narrow(&mut product, matches, case);
    for (field, set) in [(field::SOURCE, sources), (field::DESTINATION, destinations)] {
        if let Some(set) = set {
            product.narrow(field, &addresses(set, case, sets_hold)?);
        }
    }
    if !protocols.is_empty() {
        product.narrow(field::PROTOCOL, &Ranges::numbers(protocols.iter().map(|number| u128::from(*number))));
    }
    if !fragments.is_empty() {
        product.narrow(field::FRAGMENT, &Ranges::numbers(fragments.iter().flat_map(|kind| kinds(*kind))));
    }
    if !matches.has_layer4_fields() {
        return Some(product);
    }
    if case == Case::NoIp || case.is_later() && later == LaterFragments::NoMatch {
        return None;
    }
    let reads_header =
        !source_ports.is_empty() || !destination_ports.is_empty() || tcp_flags.is_some() || !icmp.is_empty();
    if !case.is_later() && reads_header {
        // Both have the whole header.
        product.narrow(field::FRAGMENT, &Ranges::one(kind::WHOLE, kind::FIRST));
    }
    if !source_ports.is_empty() || !destination_ports.is_empty() {
        product.narrow(field::PROTOCOL, &possible(PORTED, case));
        narrow_to_ports(&mut product, field::SOURCE_PORT, source_ports, case);
        narrow_to_ports(&mut product, field::DESTINATION_PORT, destination_ports, case);
    }
    if let Some(wanted) = tcp_flags {
        product.narrow(field::PROTOCOL, &possible([TCP], case));
        if !case.is_later() {
            product.narrow(field::TCP_FLAGS, &flags(wanted));
        }
    }
    if !icmp.is_empty() {
        let (number, family) = if case.is_v4() { (1, IcmpFamily::V4) } else { (58, IcmpFamily::V6) };
        product.narrow(field::PROTOCOL, &possible([number], case));
        let wanted = icmp.iter().filter(|wanted| wanted.family == family);
        let messages = Ranges::of(wanted.map(messages));
        if !case.is_later() {
            product.narrow(field::ICMP, &messages);
        } else if messages.is_empty() {
            return None;
        }
    }
    Some(product)
}

/// A later fragment whose protocol cannot be told may be of any.
fn possible<const N: usize>(protocols: [u128; N], case: Case) -> Ranges {
    Ranges::numbers(protocols.into_iter().chain(case.is_later().then_some(UNKNOWN_PROTOCOL)))
}

fn narrow_to_ports(product: &mut Product, field: usize, ports: &[PortRange], case: Case) {
    if !ports.is_empty() && !case.is_later() {
        let ranges = ports.iter().map(|range| (u128::from(range.first), u128::from(range.last)));
        product.narrow(field, &Ranges::of(ranges));
    }
}

fn addresses(set: &PrefixSet, case: Case, sets_hold: SetsHold) -> Option<Ranges> {
    let PrefixSet { v4, v6, sets, except_v4, except_v6 } = set;
    let all = case.every().0[field::SOURCE].clone();
    let is_open = set.is_open() || !sets.is_empty() && sets_hold == SetsHold::Everything;
    let (prefixes, except) = match case {
        Case::NoIp => return None,
        Case::V4 | Case::LaterV4 => {
            (Ranges::of(v4.iter().map(range_v4)), Ranges::of(except_v4.iter().map(range_v4)))
        }
        Case::V6 | Case::LaterV6 => {
            (Ranges::of(v6.iter().map(range_v6)), Ranges::of(except_v6.iter().map(range_v6)))
        }
    };
    Some(if is_open { all } else { prefixes }.without(&except))
}

fn range_v4(net: &Ipv4Net) -> (u128, u128) {
    (u32::from(net.network()).into(), u32::from(net.broadcast()).into())
}

fn range_v6(net: &Ipv6Net) -> (u128, u128) {
    (net.network().into(), net.broadcast().into())
}

fn flags(wanted: &TcpFlags) -> Ranges {
    let fits = |flags: &u128| {
        let flags = *flags as u8;
        flags & wanted.set == wanted.set && flags & wanted.unset == 0
    };
    Ranges::numbers((0..=255).filter(fits))
}

fn messages(wanted: &IcmpMatch) -> (u128, u128) {
    let (types, codes) = match (wanted.icmp_type, wanted.code) {
        (Some(one), Some(code)) => ((one, one), (code, code)),
        (Some(one), None) => ((one, one), (0, 255)),
        (None, _) => ((0, 255), (0, 255)),
    };
    let number = |(icmp_type, code): (u8, u8)| u128::from(icmp_type) << 8 | u128::from(code);
    (number((types.0, codes.0)), number((types.1, codes.1)))
}

fn kinds(kind: FragmentKind) -> Vec<u128> {
    match kind {
        FragmentKind::None => vec![kind::WHOLE],
        FragmentKind::First => vec![kind::FIRST, kind::FIRST_TINY],
        FragmentKind::Later => vec![kind::LATER, kind::LATER_TINY],
        FragmentKind::Tiny => vec![kind::FIRST_TINY, kind::LATER_TINY],
        FragmentKind::Any => vec![kind::FIRST, kind::FIRST_TINY, kind::LATER, kind::LATER_TINY],
    }
}
