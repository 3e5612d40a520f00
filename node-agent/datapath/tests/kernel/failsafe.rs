//! What no rule can cut, and what only looks like it. Every packet that failsafe lets go is dropped by the filter.

use sluice_abi::{EntryAction, Stage, Stat, dimension::*};
use sluice_datapath::load::Loaded;
use sluice_datapath::test_run::XdpAction;
use sluice_plan::{ControlEndpoint, FailsafeEntry, NodePlan};

use super::balancer;
use super::frames::*;
use super::tables::Tables;
use super::{loaded, run, stage};

const NODE: &str = "203.0.113.1";
const PEER: &str = "198.51.100.1";

fn plan() -> NodePlan {
    Tables::new(&[(EntryAction::Drop, 0)]).direct(PROTOCOL, (DIRECT_PROTOCOL, 257), &[0], &[]).plan()
}

fn node(plan: &NodePlan) -> Loaded {
    let mut plan = plan.clone();
    let peer = ControlEndpoint { address: PEER.parse().expect("an address"), port: 6443 };
    plan.failsafe.control_endpoints = vec![peer];
    let loaded = loaded(&plan);
    loaded.set_surroundings(&plan, &[NODE.parse().expect("an address")]).expect("a write to a map");
    loaded
}

fn v4(protocol: u8, ttl: u8, payload: &[u8]) -> Vec<u8> {
    V4 { protocol, ttl, ..V4 }.frame(payload)
}

fn v6(next: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    V6 { next, hop_limit, ..V6 }.frame(payload)
}

fn ospf(destination: &'static str) -> Vec<u8> {
    V4 { protocol: 89, ttl: 1, destination, ..V4 }.frame(&[0; 24])
}

fn stp(destination: [u8; 6], length: u16) -> Vec<u8> {
    let mut frame = ethernet(&[], length, &[0x42; 46]);
    frame[..6].copy_from_slice(&destination);
    frame
}

#[test]
fn what_keeps_the_network_and_the_node_alive_passes() {
    let node = node(&plan());
    let cases = [
        ("ARP", true, ethernet(&[], 0x0806, &[0; 28])),
        ("ARP in a VLAN", true, ethernet(&[(0x8100, 7)], 0x0806, &[0; 28])),
        ("LACP", true, ethernet(&[], 0x8809, &[0; 46])),
        ("LLDP", true, ethernet(&[], 0x88cc, &[0; 46])),
        ("another EtherType", false, ethernet(&[], 0x88cd, &[0; 46])),
        ("STP", true, stp([1, 0x80, 0xc2, 0, 0, 0], 38)),
        ("the last bridge address", true, stp([1, 0x80, 0xc2, 0, 0, 0x0f], 38)),
        ("behind the bridge addresses", false, stp([1, 0x80, 0xc2, 0, 0, 0x10], 38)),
        ("an EtherType to a bridge address", false, stp([1, 0x80, 0xc2, 0, 0, 0], 0x0600)),
        ("neighbour solicitation", true, v6(58, 255, &icmp(135, 0))),
        ("neighbour solicitation from afar", false, v6(58, 254, &icmp(135, 0))),
        ("an echo request", false, v6(58, 255, &icmp(128, 0))),
        ("listener report", true, v6(58, 1, &icmp(143, 0))),
        ("its type in IPv4", false, v4(1, 255, &icmp(135, 0))),
        ("IGMP", true, v4(2, 1, &[0x16, 0, 0, 0, 0, 0, 0, 0])),
        ("IGMP from afar", false, v4(2, 2, &[0x16, 0, 0, 0, 0, 0, 0, 0])),
        ("DHCP to a client", true, v4(17, 64, &udp(67, 68, b""))),
        ("DHCP to a server", true, v4(17, 64, &udp(68, 67, b""))),
        ("DHCP's port alone", false, v4(17, 64, &udp(67, 53, b""))),
        ("DHCPv6", true, v6(17, 64, &udp(547, 546, b""))),
        ("DHCP's ports in IPv6", false, v6(17, 64, &udp(67, 68, b""))),
        ("VRRP", true, v4(112, 255, &[0; 8])),
        ("VRRP from afar", false, v4(112, 254, &[0; 8])),
        ("OSPF", true, ospf("224.0.0.5")),
        ("OSPF to designated routers", true, ospf("224.0.0.6")),
        ("OSPF to anybody", false, ospf("224.0.0.7")),
        ("OSPFv3", true, V6 { next: 89, hop_limit: 1, destination: "ff02::5", ..V6 }.frame(&[0; 24])),
        ("BFD", true, v4(17, 255, &udp(49152, 3784, b""))),
        ("BFD from afar", false, v4(17, 254, &udp(49152, 3784, b""))),
        ("SSH to the node", true, v4(6, 64, &tcp(4711, 22, SYN))),
        ("SSH to another address", false, V4 { destination: "203.0.113.2", ..V4 }.frame(&tcp(4711, 22, SYN))),
        ("SSH's port in UDP", false, v4(17, 64, &udp(4711, 22, b""))),
        ("from SSH's port", false, v4(6, 64, &tcp(22, 4711, ACK))),
        ("a reply of the API server", true, v4(6, 64, &tcp(6443, 4711, ACK))),
        ("a connection from its port", false, v4(6, 64, &tcp(6443, 4711, SYN))),
        (
            "a reply from its port elsewhere",
            false,
            V4 { source: "198.51.100.2", ..V4 }.frame(&tcp(6443, 4711, ACK)),
        ),
        (
            "its reply to another address",
            false,
            V4 { destination: "203.0.113.2", ..V4 }.frame(&tcp(6443, 4711, ACK)),
        ),
        ("a later fragment", false, V4 { fragment: 3, ..V4 }.frame(&tcp(4711, 22, SYN))),
        ("a malformed one", false, V4 { excess: 1, ..V4 }.frame(&tcp(4711, 22, SYN))),
    ];
    let passed = cases.iter().filter(|(_, passes, _)| *passes).count() as u64;
    for (name, passes, frame) in cases {
        let outcome = run(&node, &frame);
        let expected =
            if passes { (XdpAction::Pass, Stage::Failsafe) } else { (XdpAction::Drop, Stage::Filter) };
        assert_eq!((outcome.verdict, stage(&outcome.trace)), expected, "{name}");
    }
    assert_eq!(node.staged_stat(Stat::FailsafePassed).expect("a statistic"), passed);
}

