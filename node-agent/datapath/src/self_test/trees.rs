//! The tables beside the rows, evaluated the plain way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sluice_abi::{
    Bit, MAX_DEPTH, NO_ENTRY, Node, Record, RecordV4, RecordV6, Row, TREES, family, leaf, record_flags, word,
};
use sluice_plan::LargeTables;

use super::classify::bit;
use super::probe::Packet;
use crate::error::Result;
use crate::tables::elements;

/// What ports are that a packet lacks: no number of 16 bits.
const NO_PORT: u64 = 1 << 31;

pub struct Trees {
    wide_words: usize,
    bits: Vec<Bit>,
    ranks: Vec<u32>,
    roots: Vec<[u32; TREES]>,
    nodes: Vec<Node>,
    children: Vec<u32>,
    records_v4: Vec<RecordV4>,
    records_v6: Vec<RecordV6>,
    /// By entry: its own bit, or that of its column.
    bit_of: Vec<Option<usize>>,
}

/// What a narrow entry asks for beside its column.
#[derive(Clone, Copy)]
pub struct Wanted {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub record: Record,
}

impl Trees {
    pub fn new(tables: &LargeTables, entries: usize) -> Result<Trees> {
        let mut trees = Trees {
            wide_words: tables.wide_words as usize,
            bits: elements("bits", &tables.bits)?,
            ranks: elements("ranks", &tables.ranks)?,
            roots: elements("roots", &tables.roots)?,
            nodes: elements("nodes", &tables.nodes)?,
            children: elements("children", &tables.children)?,
            records_v4: elements("records of IPv4", &tables.records_v4)?,
            records_v6: elements("records of IPv6", &tables.records_v6)?,
            bit_of: vec![None; entries],
        };
        let mut bit_of = vec![None; entries];
        let wide = trees.bits.iter().enumerate().filter(|(_, bit)| bit.entry != NO_ENTRY);
        wide.for_each(|(at, bit)| bit_of[usize::from(bit.entry)] = Some(at));
        for record in trees.records() {
            bit_of[usize::from(record.entry)] = Some(usize::from(record.column));
        }
        trees.bit_of = bit_of;
        Ok(trees)
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        let v6 = self.records_v6.iter().map(|record| &record.record);
        self.records_v4.iter().map(|record| &record.record).chain(v6)
    }

    /// The bit that says whether the entry applies on an interface.
    pub fn bit_of(&self, entry: usize) -> Option<usize> {
        self.bit_of.get(entry).copied().flatten()
    }

    /// Whether the entry has a bit of its own.
    pub fn is_wide(&self, entry: usize) -> bool {
        self.bit_of(entry).is_some_and(|at| usize::from(self.bits[at].entry) == entry)
    }

