//! The tables evaluated the plain way: every row looked up, every bit looked at.

use std::net::IpAddr;

use bytemuck::Pod;
use sluice_abi::{
    ABSENT, Bound32, Bound64, Bound128, Config, Entry, EntryAction, Pattern, Row, Straight, WORDS, dimension,
    entry_flags, features, ip_options, kind,
};

use super::payload;
use super::probe::Packet;
use super::sets::{self, Sets};
use super::straight;
use super::trees::Trees;

pub struct Tables {
    pub config: Config,
    pub entries: Vec<Entry>,
    pub rows: Vec<Row>,
    pub direct: Vec<u32>,
    pub bounds: Vec<Vec<u8>>,
    pub patterns: Vec<Pattern>,
    pub sets: Sets,
    /// Where there are more entries than bits.
    pub trees: Option<Trees>,
}

/// What the tables make of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub drops: bool,
    pub entry: Option<usize>,
    pub audited: Option<usize>,
}

impl Tables {
    pub fn applies(&self, entry: usize) -> bool {
        self.bit_of(entry).is_some_and(|at| bit(&self.config.mask, at))
    }

    /// The bit of the rows that an entry has; with many, narrow ones share that of their column.
    pub fn bit_of(&self, entry: usize) -> Option<usize> {
        self.trees.as_ref().map_or(Some(entry), |trees| trees.bit_of(entry))
    }

    pub fn uses(&self, dimension: usize) -> bool {
        self.config.features & features::dimension(dimension) != 0
    }

    pub fn judge(&self, packet: &Packet) -> Judgement {
        let mut matched = match self.straight() {
            Some(entries) => straight::matched(entries, &self.sets, packet),
            None => self.matched(packet),
        };
        if self.config.features & features::ENTRIES == 0 {
            matched = [0; WORDS];
        }
        self.first_match(packet, &matched)
    }

    /// The entries as constants, if that is the form of the plan.
    pub fn straight(&self) -> Option<&[Straight]> {
        (self.config.features & features::STRAIGHT != 0).then_some(&self.config.straight)
    }

    fn matched(&self, packet: &Packet) -> Row {
        let mut matched = self.config.mask;
        for row in self.rows_of(packet) {
            for (word, other) in matched.iter_mut().zip(row) {
                *word &= other;
            }
        }
        matched
    }

    fn first(&self, packet: &Packet, matched: &Row, from: usize) -> Option<usize> {
        match &self.trees {
            Some(trees) => trees.first(packet, matched, from),
            None => (from..self.entries.len()).find(|entry| bit(matched, *entry)),
        }
    }

    fn first_match(&self, packet: &Packet, matched: &Row) -> Judgement {
        let mut audited = None;
        let mut at = 0;
        while let Some(found) = self.first(packet, matched, at) {
            let entry = &self.entries[found];
            let drops = entry.action == EntryAction::Drop as u8;
            let rule_audited = entry.flags & entry_flags::AUDIT_RULE != 0;
            let filter_audited = entry.flags & entry_flags::AUDIT_FILTER != 0;
            if (rule_audited || filter_audited) && drops {
                audited = audited.or(Some(found));
            }
            at = match () {
                () if rule_audited || goes_on(entry) => found + 1,
                () if filter_audited || entry.action == EntryAction::Next as u8 => {
                    usize::from(entry.next_filter)
                }
                () => return Judgement { drops, entry: Some(found), audited },
            };
        }
        Judgement { drops: false, entry: None, audited }
    }

