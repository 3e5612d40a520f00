//! A plain reading of the tables beside the rows: every leaf that a packet comes to, record by record.

use std::net::IpAddr;

use sluice_abi::{
    Bit, LATER, MAX_DEPTH, MAX_LEAF, NO_ENTRY, Node, Record, RecordV4, RecordV6, Row, TREES, family, leaf,
    record_flags, word,
};
use sluice_plan::LargeTables;

use crate::packet::Packet;
use crate::tables::elements;

/// A number that no port is: the packet has none.
const SPECIAL: u64 = 1 << 31;

pub struct Trees {
    wide_words: usize,
    pub bits: Vec<Bit>,
    ranks: Vec<u32>,
    roots: Vec<u32>,
    nodes: Vec<Node>,
    children: Vec<u32>,
    records_v4: Vec<RecordV4>,
    records_v6: Vec<RecordV6>,
}

impl Trees {
    pub fn decode(tables: &LargeTables) -> Trees {
        Trees {
            wide_words: tables.wide_words as usize,
            bits: elements(&tables.bits),
            ranks: elements(&tables.ranks),
            roots: elements(&tables.roots),
            nodes: elements(&tables.nodes),
            children: elements(&tables.children),
            records_v4: elements(&tables.records_v4),
            records_v6: elements(&tables.records_v6),
        }
    }

    /// The first entry from `from` on that matches, where `row` has the bits that do.
    pub fn first(&self, packet: &Packet, row: &Row, from: usize) -> Option<usize> {
        let bit = |bit: usize| row[bit / 64] >> (bit % 64) & 1 == 1;
        let rank = self.ranks.get(from).map_or(self.bits.len(), |rank| *rank as usize);
        let wide = (rank..self.wide_words * 64).find(|at| bit(*at) && self.bits[*at].entry != NO_ENTRY);
        let wide = wide.map(|at| usize::from(self.bits[at].entry));
        let Some(words) = words(packet) else { return wide };
        let of = if packet.is_v6() { family::V6 } else { family::V4 };
        let from_trees = (0..TREES).filter_map(|tree| {
            let leaf = self.descend(self.roots[of * TREES + tree], &words);
            let (start, count) = (leaf::start(leaf) as usize, leaf::count(leaf) as usize);
            assert!(count <= MAX_LEAF as usize);
            (start..start + count).find_map(|at| {
                let record = self.matching(of, at, packet, &words)?;
                let entry = usize::from(record.entry);
                (entry >= from && bit(usize::from(record.column))).then_some(entry)
            })
        });
        from_trees.chain(wide).min()
    }

    fn descend(&self, root: u32, words: &[u64; word::COUNT]) -> u32 {
        let mut child = root;
        for _ in 0..MAX_DEPTH {
            if leaf::is(child) {
                return child;
            }
            let node = self.nodes[child as usize];
            let slice = words[usize::from(node.word)].wrapping_sub(node.low) >> node.shift;
            child = self.children[node.children as usize + slice.min(node.last.into()) as usize];
        }
        assert!(leaf::is(child), "a way has more than {MAX_DEPTH} nodes");
        child
    }

    fn matching(&self, of: usize, at: usize, packet: &Packet, words: &[u64; word::COUNT]) -> Option<Record> {
        let (record, addresses) = match of {
            family::V4 => {
                let RecordV4 { record, first_source, last_source, first_destination, last_destination } =
                    self.records_v4[at];
                let inside =
                    |word: usize, first: u32, last: u32| (first..=last).contains(&(words[word] as u32));
                let found = inside(word::SOURCE_LOW, first_source, last_source)
                    && inside(word::DESTINATION_LOW, first_destination, last_destination);
                (record, found)
            }
            _ => {
                let RecordV6 { record, first_source, last_source, first_destination, last_destination } =
                    self.records_v6[at];
                let inside = |word: usize, first: [u64; 2], last: [u64; 2]| {
                    (0..2).all(|half| (first[half]..=last[half]).contains(&words[word + half]))
                };
                let found = inside(word::SOURCE_HIGH, first_source, last_source)
                    && inside(word::DESTINATION_HIGH, first_destination, last_destination);
                (record, found)
            }
        };
        (addresses && others(&record, packet, words)).then_some(record)
    }
}

fn others(record: &Record, packet: &Packet, words: &[u64; word::COUNT]) -> bool {
    let flag = |flag: u8| record.flags & flag != 0;
    let is_later = words[word::SOURCE_PORT] == SPECIAL | u64::from(LATER);
    let port = |word: usize, first: u16, last: u16, any: u8| {
        (u64::from(first)..=u64::from(last)).contains(&words[word])
            || flag(any)
            || (is_later && flag(record_flags::LATER))
    };
    let protocol = packet.protocol == Some(record.protocol);
    (flag(record_flags::ANY_PROTOCOL) || protocol)
        && port(
            word::SOURCE_PORT,
            record.first_source_port,
            record.last_source_port,
            record_flags::ANY_SOURCE_PORT,
        )
        && port(
            word::DESTINATION_PORT,
            record.first_destination_port,
            record.last_destination_port,
            record_flags::ANY_DESTINATION_PORT,
        )
}

/// What nodes cut; `None` without an IP header.
fn words(packet: &Packet) -> Option<[u64; word::COUNT]> {
    let halves = |address: IpAddr| {
        let bits = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        [(bits >> 64) as u64, bits as u64]
    };
    let (source, destination) = packet.addresses.map(|(from, to)| (halves(from), halves(to)))?;
    let could = packet.protocol.is_none_or(|protocol| [6, 17, 33, 132, 136].contains(&protocol));
    let special = if packet.is_later() && could { SPECIAL | u64::from(LATER) } else { SPECIAL };
    let (from, to) = packet.ports().map_or((special, special), |(from, to)| (from.into(), to.into()));
    let protocol = packet.protocol.map_or(256, u64::from);
    Some([source[0], source[1], destination[0], destination[1], protocol, from, to])
}
