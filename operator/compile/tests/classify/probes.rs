//! Packets at the edges of whatever the filters ask for: of each field the first and last accepted values and those just
//! outside, combined at random but the same at every run.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sluice_address_set::AddressSet;
use sluice_policy::{Filter, MacMatch, Match, PrefixSet};

use crate::packet::{Fragment, Layer4, Link, Network, Packet};
use crate::policies;

const PROTOCOLS: [u8; 9] = [1, 6, 17, 46, 47, 58, 132, 136, 33];

const NETWORK: Network = Network { hop_limit: 64, class: 0, length: 28, parts: 0 };

pub fn probes(filters: &[Filter]) -> Vec<Packet> {
    let edges = Edges::of(filters);
    let mut packets = edges.systematic();
    let mut dice = Dice(0x5eed);
    packets.extend((0..800).map(|_| edges.random(&mut dice)));
    packets
}

/// As [`probes`], without every edge once: where there are thousands.
pub fn random(filters: &[Filter], count: usize) -> Vec<Packet> {
    let edges = Edges::of(filters);
    let mut dice = Dice(0x5eed);
    (0..count).map(|_| edges.random(&mut dice)).collect()
}

#[derive(Default)]
struct Edges {
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
    ports: Vec<u16>,
    flags: Vec<u8>,
    icmp: Vec<(u8, u8)>,
    lengths: Vec<u16>,
    macs: Vec<[u8; 6]>,
}

impl Edges {
    fn of(filters: &[Filter]) -> Edges {
        let (mut v4, mut v6) = (BTreeSet::from([Ipv4Addr::LOCALHOST]), BTreeSet::from([Ipv6Addr::LOCALHOST]));
        let mut ports = BTreeSet::from([0, 1, u16::MAX]);
        let mut macs = BTreeSet::from([[0; 6], [0xff; 6]]);
        let mut lengths = BTreeSet::from([0, 28, u16::MAX]);
        let mut icmp = BTreeSet::from([(0, 0), (8, 0), (255, 255)]);
        for wanted in filters.iter().flat_map(|filter| &filter.rules).map(|rule| &rule.matches) {
            for set in [&wanted.sources, &wanted.destinations].into_iter().flatten() {
                address_edges(set, &mut v4, &mut v6);
            }
            port_edges(wanted, &mut ports);
            for mac in wanted.source_macs.iter().chain(&wanted.destination_macs) {
                mac_edges(*mac, &mut macs);
            }
            for range in &wanted.length {
                let (first, last) = (*range.start(), *range.end());
                lengths.extend([first.wrapping_sub(1), first, last, last.wrapping_add(1)]);
            }
            for message in &wanted.icmp {
                let (icmp_type, code) = (message.icmp_type.unwrap_or(7), message.code.unwrap_or(9));
                let around =
                    [(icmp_type, code), (icmp_type, code.wrapping_add(1)), (icmp_type.wrapping_add(1), code)];
                icmp.extend(around);
                icmp.extend([(icmp_type, 0), (icmp_type, 255)]);
                icmp.extend([(icmp_type.wrapping_sub(1), 255), (icmp_type.wrapping_add(1), 0)]);
            }
        }
        Edges {
            v4: v4.into_iter().collect(),
            v6: v6.into_iter().collect(),
            ports: ports.into_iter().collect(),
            flags: (0..=255).collect(),
            icmp: icmp.into_iter().collect(),
            lengths: lengths.into_iter().collect(),
            macs: macs.into_iter().collect(),
        }
    }

