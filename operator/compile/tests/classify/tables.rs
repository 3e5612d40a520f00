//! A plain reading of the compiled tables, as the kernel program reads them.

use std::net::IpAddr;

use bytemuck::{Pod, pod_read_unaligned};
use sluice_abi::{
    ABSENT, Bound32, Bound64, Bound128, DEFAULT_ENTRY, Dimension, ESTABLISHED_ENTRY, Entry, EntryAction,
    LATER, MALFORMED_ENTRY, PATTERNS_OF_GROUP, Pattern, PatternLayer, Row, Straight, dimension, entry_flags,
    features, kind,
};
use sluice_address_set::AddressSet;
use sluice_plan::{FilterPart, NodePlan};

use crate::packet::{Fragment, Layer4, Network, Outcome, Packet};
use crate::policies;
use crate::straight;
use crate::trees::Trees;

pub struct Tables {
    features: u64,
    words: usize,
    dimensions: Vec<Dimension>,
    entries: Vec<Entry>,
    straight: Vec<Straight>,
    rows: Vec<Row>,
    direct: Vec<u32>,
    patterns: Vec<Pattern>,
    /// Start and row of each interval by dimension.
    bounds: Vec<Vec<(u128, u32)>>,
    parts: Vec<FilterPart>,
    /// In the order of their bits.
    sets: Vec<AddressSet>,
    /// Beside the rows, where there are more entries than bits.
    trees: Option<Trees>,
}

impl Tables {
    pub fn decode(plan: &NodePlan) -> Tables {
        let tables = &plan.filters.tables;
        Tables {
            features: tables.features,
            words: tables.words as usize,
            dimensions: elements(&tables.dimensions),
            entries: elements(&tables.entries),
            straight: elements(&tables.straight),
            rows: elements(&tables.rows),
            direct: elements(&tables.direct),
            patterns: elements(&tables.patterns),
            bounds: tables.bounds.iter().enumerate().map(|(index, bytes)| bounds(index, bytes)).collect(),
            parts: plan.filters.parts.clone(),
            sets: plan.sets.iter().map(|name| policies::set(name)).collect(),
            trees: (tables.features & features::LARGE != 0).then(|| Trees::decode(&tables.large)),
        }
    }

    pub fn classify(&self, packet: &Packet) -> Outcome {
        let row = self.candidates(packet);
        let mut outcome = Outcome::default();
        let mut from = 0;
        while let Some(at) = self.first(packet, &row, from) {
            let entry = self.entries[at];
            let later_drop = packet.is_later() && entry.flags & entry_flags::DROP_LATER != 0;
            // The kernel program looks at no other actions than those beside the comparisons.
            let action = self.comparison(at, packet).map_or(entry.action, |comparison| comparison.action);
            let action = if later_drop { EntryAction::Drop as u8 } else { action };
            let drops = action == EntryAction::Drop as u8;
            let audit = entry.flags & (entry_flags::AUDIT_FILTER | entry_flags::AUDIT_RULE);
            if audit != 0 && drops {
                outcome.audited.get_or_insert_with(|| self.name(entry));
            }
            if audit & entry_flags::AUDIT_RULE != 0 || action >= EntryAction::Count as u8 {
                from = at + 1;
            } else if audit != 0 || action == EntryAction::Next as u8 {
                from = usize::from(entry.next_filter);
            } else {
                outcome.dropped = drops;
                outcome.decided = Some(self.name(entry));
                return outcome;
            }
        }
        outcome
    }

    /// The first of the entry's comparisons that holds.
    fn comparison(&self, entry: usize, packet: &Packet) -> Option<&Straight> {
        let mut own = self.straight.iter().filter(|one| usize::from(one.entry) == entry);
        own.find(|one| straight::matches(one, packet))
    }

    fn first(&self, packet: &Packet, row: &Row, from: usize) -> Option<usize> {
        match &self.trees {
            Some(trees) => trees.first(packet, row, from),
            None => (from..self.words * 64).find(|bit| row[bit / 64] >> (bit % 64) & 1 == 1),
        }
    }

    fn name(&self, entry: Entry) -> (String, String) {
        let part = &self.parts[usize::from(entry.filter)];
        let rule = match entry.rule {
            DEFAULT_ENTRY => "_default".to_owned(),
            MALFORMED_ENTRY => "_malformed".to_owned(),
            ESTABLISHED_ENTRY => "_established".to_owned(),
            rule => part.rules[usize::from(rule)].clone(),
        };
        (part.policy.name.clone(), rule)
    }