    /// What a packet of this family has to be like for a narrow entry; `None` where none can match it.
    pub fn wanted(&self, entry: usize, v4: bool) -> Option<Wanted> {
        if v4 {
            let of_entry = |found: &&RecordV4| usize::from(found.record.entry) == entry;
            let found = self.records_v4.iter().find(of_entry)?;
            let source = IpAddr::V4(Ipv4Addr::from_bits(found.first_source));
            let destination = IpAddr::V4(Ipv4Addr::from_bits(found.first_destination));
            return Some(Wanted { source, destination, record: found.record });
        }
        let of_entry = |found: &&RecordV6| usize::from(found.record.entry) == entry;
        let found = self.records_v6.iter().find(of_entry)?;
        let address =
            |[high, low]: [u64; 2]| IpAddr::V6(Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)));
        let (source, destination) = (address(found.first_source), address(found.first_destination));
        Some(Wanted { source, destination, record: found.record })
    }

    /// The first entry from `from` on that matches, where `matched` has the bits that do.
    pub fn first(&self, packet: &Packet, matched: &Row, from: usize) -> Option<usize> {
        let rank = self.ranks.get(from).map_or(self.bits.len(), |rank| *rank as usize);
        let wide = (rank..self.wide_words * 64).find(|at| bit(matched, *at));
        let wide = wide.map(|at| usize::from(self.bits[at].entry)).filter(|entry| *entry < self.bit_of.len());
        let words = words(packet);
        let of = if packet.source.is_ipv4() { family::V4 } else { family::V6 };
        let in_tree = |root: &u32| {
            let leaf = self.descend(*root, &words);
            let records = leaf::start(leaf) as usize..(leaf::start(leaf) + leaf::count(leaf)) as usize;
            let hits = records.filter_map(|at| self.hit(of, at, &words));
            hits.filter(|hit| usize::from(hit.entry) >= from && bit(matched, usize::from(hit.column)))
                .map(|hit| usize::from(hit.entry))
                .next()
        };
        self.roots[of].iter().filter_map(in_tree).chain(wide).min()
    }

    fn descend(&self, root: u32, words: &[u64; word::COUNT]) -> u32 {
        let mut child = root;
        for _ in 0..MAX_DEPTH {
            if leaf::is(child) {
                break;
            }
            let node = &self.nodes[child as usize];
            let slice = words[usize::from(node.word)].wrapping_sub(node.low) >> node.shift;
            child = self.children[node.children as usize + slice.min(u64::from(node.last)) as usize];
        }
        child
    }

    fn hit(&self, of: usize, at: usize, words: &[u64; word::COUNT]) -> Option<&Record> {
        let within = |word: usize, first: u64, last: u64| (first..=last).contains(&words[word]);
        let (record, addresses) = if of == family::V4 {
            let found = &self.records_v4[at];
            let address = |word: usize, first: u32, last: u32| (first..=last).contains(&(words[word] as u32));
            let source = address(word::SOURCE_LOW, found.first_source, found.last_source);
            let to = address(word::DESTINATION_LOW, found.first_destination, found.last_destination);
            (&found.record, source && to)
        } else {
            let found = &self.records_v6[at];
            let address = |word: usize, first: [u64; 2], last: [u64; 2]| {
                within(word, first[0], last[0]) && within(word + 1, first[1], last[1])
            };
            let source = address(word::SOURCE_HIGH, found.first_source, found.last_source);
            let to = address(word::DESTINATION_HIGH, found.first_destination, found.last_destination);
            (&found.record, source && to)
        };
        let field = |word: usize, first: u64, last: u64, any: u8| {
            record.flags & any != 0 || within(word, first, last)
        };
        let Record { protocol, first_source_port, last_source_port, .. } = *record;
        let Record { first_destination_port, last_destination_port, .. } = *record;
        let (source_any, destination_any) =
            (record_flags::ANY_SOURCE_PORT, record_flags::ANY_DESTINATION_PORT);
        let others = field(word::PROTOCOL, protocol.into(), protocol.into(), record_flags::ANY_PROTOCOL)
            && field(word::SOURCE_PORT, first_source_port.into(), last_source_port.into(), source_any)
            && field(
                word::DESTINATION_PORT,
                first_destination_port.into(),
                last_destination_port.into(),
                destination_any,
            );
        (addresses && others).then_some(record)
    }
}

impl Wanted {
    pub fn takes_protocol(&self, protocol: u8) -> bool {
        self.record.flags & record_flags::ANY_PROTOCOL != 0 || self.record.protocol == protocol
    }

    /// Source and destination port; `None` where any will do, none too.
    pub fn ports(&self) -> [Option<u16>; 2] {
        let Record { flags, first_source_port, first_destination_port, .. } = self.record;
        let unless = |any: u8, port: u16| (flags & any == 0).then_some(port);
        [
            unless(record_flags::ANY_SOURCE_PORT, first_source_port),
            unless(record_flags::ANY_DESTINATION_PORT, first_destination_port),
        ]
    }
}

fn words(packet: &Packet) -> [u64; word::COUNT] {
    let halves = |address: IpAddr| {
        let bits = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        [(bits >> 64) as u64, bits as u64]
    };
    let (source, destination) = (halves(packet.source), halves(packet.destination));
    let ports = packet.ports.map_or([NO_PORT; 2], |(from, to)| [from.into(), to.into()]);
    [source[0], source[1], destination[0], destination[1], packet.protocol.into(), ports[0], ports[1]]
}