    /// Every edge of every field once, in packets that are otherwise alike.
    fn systematic(&self) -> Vec<Packet> {
        let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
        let mut packets = vec![Packet::default(), Packet { malformed: true, ..Packet::default() }];
        let mut add = |addresses, protocol, layer4| {
            let addresses = Some(addresses);
            packets.push(Packet { addresses, network: NETWORK, protocol, layer4, ..Packet::default() });
        };
        for source in self.addresses() {
            let own = if source.is_ipv4() { v4 } else { v6 };
            add((source, own), Some(47), Layer4::Nothing);
            add((own, source), Some(47), Layer4::Nothing);
        }
        (0..=255).for_each(|protocol| add((v4, v4), Some(protocol), Layer4::Nothing));
        for &port in &self.ports {
            add((v4, v4), Some(17), Layer4::Ports(port, 7));
            add((v4, v4), Some(17), Layer4::Ports(7, port));
        }
        for &flags in &self.flags {
            add((v4, v4), Some(6), Layer4::Tcp { ports: (7, 7), flags });
        }
        for &(icmp_type, code) in &self.icmp {
            add((v4, v4), Some(1), Layer4::Icmp { icmp_type, code });
            add((v6, v6), Some(58), Layer4::Icmp { icmp_type, code });
        }
        packets.extend(self.networks().map(|network| Packet {
            addresses: Some((v4, v4)),
            network,
            protocol: Some(47),
            ..Packet::default()
        }));
        packets.extend((0..=256).flat_map(|parts| {
            let network = Network { parts, ..NETWORK };
            // IPv4 counts from 1.
            [(v4, parts <= 256), (v6, parts < 256)].into_iter().filter(|(_, fits)| *fits).map(
                move |(address, _)| Packet {
                    addresses: Some((address, address)),
                    network,
                    protocol: Some(47),
                    ..Packet::default()
                },
            )
        }));
        packets.extend(self.macs().map(|(source, destination)| {
            let link = Link { macs: Some((source, destination)), ..Link::default() };
            Packet { link, ..Packet::default() }
        }));
        packets.extend(links().map(|link| Packet {
            link,
            malformed: link.inner.is_none(),
            ..Packet::default()
        }));
        let held: Vec<u32> =
            (0..=u8::MAX).flat_map(|byte| [0, 8, 16, 24].map(|shift| !(u32::from(byte) << shift))).collect();
        packets.extend(held.into_iter().flat_map(|held| {
            [Fragment::Whole, Fragment::Later].map(|fragment| {
                let addresses = Some((v4, v4));
                Packet {
                    addresses,
                    network: NETWORK,
                    protocol: Some(47),
                    fragment,
                    held,
                    ..Packet::default()
                }
            })
        }));
        packets.extend(self.fragments(v4));
        packets.extend(self.fragments(v6));
        packets
    }

    /// Each in either place, the other one being an address that nobody asks for.
    fn macs(&self) -> impl Iterator<Item = ([u8; 6], [u8; 6])> {
        const OTHER: [u8; 6] = [0x5a; 6];
        self.macs.iter().flat_map(|mac| [(*mac, OTHER), (OTHER, *mac)])
    }

    fn networks(&self) -> impl Iterator<Item = Network> {
        let bytes = (0..=u8::MAX).flat_map(|byte| {
            let (hop_limit, class) =
                (Network { hop_limit: byte, ..NETWORK }, Network { class: byte, ..NETWORK });
            [hop_limit, class]
        });
        bytes.chain(self.lengths.iter().map(|length| Network { length: *length, ..NETWORK }))
    }

    fn fragments(&self, address: IpAddr) -> impl Iterator<Item = Packet> {
        let kinds =
            [Fragment::Whole, Fragment::First, Fragment::FirstTiny, Fragment::Later, Fragment::LaterTiny];
        let protocols = PROTOCOLS.into_iter().map(Some).chain([None]);
        let pairs = protocols.flat_map(move |protocol| kinds.map(move |fragment| (protocol, fragment)));
        pairs.flat_map(move |(protocol, fragment)| {
            let addresses = Some((address, address));
            [false, true].map(|malformed| Packet {
                addresses,
                link: Link::default(),
                network: NETWORK,
                fragment,
                malformed,
                protocol,
                layer4: Layer4::Nothing,
                held: 0,
                established: false,
            })
        })
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.v4.iter().copied().map(IpAddr::V4).chain(self.v6.iter().copied().map(IpAddr::V6))
    }