    /// The AND of the rows of all used dimensions.
    fn candidates(&self, packet: &Packet) -> Row {
        let mut row = [0; sluice_abi::WORDS];
        let bits = self.trees.as_ref().map_or(self.entries.len(), |trees| trees.bits.len());
        (0..bits).for_each(|entry| row[entry / 64] |= 1 << (entry % 64));
        if self.features & features::STRAIGHT != 0 {
            (0..self.entries.len())
                .filter(|entry| self.comparison(*entry, packet).is_none())
                .for_each(|entry| row[entry / 64] &= !(1 << (entry % 64)));
        }
        // Straight entries have no rows, whatever they ask for.
        let used = if self.straight.is_empty() { self.features } else { 0 };
        for index in (0..dimension::COUNT).filter(|index| used & features::dimension(*index) != 0) {
            let found = match index {
                dimension::SOURCE_SETS | dimension::DESTINATION_SETS => Some(self.in_sets(index, packet)),
                _ => self.look_up(index, packet).map(|found| self.rows[found as usize]),
            };
            if let Some(found) = found {
                row.iter_mut().zip(found).for_each(|(word, other)| *word &= other);
            }
        }
        row
    }

    /// The OR of the rows of the sets that the address is in, and of the entries that ask for none.
    fn in_sets(&self, index: usize, packet: &Packet) -> Row {
        let is_source = index == dimension::SOURCE_SETS;
        let first =
            if is_source { dimension::DIRECT_SOURCE_SETS } else { dimension::DIRECT_DESTINATION_SETS };
        let address = packet.addresses.map(|both| if is_source { both.0 } else { both.1 });
        let Dimension { intervals: used, special } = self.dimensions[index];
        let mut row = self.rows[special as usize];
        for (bit, set) in self.sets.iter().enumerate().filter(|(bit, _)| used >> bit & 1 == 1) {
            if address.is_some_and(|address| set.contains(address)) {
                let found = self.rows[self.direct[first as usize + bit] as usize];
                row.iter_mut().zip(found).for_each(|(word, other)| *word |= other);
            }
        }
        row
    }

    /// `None` for the table of the other address family.
    fn look_up(&self, index: usize, packet: &Packet) -> Option<u32> {
        let protocol = packet.protocol.map_or(256, u32::from);
        let source = packet.addresses.map(|(source, _)| source);
        let destination = packet.addresses.map(|(_, destination)| destination);
        match index {
            dimension::KIND => Some(self.direct[kind_of(packet) as usize]),
            dimension::PROTOCOL => Some(self.direct[(dimension::DIRECT_PROTOCOL + protocol) as usize]),
            dimension::SOURCE_V4 | dimension::DESTINATION_V4 => {
                match if index == dimension::SOURCE_V4 { source } else { destination } {
                    None => Some(self.dimensions[index].special + ABSENT),
                    Some(IpAddr::V4(address)) => Some(self.search(index, address.to_bits().into())),
                    Some(IpAddr::V6(_)) => None,
                }
            }
            dimension::SOURCE_V6 | dimension::DESTINATION_V6 => {
                match if index == dimension::SOURCE_V6 { source } else { destination } {
                    Some(IpAddr::V6(address)) => Some(self.search(index, address.to_bits())),
                    Some(IpAddr::V4(_)) | None => None,
                }
            }
            dimension::HOP_LIMIT
            | dimension::TRAFFIC_CLASS
            | dimension::LENGTH
            | dimension::IP_OPTIONS
            | dimension::EXTENSION_HEADERS => Some(self.network(index, packet)),
            dimension::SOURCE_MAC => Some(self.mac(index, packet.link.macs.map(|macs| macs.0))),
            dimension::DESTINATION_MAC => Some(self.mac(index, packet.link.macs.map(|macs| macs.1))),
            dimension::OUTER_VLAN => Some(self.present(index, packet.link.outer)),
            dimension::INNER_VLAN => Some(self.present(index, packet.link.inner)),
            dimension::ESTABLISHED => {
                Some(self.direct[dimension::DIRECT_ESTABLISHED as usize + usize::from(packet.established)])
            }
            dimension::ETHER_TYPE => Some(self.present(index, packet.link.ether_type)),
            _ if (dimension::PAYLOADS..dimension::SOURCE_SETS).contains(&index) => {
                Some(self.payload(index - dimension::PAYLOADS, packet))
            }
            _ => Some(self.layer4(index, packet)),
        }
    }

    fn payload(&self, group: usize, packet: &Packet) -> u32 {
        let patterns =
            self.patterns.chunks(PATTERNS_OF_GROUP).nth(group).expect("a group in use has patterns");
        let missing = |pattern: &Pattern| packet.is_later() && pattern.layer >= PatternLayer::L4 as u32;
        let holds = |pattern: &Pattern| !missing(pattern) && packet.held >> pattern.offset & 1 == 1;
        let bits = (0..).zip(patterns).fold(0, |bits, (bit, one)| bits | u32::from(holds(one)) << bit);
        let later = if packet.is_later() { dimension::PAYLOAD_LATER } else { 0 };
        self.direct[(dimension::payload_group(group) + later + bits) as usize]
    }

