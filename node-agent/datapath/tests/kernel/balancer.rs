//! Packets to a VIP: which backend, and what the frame looks like on its way there.

use std::collections::BTreeMap;
use std::net::IpAddr;

use sluice_abi::{Counted, HopState, NO_TARGET, NextHop, Stage, Stat, Target, Vip, VipKey};
use sluice_datapath::load::{LoadSpec, Loaded};
use sluice_datapath::test_run::{Outcome, XdpAction};
use sluice_plan::{BalancerPart, Interfaces, NodePlan, PolicyRef, TargetRef, VipRef};

use super::frames::*;
use super::{loaded, loaded_with, run, stage};

const VIP_V4: &str = "203.0.113.10";
const VIP_V6: &str = "2001:db8::10";
const BACKENDS: [&str; 3] = ["10.0.0.1", "10.0.0.2", "2001:db8:b::1"];
const SLOTS: u32 = 64;
/// Counter slots as `LoadSpec::everything` numbers them: VIPs, then targets.
const EMPTY_VIP_SLOT: u32 = 2;
const FIRST_TARGET_SLOT: u32 = 3;

fn address(text: &str) -> [u8; 16] {
    match text.parse().expect("an address") {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// An IPv4 VIP on 80/TCP with two backends at 3:1, an IPv6 one with one, and 81/TCP without any.
pub fn plan() -> NodePlan {
    let vips = [(VIP_V4, 80, 0), (VIP_V6, 80, SLOTS), (VIP_V4, 81, 2 * SLOTS)];
    let mut plan = NodePlan::default();
    for (slot, (vip, port, ring)) in vips.iter().enumerate() {
        let key = VipKey { address: address(vip), port: *port, protocol: 6, reserved: 0 };
        let value = Vip { ring: *ring, mask: SLOTS - 1, balancer: 0, slot: slot as u32 };
        plan.balancers.tables.vips.extend([bytemuck::bytes_of(&key), bytemuck::bytes_of(&value)].concat());
    }
    let first = (0..SLOTS).map(|slot| u32::from(slot % 4 == 0));
    let ring: Vec<u32> = first.chain((0..SLOTS).map(|_| 2)).chain((0..SLOTS).map(|_| NO_TARGET)).collect();
    plan.balancers.tables.ring = bytemuck::cast_slice(&ring).to_vec();
    plan.balancers.tables.targets = BACKENDS
        .iter()
        .flat_map(|backend| bytemuck::bytes_of(&Target { address: address(backend) }).to_vec())
        .collect();
    plan.balancers.parts = vec![BalancerPart {
        policy: PolicyRef::default(),
        balances: true,
        interfaces: Interfaces::default(),
        vips: vips
            .iter()
            .map(|(vip, port, _)| VipRef {
                address: vip.parse().expect("an address"),
                port: *port,
                protocol: 6,
                name: String::new(),
            })
            .collect(),
        targets: BACKENDS
            .iter()
            .map(|backend| TargetRef { vip: 0, backend: backend.parse().expect("an address"), healthy: true })
            .collect(),
        check: None,
    }];
    plan
}

fn to_vip() -> V4 {
    V4 { destination: VIP_V4, class: 0xb9, ..V4 }
}

fn with_hops(hop: &NextHop) -> Loaded {
    let loaded = loaded(&plan());
    (0..BACKENDS.len() as u32).for_each(|target| loaded.set_next_hop(target, hop).expect("a next hop"));
    loaded
}

fn hop() -> NextHop {
    NextHop {
        source: address("10.0.0.100"),
        destination_mac: [2, 0, 0, 0, 0, 0xaa],
        source_mac: [2, 0, 0, 0, 0, 0xbb],
        ifindex: 1,
        mtu: 1500,
        state: HopState::Resolved as u8,
        reserved: 0,
    }
}

fn stat(loaded: &Loaded, stat: Stat) -> u64 {
    loaded.staged_stat(stat).expect("a statistic")
}

#[test]
fn an_ipv4_packet_leaves_in_a_tunnel_to_its_backend() {
    for tags in [&[][..], &[(0x8100, 7)], &[(0x88a8, 7), (0x8100, 8)]] {
        let loaded = with_hops(&hop());
        let inner = to_vip().packet(&tcp(4711, 80, SYN));
        let outcome = run(&loaded, &ethernet(tags, 0x0800, &inner));
        assert_eq!((outcome.verdict, stage(&outcome.trace)), (XdpAction::Tx, Stage::Balancer));

        let l3 = 14 + 4 * tags.len();
        let (ethernet_out, outer, carried) = split(&outcome, l3, 20);
        let link = ethernet(tags, 0x0800, &[]);
        assert_eq!(ethernet_out[..12], [hop().destination_mac, hop().source_mac].concat());
        assert_eq!(ethernet_out[12..], link[12..], "tags and EtherType stay");
        let target = BACKENDS[outcome.trace.target as usize];
        assert_eq!(outer[..2], [0x45, 0xb9], "DSCP and ECN are copied");
        assert_eq!(outer[2..4], (20 + inner.len() as u16).to_be_bytes());
        assert_eq!(outer[6..8], [0x40, 0], "never fragmented");
        assert_eq!(outer[8..10], [64, 4]);
        assert_eq!(checksum(outer), 0);
        assert_eq!((&outer[12..16], &outer[16..]), (&hop().source[12..], &address(target)[12..]));
        assert_eq!(checksum(&carried[..20]), 0, "the checksum follows the TTL");
        assert_eq!(carried[8], 63);
        assert_eq!((&carried[..8], &carried[12..]), (&inner[..8], &inner[12..]));
        assert_eq!(stat(&loaded, Stat::Transmitted), 1);
        let slot = FIRST_TARGET_SLOT + outcome.trace.target;
        assert_eq!(loaded.staged_counter(slot, Counted::Pass).expect("a counter").packets, 1);
    }
}

#[test]
fn an_ipv6_packet_leaves_in_an_ipv6_tunnel() {
    let source = address("2001:db8:a::1");
    let loaded = with_hops(&NextHop { source, ..hop() });
    let inner = V6 { destination: VIP_V6, class: 0xb9, ..V6 }.packet(&tcp(4711, 80, SYN));
    let outcome = run(&loaded, &ethernet(&[(0x8100, 7)], 0x86dd, &inner));
    assert_eq!((outcome.verdict, outcome.trace.target), (XdpAction::Tx, 2));
    let (_, outer, carried) = split(&outcome, 18, 40);
    assert_eq!((outer[0], outer[1] & 0xf0), (0x6b, 0x90), "version and traffic class");
    assert_eq!(outer[4..6], (inner.len() as u16).to_be_bytes());
    assert_eq!(outer[6..8], [41, 64]);
    assert_eq!((&outer[8..24], &outer[24..]), (&source[..], &address(BACKENDS[2])[..]));
    assert_eq!(carried[7], 63);
    assert_eq!((&carried[..7], &carried[8..]), (&inner[..7], &inner[8..]));
}

fn split(outcome: &Outcome, l3: usize, outer: usize) -> (&[u8], &[u8], &[u8]) {
    let (ethernet, packet) = outcome.frame_out.split_at(l3);
    let (outer, carried) = packet.split_at(outer);
    (ethernet, outer, carried)
}

#[test]
fn flows_spread_by_the_ring_and_stay_on_their_backend() {
    let loaded = loaded(&plan());
    let mut shares = BTreeMap::<u32, usize>::new();
    for flow in 0..4000u16 {
        let frame = to_vip().frame(&tcp(1024 + flow, 80, if flow % 2 == 0 { SYN } else { ACK }));
        let target = run(&loaded, &frame).trace.target;
        assert_eq!(run(&loaded, &frame).trace.target, target);
        *shares.entry(target).or_default() += 1;
    }
    let few = shares.remove(&1).expect("the second backend has a share");
    let many = shares.remove(&0).expect("the first backend has a share");
    assert!(shares.is_empty(), "{shares:?}");
    // 1,000 expected of 4,000; five standard deviations of a fair draw are 137.
    assert!((863..=1137).contains(&few), "{few} of {} flows on a quarter of the slots", few + many);
}

#[test]
fn what_is_not_for_a_vip_is_left_alone() {
    let loaded = loaded(&plan());
    let cases = [
        ("another port", to_vip().frame(&tcp(1, 8080, SYN))),
        ("another protocol", V4 { protocol: 17, ..to_vip() }.frame(&udp(1, 80, b""))),
        ("another address", V4.frame(&tcp(1, 80, SYN))),
        ("a fragment", V4 { fragment: MORE_FRAGMENTS, ..to_vip() }.frame(&tcp(1, 80, SYN))),
        ("echo to the VIP", V4 { protocol: 1, ..to_vip() }.frame(&icmp(8, 0))),
    ];
    for (name, frame) in cases {
        let outcome = run(&loaded, &frame);
        assert_eq!((outcome.verdict, stage(&outcome.trace)), (XdpAction::Pass, Stage::None), "{name}");
        assert_eq!(outcome.frame_out, frame, "{name}");
    }
    let spec = LoadSpec { balancers: [0; 4], ..LoadSpec::everything(&plan()) };
    let outcome = run(&loaded_with(&plan(), spec), &to_vip().frame(&tcp(1, 80, SYN)));
    assert_eq!(outcome.verdict, XdpAction::Pass, "the balancer does not select this interface");
}

#[test]
fn a_packet_that_no_backend_can_have_is_dropped_and_counted() {
    let frame = to_vip().frame(&tcp(1, 80, SYN));
    let expect = |loaded: &Loaded, frame: &[u8], counted| {
        let outcome = run(loaded, frame);
        assert_eq!(
            (outcome.verdict, stage(&outcome.trace)),
            (XdpAction::Drop, Stage::Balancer),
            "{counted:?}"
        );
        assert_eq!((stat(loaded, counted), stat(loaded, Stat::Transmitted)), (1, 0), "{counted:?}");
        assert_eq!(outcome.frame_out, frame, "{counted:?}");
        outcome.trace.target
    };
    let empty = with_hops(&hop());
    assert_eq!(expect(&empty, &to_vip().frame(&tcp(1, 81, SYN)), Stat::NoBackend), NO_TARGET);
    assert_eq!(empty.staged_counter(EMPTY_VIP_SLOT, Counted::Drop).expect("a counter").packets, 1);

    let unresolved = with_hops(&NextHop { state: HopState::Unresolved as u8, ..hop() });
    let target = expect(&unresolved, &frame, Stat::NoNextHop);
    let slot = FIRST_TARGET_SLOT + target;
    assert_eq!(unresolved.staged_counter(slot, Counted::Drop).expect("a counter").packets, 1);

    let narrow = with_hops(&NextHop { mtu: 59, ..hop() });
    expect(&narrow, &frame, Stat::Oversize);
    let at_vip = |vip| narrow.staged_counter(vip, Counted::Oversize).expect("a counter").packets;
    assert_eq!([at_vip(0), at_vip(1), at_vip(2)], [1, 0, 0], "the VIP that it was for, and no other");
    assert_eq!(run(&with_hops(&NextHop { mtu: 60, ..hop() }), &frame).verdict, XdpAction::Tx);
    let last_hop = V4 { ttl: 1, ..to_vip() }.frame(&tcp(1, 80, SYN));
    expect(&with_hops(&hop()), &last_hop, Stat::HopLimitExceeded);
}

#[test]
fn a_backend_on_this_node_gets_the_packet_as_it_is() {
    let loaded = with_hops(&NextHop { state: HopState::Local as u8, ..hop() });
    let frame = to_vip().frame(&tcp(1, 80, SYN));
    let outcome = run(&loaded, &frame);
    assert_eq!((outcome.verdict, stage(&outcome.trace)), (XdpAction::Pass, Stage::Balancer));
    assert_eq!(outcome.frame_out, frame);
}