    fn random(&self, dice: &mut Dice) -> Packet {
        let addresses = match dice.below(8) {
            0 => return Packet { malformed: dice.below(2) == 0, ..Packet::default() },
            1..=4 => (IpAddr::V4(*dice.pick(&self.v4)), IpAddr::V4(*dice.pick(&self.v4))),
            _ => (IpAddr::V6(*dice.pick(&self.v6)), IpAddr::V6(*dice.pick(&self.v6))),
        };
        let kinds = [
            Fragment::Whole,
            Fragment::Whole,
            Fragment::First,
            Fragment::FirstTiny,
            Fragment::Later,
            Fragment::LaterTiny,
        ];
        let fragment = *dice.pick(&kinds);
        let protocol = (dice.below(10) > 0).then(|| *dice.pick(&PROTOCOLS));
        let has_header = matches!(fragment, Fragment::Whole | Fragment::First);
        let layer4 =
            if has_header { self.layer4(protocol, addresses.0.is_ipv6(), dice) } else { Layer4::Nothing };
        let malformed = dice.below(6) == 0;
        let network = Network {
            hop_limit: *dice.pick(&[0, 1, 64, 255]),
            class: *dice.pick(&[0, 3, 0x28, 0xb8, 0xff]),
            length: *dice.pick(&self.lengths),
            parts: *dice.pick(&[0, 0, 1, 2, 3, 8, 0x41, 0x90, 0xff]),
        };
        let macs = Some((*dice.pick(&self.macs), *dice.pick(&self.macs)));
        let link = Link { macs, ..*dice.pick(&links().collect::<Vec<_>>()) };
        // Of dice of their own: the other fields are those that the sample was chosen for.
        let mut own = Dice(dice.0);
        let held = own.bits() | own.bits();
        let established = own.below(4) == 0;
        Packet {
            addresses: Some(addresses),
            link,
            network,
            fragment,
            malformed,
            protocol,
            layer4,
            held,
            established,
        }
    }

    fn layer4(&self, protocol: Option<u8>, v6: bool, dice: &mut Dice) -> Layer4 {
        let ports = (*dice.pick(&self.ports), *dice.pick(&self.ports));
        match protocol {
            Some(6) => Layer4::Tcp { ports, flags: *dice.pick(&self.flags) },
            Some(17 | 33 | 132 | 136) => Layer4::Ports(ports.0, ports.1),
            Some(protocol) if protocol == if v6 { 58 } else { 1 } => {
                let (icmp_type, code) = *dice.pick(&self.icmp);
                Layer4::Icmp { icmp_type, code }
            }
            _ => Layer4::Nothing,
        }
    }
}

fn address_edges(set: &PrefixSet, v4: &mut BTreeSet<Ipv4Addr>, v6: &mut BTreeSet<Ipv6Addr>) {
    let contents: Vec<AddressSet> = set.sets.iter().map(|name| policies::set(name)).collect();
    for net in set.v4.iter().chain(&set.except_v4).chain(contents.iter().flat_map(AddressSet::v4)) {
        let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
        v4.extend([first, last, first.wrapping_sub(1), last.wrapping_add(1)].map(Ipv4Addr::from_bits));
    }
    for net in set.v6.iter().chain(&set.except_v6).chain(contents.iter().flat_map(AddressSet::v6)) {
        let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
        v6.extend([first, last, first.wrapping_sub(1), last.wrapping_add(1)].map(Ipv6Addr::from_bits));
    }
}

/// First and last of each range, their neighbours, and one with each bit turned.
fn mac_edges(wanted: MacMatch, macs: &mut BTreeSet<[u8; 6]>) {
    let octets = |number: u64| {
        let [_, _, a, b, c, d, e, f] = number.to_be_bytes();
        [a, b, c, d, e, f]
    };
    let around = |(first, last): (u64, u64)| [first, last, first.wrapping_sub(1), last.wrapping_add(1)];
    macs.extend(wanted.spans().flat_map(around).map(octets));
    macs.extend((0..48).map(|bit| octets(wanted.address_bits() ^ 1 << bit)));
}

fn port_edges(wanted: &Match, ports: &mut BTreeSet<u16>) {
    for range in wanted.source_ports.iter().chain(&wanted.destination_ports) {
        let around = [range.first.wrapping_sub(1), range.first, range.last, range.last.wrapping_add(1)];
        ports.extend(around);
    }
}

/// Around the few values that the policies here ask for.
fn links() -> impl Iterator<Item = Link> {
    let ids = || [0, 1, 9, 10, 11, 19, 20, 21, 4094, 4095, 4096].map(Some).into_iter().chain([None]);
    let types = [0x0600, 0x0805, 0x0806, 0x0807, 0x88cb, 0x88cc, 0x88cd, 0xfffe, 0xffff];
    let tags = ids().flat_map(move |outer| {
        ids().map(move |inner| Link { macs: None, outer, inner, ether_type: Some(0x0806) })
    });
    let untagged = Link { macs: None, outer: Some(4096), inner: Some(4096), ether_type: None };
    tags.chain(types.map(|number| Link { ether_type: Some(number), ..untagged })).chain([untagged])
}

/// A linear congruential generator: the same probes at every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    pub fn bits(&mut self) -> u32 {
        (self.below(0x1_0000) << 16 | self.below(0x1_0000)) as u32
    }

    pub fn pick<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        &values[self.below(values.len())]
    }
}