    fn mac(&self, index: usize, value: Option<[u8; 6]>) -> u32 {
        let number = |[a, b, c, d, e, f]: [u8; 6]| u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        value
            .map_or(self.dimensions[index].special + ABSENT, |value| self.search(index, number(value).into()))
    }

    fn present(&self, index: usize, value: Option<u16>) -> u32 {
        value.map_or(self.dimensions[index].special + ABSENT, |value| self.search(index, value.into()))
    }

    fn network(&self, index: usize, packet: &Packet) -> u32 {
        let Network { hop_limit, class, length, parts } = packet.network;
        let parts = usize::from(parts);
        match index {
            _ if packet.addresses.is_none() => self.dimensions[index].special + ABSENT,
            dimension::IP_OPTIONS | dimension::EXTENSION_HEADERS
                if (index == dimension::IP_OPTIONS) == packet.is_v6() =>
            {
                self.dimensions[index].special + ABSENT
            }
            dimension::IP_OPTIONS => self.direct[dimension::DIRECT_IP_OPTIONS as usize + parts],
            dimension::EXTENSION_HEADERS => self.direct[dimension::DIRECT_EXTENSION_HEADERS as usize + parts],
            dimension::HOP_LIMIT => {
                self.direct[dimension::DIRECT_HOP_LIMIT as usize + usize::from(hop_limit)]
            }
            dimension::TRAFFIC_CLASS => {
                self.direct[dimension::DIRECT_TRAFFIC_CLASS as usize + usize::from(class)]
            }
            _ => self.search(index, length.into()),
        }
    }

    fn layer4(&self, index: usize, packet: &Packet) -> u32 {
        let protocol = packet.protocol;
        let family = if packet.is_v6() { 0x1_0000 } else { 0 };
        let (value, could) = match (index, packet.layer4) {
            (dimension::SOURCE_PORT, _) => {
                (packet.ports().map(|ports| u32::from(ports.0)), has_ports(protocol))
            }
            (dimension::DESTINATION_PORT, _) => {
                (packet.ports().map(|ports| u32::from(ports.1)), has_ports(protocol))
            }
            (dimension::TCP_FLAGS, Layer4::Tcp { flags, .. }) => (Some(u32::from(flags)), true),
            (dimension::TCP_FLAGS, _) => (None, protocol.is_none_or(|p| p == 6)),
            (_, Layer4::Icmp { icmp_type, code }) => {
                (Some(family + (u32::from(icmp_type) << 8 | u32::from(code))), true)
            }
            _ => (None, protocol.is_none_or(|p| p == if packet.is_v6() { 58 } else { 1 })),
        };
        match value {
            Some(flags) if index == dimension::TCP_FLAGS => {
                self.direct[(dimension::DIRECT_TCP_FLAGS + flags) as usize]
            }
            Some(value) => self.search(index, value.into()),
            None if packet.is_later() && could => self.dimensions[index].special + LATER,
            None => self.dimensions[index].special + ABSENT,
        }
    }

    /// The row of the last interval that does not start above the value; of the first one if the table is broken.
    fn search(&self, index: usize, value: u128) -> u32 {
        let bounds = &self.bounds[index];
        assert_eq!(bounds.len(), self.dimensions[index].intervals as usize);
        bounds[bounds.partition_point(|(start, _)| *start <= value).saturating_sub(1)].1
    }
}

fn bounds(dimension: usize, bytes: &[u8]) -> Vec<(u128, u32)> {
    if is_v6(dimension) {
        let bounds: Vec<Bound128> = elements(bytes);
        bounds.iter().map(|bound| (u128::from(bound.high) << 64 | u128::from(bound.low), bound.row)).collect()
    } else if is_mac(dimension) {
        let bounds: Vec<Bound64> = elements(bytes);
        bounds.iter().map(|bound| (bound.start.into(), bound.row)).collect()
    } else {
        let bounds: Vec<Bound32> = elements(bytes);
        bounds.iter().map(|bound| (bound.start.into(), bound.row)).collect()
    }
}

pub fn elements<T: Pod>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(size_of::<T>()).map(pod_read_unaligned).collect()
}

pub fn has_ports(protocol: Option<u8>) -> bool {
    protocol.is_none_or(|protocol| [6, 17, 33, 132, 136].contains(&protocol))
}