    fn rows_of(&self, packet: &Packet) -> Vec<Row> {
        let (source, destination) = match packet.source {
            IpAddr::V4(_) => (dimension::SOURCE_V4, dimension::DESTINATION_V4),
            IpAddr::V6(_) => (dimension::SOURCE_V6, dimension::DESTINATION_V6),
        };
        let flags = packet.flags.map(|flags| self.direct_row(dimension::DIRECT_TCP_FLAGS + u32::from(flags)));
        let v4 = packet.source.is_ipv4();
        let rows = [
            (dimension::KIND, Some(self.direct_row(dimension::DIRECT_KIND + packet.kind()))),
            (
                dimension::PROTOCOL,
                Some(self.direct_row(dimension::DIRECT_PROTOCOL + u32::from(packet.protocol))),
            ),
            (source, Some(self.address_row(source, packet.source))),
            (destination, Some(self.address_row(destination, packet.destination))),
            (
                dimension::SOURCE_PORT,
                packet.ports.map(|(port, _)| self.searched(dimension::SOURCE_PORT, port.into())),
            ),
            (
                dimension::DESTINATION_PORT,
                packet.ports.map(|(_, port)| self.searched(dimension::DESTINATION_PORT, port.into())),
            ),
            (dimension::TCP_FLAGS, flags),
            (dimension::ICMP, packet.icmp.map(|value| self.searched(dimension::ICMP, value))),
            (
                dimension::HOP_LIMIT,
                Some(self.direct_row(dimension::DIRECT_HOP_LIMIT + u32::from(packet.hop_limit))),
            ),
            (
                dimension::TRAFFIC_CLASS,
                Some(self.direct_row(dimension::DIRECT_TRAFFIC_CLASS + u32::from(packet.traffic_class))),
            ),
            (dimension::LENGTH, Some(self.searched(dimension::LENGTH, packet.length()))),
            (
                dimension::IP_OPTIONS,
                v4.then(|| self.direct_row(dimension::DIRECT_IP_OPTIONS + ip_options::NONE)),
            ),
            (
                dimension::EXTENSION_HEADERS,
                (!v4).then(|| self.direct_row(dimension::DIRECT_EXTENSION_HEADERS)),
            ),
            (
                dimension::SOURCE_MAC,
                Some(last_from(self.intervals_mac(dimension::SOURCE_MAC), packet.macs.0)),
            ),
            (
                dimension::DESTINATION_MAC,
                Some(last_from(self.intervals_mac(dimension::DESTINATION_MAC), packet.macs.1)),
            ),
            (dimension::OUTER_VLAN, Some(self.searched(dimension::OUTER_VLAN, dimension::NO_VLAN))),
            (dimension::INNER_VLAN, Some(self.searched(dimension::INNER_VLAN, dimension::NO_VLAN))),
            (dimension::ETHER_TYPE, Some(self.searched(dimension::ETHER_TYPE, packet.ether_type().into()))),
            // Test packets are no connection's.
            (dimension::ESTABLISHED, Some(self.direct_row(dimension::DIRECT_ESTABLISHED))),
        ];
        rows.into_iter()
            .filter(|(dimension, _)| self.uses(*dimension))
            .map(|(dimension, row)| row.unwrap_or_else(|| self.absent(dimension)))
            .chain(payload::rows(self, packet))
            .chain(sets::rows(self, packet.source, packet.destination))
            .collect()
    }

    /// The row of packets that have no such field.
    pub fn absent(&self, dimension: usize) -> Row {
        self.row(self.config.dimensions[dimension].special + ABSENT)
    }

    pub fn direct_row(&self, index: u32) -> Row {
        self.direct.get(index as usize).map_or([0; WORDS], |row| self.row(*row))
    }

    /// Every interval of a searched dimension of 32 bits.
    pub fn intervals(&self, dimension: usize) -> Vec<(u32, Row)> {
        self.all::<Bound32>(dimension).into_iter().map(|bound| (bound.start, self.row(bound.row))).collect()
    }

    pub fn intervals_mac(&self, dimension: usize) -> Vec<(u64, Row)> {
        self.all::<Bound64>(dimension).into_iter().map(|bound| (bound.start, self.row(bound.row))).collect()
    }

    pub fn intervals_v6(&self, dimension: usize) -> Vec<(u128, Row)> {
        let bounds = self.all::<Bound128>(dimension).into_iter();
        bounds
            .map(|bound| (u128::from(bound.high) << 64 | u128::from(bound.low), self.row(bound.row)))
            .collect()
    }

    pub fn address_row(&self, dimension: usize, address: IpAddr) -> Row {
        match address {
            IpAddr::V4(v4) => self.searched(dimension, u32::from(v4)),
            IpAddr::V6(v6) => last_from(self.intervals_v6(dimension), u128::from(v6)),
        }
    }

    pub fn searched(&self, dimension: usize, value: u32) -> Row {
        last_from(self.intervals(dimension), value)
    }

    fn all<T: Pod>(&self, dimension: usize) -> Vec<T> {
        let bytes = self.bounds.get(dimension).map_or(&[][..], Vec::as_slice);
        bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
    }

    fn row(&self, index: u32) -> Row {
        self.rows.get(index as usize).copied().unwrap_or([0; WORDS])
    }
}

/// Test runs without a time are within every rate.
fn goes_on(entry: &Entry) -> bool {
    let actions = [EntryAction::Count, EntryAction::RateLimit, EntryAction::Mark];
    actions.iter().any(|action| entry.action == *action as u8)
}

/// The row of the interval that holds `value`.
fn last_from<T: PartialOrd>(intervals: Vec<(T, Row)>, value: T) -> Row {
    intervals.into_iter().take_while(|(start, _)| *start <= value).last().map_or([0; WORDS], |(_, row)| row)
}

pub fn bit(row: &Row, entry: usize) -> bool {
    row.get(entry / 64).is_some_and(|word| word >> (entry % 64) & 1 == 1)
}

impl Packet {
    fn kind(&self) -> u32 {
        let family = if self.source.is_ipv4() { kind::FAMILY_V4 } else { kind::FAMILY_V6 };
        kind::of(family, kind::WHOLE, false)
    }
}
