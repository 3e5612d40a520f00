//! One rule that names an address set.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sluice_address_set::AddressSet;
use sluice_datapath::measure::{Flow, Flows, Foreign};
use sluice_datapath::test_run::XdpAction;
use sluice_policy::{Action, Match, PrefixSet};

use super::xdp_filter::{ADDRESSES, address, random};
use super::{Packet, Program, Subject};
use crate::bench::frames::{udp, udp_v6};
use crate::oracle::Node;
use crate::oracle::build::{filter, rule};

/// Packets of a row, each of another source.
const FLOWS: usize = 100_000;
const SEED: u64 = 20_260_101;
/// What most of the IPv6 internet lies in: the first 16 bits of the registries' blocks.
const REGISTRIES: [u16; 6] = [0x2001, 0x2400, 0x2600, 0x2800, 0x2a00, 0x2c0f];

pub fn subjects() -> anyhow::Result<Vec<Subject>> {
    let mut rng = StdRng::seed_from_u64(SEED);
    let few: Vec<[u8; 4]> = (0..ADDRESSES).map(address).collect();
    let [hit, miss] = random(&few);
    let ten_thousand = few.iter().map(|address| IpNet::from(IpAddr::from(*address))).collect();
    let million = prefixes_v4(&mut rng, 1_000_000);
    let million_packets = || {
        let mut rng = StdRng::seed_from_u64(SEED);
        [
            packet_v4("random hit", members_v4(&mut rng, &million), XdpAction::Drop),
            packet_v4("random source, no match", strangers_v4(&mut rng, &million), XdpAction::Pass),
        ]
    };
    let [million_hit, million_miss] = million_packets();
    let tree = Subject {
        name: "kernel LPM trie, 1,000,000 prefixes".into(),
        program: Program::Foreign(Foreign::trie(million.v4())?),
        packets: million_packets().into(),
    };
    let v6 = prefixes_v6(&mut rng, 100_000);
    let v6_packets = [
        packet_v6("random hit", members_v6(&mut rng, &v6), XdpAction::Drop).at_most(30.0),
        packet_v6("random source, no match", strangers_v6(&mut rng, &v6), XdpAction::Pass).at_most(8.0),
    ];
    let ten_thousand_packets =
        [hit.at_most(6.0).reference("xdp-filter", 7.9), miss.at_most(5.0).reference("xdp-filter", 9.5)];
    Ok(vec![
        subject("a set of 10,000 addresses", ten_thousand, ten_thousand_packets)?,
        subject(
            "a set of 1,000,000 prefixes",
            million,
            [million_hit.at_most(24.0), million_miss.at_most(6.0)]
                .map(|one| one.reference("LPM trie", 141.0)),
        )?,
        subject("a set of 100,000 IPv6 prefixes", v6, v6_packets)?,
        tree,
    ])
}

fn subject(name: &str, contents: AddressSet, packets: [Packet; 2]) -> anyhow::Result<Subject> {
    let sources = PrefixSet { sets: vec!["listed".to_owned()], ..PrefixSet::default() };
    let rule = rule("listed", Action::Drop, Match { sources: Some(sources), ..Match::default() });
    let filters = vec![filter("edge", Action::Pass, vec![rule])];
    let node = Node::with_sets(filters, vec![], [("listed".to_owned(), contents)].into())?;
    Ok(Subject::new(name, node, packets.into()))
}

/// As lists have them: of each length from /16 to /32 half as many again as of the one before.
fn prefixes_v4(rng: &mut StdRng, number: usize) -> AddressSet {
    let mut set = AddressSet::default();
    // Some are within others, and some neighbours become one.
    while set.len() < number {
        let missing = number - set.len();
        let nets = (0..missing).map(|_| {
            let shorter = (rng.random::<f64>().ln() / (1.0f64 / 1.5).ln()).min(16.0) as u8;
            IpNet::from(Ipv4Net::new(rng.random::<u32>().into(), 32 - shorter).expect("at most 32"))
        });
        set = set.union(&nets.collect());
    }
    set
}

fn prefixes_v6(rng: &mut StdRng, number: usize) -> AddressSet {
    let nets = (0..number).map(|_| {
        let length = [32, 40, 44, 48, 48, 48, 56, 64][rng.random_range(0..8)];
        IpNet::from(Ipv6Net::new(random_v6(rng), length).expect("at most 128").trunc())
    });
    nets.collect()
}

fn random_v6(rng: &mut StdRng) -> Ipv6Addr {
    let registry = u128::from(REGISTRIES[rng.random_range(0..REGISTRIES.len())]);
    (registry << 112 | rng.random::<u128>() >> 16).into()
}

fn members_v4(rng: &mut StdRng, set: &AddressSet) -> Vec<Ipv4Addr> {
    let mut one = || {
        let net = set.v4()[rng.random_range(0..set.v4().len())];
        Ipv4Addr::from(u32::from(net.network()) | rng.random::<u32>() & u32::from(net.hostmask()))
    };
    (0..FLOWS).map(|_| one()).collect()
}

fn members_v6(rng: &mut StdRng, set: &AddressSet) -> Vec<Ipv6Addr> {
    let mut one = || {
        let net = set.v6()[rng.random_range(0..set.v6().len())];
        Ipv6Addr::from(u128::from(net.network()) | rng.random::<u128>() & u128::from(net.hostmask()))
    };
    (0..FLOWS).map(|_| one()).collect()
}

fn strangers_v4(rng: &mut StdRng, set: &AddressSet) -> Vec<Ipv4Addr> {
    let any = std::iter::repeat_with(|| Ipv4Addr::from(rng.random::<u32>()));
    any.filter(|address| !set.contains((*address).into())).take(FLOWS).collect()
}

/// Of the same blocks.
fn strangers_v6(rng: &mut StdRng, set: &AddressSet) -> Vec<Ipv6Addr> {
    let any = std::iter::repeat_with(|| random_v6(rng));
    any.filter(|address| !set.contains((*address).into())).take(FLOWS).collect()
}

fn packet_v4(name: &'static str, sources: Vec<Ipv4Addr>, expected: XdpAction) -> Packet {
    let [source_port, destination_port] = [40_000u16, 53].map(u16::to_be_bytes);
    let flow = |source: Ipv4Addr| Flow { source: source.octets(), source_port, destination_port };
    let flows = Flows::Some(sources.into_iter().map(flow).collect());
    Packet::new(name, udp([198, 19, 0, 7], 53), flows, expected)
}

fn packet_v6(name: &'static str, sources: Vec<Ipv6Addr>, expected: XdpAction) -> Packet {
    let flows = Flows::SomeV6(sources.iter().map(Ipv6Addr::octets).collect());
    Packet::new(name, udp_v6(53), flows, expected)
}
