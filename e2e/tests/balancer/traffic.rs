//! Whom packets reach, by which way, and in which shares.

use std::net::Ipv4Addr;
use std::time::Duration;

use sluice_e2e::capture::Capture;
use sluice_e2e::clients::Clients;
use sluice_e2e::packets::{Ipv4, udp};
use sluice_e2e::process::eventually;

use crate::shop::{BALANCER, CLIENT, PATIENCE, Shop, VIP4, WEIGHTS};

/// Flows that the shares are counted with.
const FLOWS: u64 = 20_000;

pub fn clients_of_both_families_reach_every_backend_through_tunnels(shop: &Shop) {
    for family in ["IPv4", "IPv6"] {
        let wire = Capture::start(&shop.fleet.hub, "to-edge-1").unwrap();
        let clients =
            Clients::start(&shop.fleet.hub, Shop::vip(family), 20_000..20_040, Duration::from_millis(1));
        eventually(PATIENCE, || Ok((clients.log().answers.values().sum::<u64>() >= 120).then_some(())))
            .unwrap_or_else(|error| panic!("{family}: {error:#}: {:?}{}", clients.log(), shop.words()));
        let log = clients.log();
        assert!(log.failures.is_empty(), "{family}: {:?}{}", log.failures, shop.words());
        assert_eq!(log.answers.len(), WEIGHTS.len(), "{family}: {:?}", log.answers);
        let tunnelled = wire.wait(PATIENCE, if family == "IPv4" { is_ipv4_in_ipv4 } else { is_ipv6_in_ipv6 });
        tunnelled.unwrap_or_else(|error| panic!("{family}: {error:#}"));
    }
}

fn is_ipv4_in_ipv4(frame: &[u8]) -> bool {
    frame[12..14] == [8, 0] && frame[23] == 4 && frame[26..30] == BALANCER.octets() && frame[34] >> 4 == 4
}

fn is_ipv6_in_ipv6(frame: &[u8]) -> bool {
    let from = [0xfd, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    frame[12..14] == [0x86, 0xdd] && frame[20] == 41 && frame[22..38] == from && frame[54] >> 4 == 6
}

/// A flow's slot is a matter of chance, so a share may be off by four standard deviations; the ring itself is exact.
pub fn shares_follow_the_weights_and_are_counted_to_the_packet(shop: &Shop) {
    shop.send(1, FLOWS, |number| to_vip(CLIENT, 1024 + number as u16, 53));
    let counts = || -> Vec<u64> {
        let name = |number| format!("{VIP4}:53/UDP>10.80.{number}.2");
        WEIGHTS.iter().map(|(number, _)| shop.counted("edge-1", &name(*number), "pass")).collect()
    };
    shop.expect("packets to all backends", FLOWS, |_| counts().iter().sum());
    let sum: u64 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    for ((number, weight), count) in WEIGHTS.into_iter().zip(counts()) {
        let share = weight as f64 / sum as f64;
        let (expected, deviation) = (FLOWS as f64 * share, (FLOWS as f64 * share * (1.0 - share)).sqrt());
        println!(
            "edge-{number}: {count} of {FLOWS} flows, {expected} by its weight, deviation {deviation:.0}"
        );
        assert!((count as f64 - expected).abs() <= 4.0 * deviation, "edge-{number}: {count}, not {expected}");
    }
}

/// Another port of the VIP, another address, another protocol, a fragment: they come out as they went in.
pub fn packets_for_no_vip_are_untouched(shop: &Shop) {
    let untouched = [
        to_vip(CLIENT, 4000, 9999),
        Ipv4 { source: CLIENT, destination: Ipv4Addr::new(203, 0, 113, 99), ..Ipv4::default() }
            .frame(17, &udp(4000, 53)),
        Ipv4 { source: CLIENT, destination: VIP4, ..Ipv4::default() }.frame(132, &[0; 32]),
        Ipv4 { source: CLIENT, destination: VIP4, fragment: 0x2000, ..Ipv4::default() }
            .frame(17, &udp(4000, 53)),
    ];
    let node = Capture::start(&shop.fleet.edges[0].netns, "eth0").unwrap();
    for frame in untouched {
        let sent = frame.clone();
        shop.send(1, 1, move |_| sent.clone());
        // Without the destination, which the sender fills in.
        let arrived =
            node.wait(PATIENCE, |seen| seen.len() >= frame.len() && seen[6..frame.len()] == frame[6..]);
        arrived.unwrap_or_else(|error| panic!("{frame:02x?}: {error:#}{}", shop.words()));
    }
}

pub fn to_vip(source: Ipv4Addr, sport: u16, dport: u16) -> Vec<u8> {
    Ipv4 { source, destination: VIP4, ..Ipv4::default() }.frame(17, &udp(sport, dport))
}
