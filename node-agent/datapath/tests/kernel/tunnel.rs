//! The backend's end: which tunnels are opened, and what comes out.

use std::net::IpAddr;

use sluice_abi::{DecapPeer, EntryAction, Stage, Stat, dimension::*};
use sluice_datapath::load::{LoadSpec, Loaded};
use sluice_datapath::test_run::XdpAction;
use sluice_plan::NodePlan;

use super::frames::*;
use super::tables::Tables;
use super::{loaded_with, run, stage};

const BALANCER: &str = "10.0.0.100";
const BACKEND: &str = "10.0.0.1";
const VIP: &str = "203.0.113.10";
const BALANCER_V6: &str = "2001:db8:a::1";
const BACKEND_V6: &str = "2001:db8:b::1";
const VIP_V6: &str = "2001:db8::10";

fn address(text: &str) -> [u8; 16] {
    match text.parse().expect("an address") {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// A backend with one filter, which drops port 22 and passes the rest by an entry.
fn backend() -> Loaded {
    let plan = Tables::new(&[(EntryAction::Drop, 0), (EntryAction::Pass, 0)])
        .searched(DESTINATION_PORT, &[(0, &[1]), (22, &[0, 1]), (23, &[1])], &[1], &[1])
        .plan();
    loaded_with(&plan, LoadSpec { decap: peers(), ..LoadSpec::everything(&plan) })
}

fn peers() -> Vec<DecapPeer> {
    let peer = |balancer, backend, vip| DecapPeer { balancer, backend: address(backend), vip: address(vip) };
    vec![
        peer(address(BALANCER), BACKEND, VIP),
        peer([0; 16], BACKEND, VIP),
        peer(address(BALANCER_V6), BACKEND_V6, VIP_V6),
        peer([0; 16], BACKEND_V6, VIP_V6),
    ]
}

fn outer() -> V4 {
    V4 { source: BALANCER, destination: BACKEND, protocol: 4, ..V4 }
}

fn inner() -> V4 {
    V4 { destination: VIP, ..V4 }
}

#[test]
fn the_inner_packet_comes_out_and_meets_the_filters() {
    let backend = backend();
    for tags in [&[][..], &[(0x8100, 7)], &[(0x88a8, 7), (0x8100, 8)]] {
        for options in [0, 8] {
            let packet = inner().packet(&tcp(4711, 80, ACK));
            let frame = ethernet(tags, 0x0800, &V4 { options, ..outer() }.packet(&packet));
            let outcome = run(&backend, &frame);
            assert_eq!((outcome.verdict, outcome.trace.entry), (XdpAction::Pass, 1));
            assert_eq!(outcome.frame_out, ethernet(tags, 0x0800, &packet));
        }
    }
    let v6 = V6 { destination: VIP_V6, ..V6 }.packet(&tcp(4711, 80, ACK));
    let tunnel = V6 { source: BALANCER_V6, destination: BACKEND_V6, next: 41, ..V6 };
    assert_eq!(run(&backend, &tunnel.frame(&v6)).frame_out, ethernet(&[], 0x86dd, &v6));
    let refused = run(&backend, &outer().frame(&inner().packet(&tcp(4711, 22, SYN))));
    assert_eq!(
        (refused.verdict, stage(&refused.trace), refused.trace.entry),
        (XdpAction::Drop, Stage::Filter, 0)
    );
    assert_eq!(backend.staged_stat(Stat::Decapsulated).expect("a statistic"), 8);
    assert_eq!(backend.staged_stat(Stat::DecapRefused).expect("a statistic"), 0);
}

#[test]
fn any_other_tunnel_is_a_packet_like_any_other() {
    let backend = backend();
    let packet = inner().packet(&tcp(4711, 22, SYN));
    let cases = [
        ("another balancer", V4 { source: "10.0.0.101", ..outer() }.frame(&packet), 1),
        ("another backend", V4 { destination: "10.0.0.2", ..outer() }.frame(&packet), 0),
        ("another VIP", outer().frame(&V4 { destination: "203.0.113.11", ..V4 }.packet(&tcp(1, 22, SYN))), 0),
        ("a fragment", V4 { fragment: MORE_FRAGMENTS, ..outer() }.frame(&packet), 0),
        ("IPv6 in IPv4", V4 { protocol: 41, ..outer() }.frame(&packet), 0),
        ("half an inner header", outer().frame(&packet[..19]), 0),
        ("an inner packet of version 6", outer().frame(&V6.packet(&tcp(1, 22, SYN))), 0),
    ];
    for (name, frame, refused) in cases {
        let before = backend.staged_stat(Stat::DecapRefused).expect("a statistic");
        let outcome = run(&backend, &frame);
        assert_eq!((outcome.verdict, outcome.trace.entry), (XdpAction::Pass, 1), "{name}");
        assert_eq!(outcome.frame_out, frame, "{name}");
        let after = backend.staged_stat(Stat::DecapRefused).expect("a statistic");
        assert_eq!(after - before, refused, "{name}");
    }
    assert_eq!(backend.staged_stat(Stat::Decapsulated).expect("a statistic"), 0);
}

#[test]
fn congestion_on_the_way_is_passed_on() {
    let backend = backend();
    // (outer ECN, inner ECN, ECN that comes out): RFC 6040, figure 4.
    for (outside, inside, out) in [(0, 2, 2), (2, 2, 2), (3, 2, 3), (3, 1, 3), (3, 3, 3), (3, 0, 0)] {
        let frame = V4 { class: outside, ..outer() }
            .frame(&V4 { class: 0xb8 | inside, ..inner() }.packet(&tcp(1, 80, ACK)));
        let packet = &run(&backend, &frame).frame_out[14..];
        assert_eq!(
            (packet[1], checksum(&packet[..20])),
            (0xb8 | out, 0),
            "{outside} outside, {inside} inside"
        );
        let inner = V6 { destination: VIP_V6, class: 0xb8 | inside, ..V6 }.packet(&tcp(1, 80, ACK));
        let tunnel = V6 { source: BALANCER_V6, destination: BACKEND_V6, next: 41, class: outside, ..V6 };
        let packet = &run(&backend, &tunnel.frame(&inner)).frame_out[14..];
        assert_eq!((packet[0] << 4) | packet[1] >> 4, 0xb8 | out, "{outside} outside, {inside} inside, IPv6");
    }
}

#[test]
fn what_comes_out_of_a_tunnel_is_not_balanced_again() {
    let mut plan: NodePlan = super::balancer::plan();
    plan.filters = NodePlan::default().filters;
    let loaded = loaded_with(&plan, LoadSpec { decap: peers(), ..LoadSpec::everything(&plan) });
    let packet = inner().packet(&tcp(4711, 80, SYN));
    assert_eq!(run(&loaded, &ethernet(&[], 0x0800, &packet)).verdict, XdpAction::Tx);
    let outcome = run(&loaded, &outer().frame(&packet));
    assert_eq!((outcome.verdict, outcome.frame_out), (XdpAction::Pass, ethernet(&[], 0x0800, &packet)));
}