#[test]
fn above_its_rate_a_source_meets_the_rules() {
    let mut plan = plan();
    // So slow that hardly any comes back while the test runs.
    plan.failsafe.packets_per_second = 1;
    plan.failsafe.burst = 20;
    let node = node(&plan);
    let verdicts = |source: &'static str| {
        let frame = V4 { source, ..V4 }.frame(&tcp(4711, 22, SYN));
        (0..40).filter(|_| run(&node, &frame).verdict == XdpAction::Pass).count()
    };
    let passed = verdicts("192.0.2.1");
    assert!((20..=25).contains(&passed), "{passed} of a burst of 20 passed");
    assert_eq!(node.staged_stat(Stat::FailsafeLimited).expect("a statistic"), 40 - passed as u64);
    assert!(verdicts("192.0.2.2") >= 20, "another source has a rate of its own");
}

#[test]
fn a_flood_from_a_control_port_or_to_a_port_of_a_vip_gains_nothing() {
    const VIP: &str = "203.0.113.10";
    let mut plan = NodePlan { filters: plan().filters, ..balancer::plan() };
    plan.failsafe.ports = vec![FailsafeEntry::open(22, 6)];
    (plan.failsafe.packets_per_second, plan.failsafe.burst) = (1_000_000, 1_000_000);
    let node = node(&plan);
    let to_vip = |port, flags| V4 { destination: VIP, ..V4 }.frame(&tcp(6443, port, flags));
    let floods = [
        ("from the API server's port", v4(6, 64, &tcp(6443, 4711, ACK))),
        ("from the API server's port to a VIP", to_vip(4711, ACK)),
        ("to port 22 of a VIP", to_vip(22, SYN)),
        ("to the service of a VIP", to_vip(80, ACK)),
    ];
    for (name, mut frame) in floods {
        for source in 0..500u16 {
            // Any source but the API server's own address.
            frame[26..30].copy_from_slice(&[192, 0, (source >> 8) as u8, source as u8]);
            let outcome = run(&node, &frame);
            assert_eq!((outcome.verdict, stage(&outcome.trace)), (XdpAction::Drop, Stage::Filter), "{name}");
        }
    }
    assert_eq!(node.staged_stat(Stat::FailsafePassed).expect("a statistic"), 0);
    // The port is open where it should be, so that the flood was not refused for another reason.
    assert_eq!(run(&node, &v4(6, 64, &tcp(4711, 22, SYN))).verdict, XdpAction::Pass);
}