fn kind_of(packet: &Packet) -> u32 {
    let family = match packet.addresses {
        None => kind::FAMILY_NONE,
        Some((IpAddr::V4(_), _)) => kind::FAMILY_V4,
        Some((IpAddr::V6(_), _)) => kind::FAMILY_V6,
    };
    let fragment = match packet.fragment {
        Fragment::Whole => kind::WHOLE,
        Fragment::First => kind::FIRST,
        Fragment::FirstTiny => kind::FIRST_TINY,
        Fragment::Later => kind::LATER,
        Fragment::LaterTiny => kind::LATER_TINY,
    };
    kind::of(family, fragment, packet.malformed)
}

/// One change to a table that a test has to notice.
#[derive(Clone, Copy, Debug)]
pub enum Flip {
    Action(usize),
    BoundStart {
        dimension: usize,
        bound: usize,
    },
    BoundRow {
        dimension: usize,
        bound: usize,
    },
    /// The last bit of the row for packets that lack the field.
    Special {
        dimension: usize,
    },
    Direct(usize),
}

impl Flip {
    pub fn apply(self, plan: &NodePlan) -> NodePlan {
        let mut plan = plan.clone();
        let tables = &mut plan.filters.tables;
        match self {
            Flip::Action(entry) => tables.entries[entry * size_of::<Entry>()] ^= 1,
            Flip::BoundStart { dimension, bound } => {
                tables.bounds[dimension][bound * stride(dimension) + low(dimension)] ^= 1
            }
            Flip::BoundRow { dimension, bound } => {
                let rows: Vec<u32> =
                    bounds(dimension, &tables.bounds[dimension]).iter().map(|bound| bound.1).collect();
                let other = rows.iter().find(|row| **row != rows[bound]).expect("neighbours differ");
                let at = bound * stride(dimension) + row_at(dimension);
                tables.bounds[dimension][at..at + 4].copy_from_slice(&other.to_ne_bytes());
            }
            Flip::Special { dimension } => {
                let dimensions: Vec<Dimension> = elements(&tables.dimensions);
                let row = dimensions[dimension].special as usize * size_of::<Row>();
                tables.rows[row] ^= 1;
            }
            Flip::Direct(at) => {
                let other = tables.direct[(at ^ 1) * 4..][..4].to_vec();
                tables.direct[at * 4..at * 4 + 4].copy_from_slice(&other);
            }
        }
        plan
    }
}

/// Every bound of every searched dimension, every action, every direct element that differs from its neighbour.
pub fn flips(plan: &NodePlan) -> Vec<Flip> {
    let tables = &plan.filters.tables;
    let mut flips: Vec<Flip> = (0..tables.entries.len() / size_of::<Entry>()).map(Flip::Action).collect();
    for (dimension, bounds) in tables.bounds.iter().enumerate().filter(|(_, bounds)| !bounds.is_empty()) {
        for bound in 0..bounds.len() / stride(dimension) {
            flips.push(Flip::BoundRow { dimension, bound });
            if bound > 0 {
                flips.push(Flip::BoundStart { dimension, bound });
            }
        }
        if dimension != dimension::SOURCE_V6 && dimension != dimension::DESTINATION_V6 {
            flips.push(Flip::Special { dimension });
        }
    }
    let direct: Vec<u32> = elements(&tables.direct);
    // Without an IP header there is no fragment.
    let unreachable =
        kind::of(kind::FAMILY_NONE, kind::FIRST, false)..kind::of(kind::FAMILY_V4, kind::WHOLE, false);
    let of_use = |at: &usize| {
        !unreachable.contains(&(*at as u32)) && direct.get(at ^ 1).is_some_and(|other| *other != direct[*at])
    };
    flips.extend((0..direct.len()).filter(of_use).map(Flip::Direct));
    flips
}

fn is_v6(dimension: usize) -> bool {
    dimension == dimension::SOURCE_V6 || dimension == dimension::DESTINATION_V6
}

fn is_mac(dimension: usize) -> bool {
    dimension == dimension::SOURCE_MAC || dimension == dimension::DESTINATION_MAC
}

fn stride(dimension: usize) -> usize {
    match dimension {
        _ if is_v6(dimension) => size_of::<Bound128>(),
        _ if is_mac(dimension) => size_of::<Bound64>(),
        _ => size_of::<Bound32>(),
    }
}

/// Offset of the start's lowest byte.
fn low(dimension: usize) -> usize {
    if is_v6(dimension) { 8 } else { 0 }
}

fn row_at(dimension: usize) -> usize {
    match dimension {
        _ if is_v6(dimension) => 16,
        _ if is_mac(dimension) => 8,
        _ => 4,
    }
}
