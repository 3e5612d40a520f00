use sluice_interpret::{ControlPeer, Failsafe, FailsafePort, Service, Stage, Verdict, World};
use sluice_policy::{Action, Balancer, Filter, Hook, Interfaces, Match, VipPort};

use crate::build::*;

const NODE: &str = "198.51.100.1";
const VIP: &str = "203.0.113.10";

fn port(port: u16, protocol: u8, sources: &[&str]) -> FailsafePort {
    FailsafePort { port, protocol, sources: sources.iter().map(|text| text.parse().unwrap()).collect() }
}

/// A node that drops everything.
fn closed() -> World {
    let balancer = Balancer {
        object: object("vip"),
        created: 0,
        nodes: Default::default(),
        interfaces: Interfaces::default(),
        addresses: vec![VIP.parse().unwrap()],
        ports: vec![VipPort { name: "ssh".into(), protocol: 6, port: 22 }],
        backends: vec![],
        slots: 256,
        health_check: None,
    };
    World {
        hook: Hook::Xdp,
        filters: vec![filter("closed", vec![rule("all", Action::Drop, Match::default())])],
        services: vec![Service::all_healthy(balancer)],
        failsafe: Some(Failsafe {
            ports: vec![
                port(22, 6, &[]),
                port(500, 17, &[]),
                port(23, 6, &["192.0.2.0/24", "2001:db8:5::/48"]),
            ],
            within_rate: true,
            control_peers: vec![ControlPeer { address: "192.0.2.1".parse().unwrap(), port: 6443 }],
        }),
        node_addresses: vec![NODE.parse().unwrap(), VIP.parse().unwrap(), "2001:db8::2".parse().unwrap()],
        ..World::default()
    }
}

fn is_let_in(frame: &[u8]) -> bool {
    let world = closed();
    let outcome = on_eth0(&world, frame);
    assert_eq!(outcome.verdict == Verdict::Pass, outcome.stage == Stage::Failsafe);
    outcome.stage == Stage::Failsafe
}

fn bridge(last: u8, length: u16) -> Vec<u8> {
    let mut frame = ethernet(length, &[0x42, 0x42, 3]);
    frame[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0, 0, last]);
    frame
}

#[test]
fn link_protocols() {
    for (name, frame, expected) in [
        ("ARP", ethernet(0x0806, &[0; 28]), true),
        ("ARP in a VLAN", tag(0x8100, 9, &ethernet(0x0806, &[0; 28])), true),
        ("RARP", ethernet(0x8035, &[0; 28]), false),
        ("LACP", ethernet(0x8809, &[1; 46]), true),
        ("LLDP", ethernet(0x88cc, &[2; 46]), true),
        ("STP", bridge(0, 38), true),
        ("the last bridge group", bridge(15, 38), true),
        ("beyond the bridge groups", bridge(16, 38), false),
        ("a type to the bridge group", bridge(0, 0x0600), false),
        ("a length to a host", ethernet(38, &[0x42, 0x42, 3]), false),
    ] {
        assert_eq!(is_let_in(&frame), expected, "{name}");
    }
}

#[test]
fn network_protocols() {
    let v4 = |ttl, destination, protocol, payload: &[u8]| {
        V4 { ttl, destination, ..V4::default() }.frame(protocol, payload)
    };
    let v6 = |hop_limit, destination, protocol, payload: &[u8]| {
        V6 { hop_limit, destination, ..V6::default() }.frame(protocol, payload)
    };
    let icmp = |icmp_type: u8| [icmp_type, 0, 0, 0, 0, 0, 0, 0];
    for icmp_type in 0..=255 {
        let is_neighbour = (133..=137).contains(&icmp_type);
        let is_listener = (130..=132).contains(&icmp_type) || icmp_type == 143;
        assert_eq!(is_let_in(&v6(255, "ff02::1", 58, &icmp(icmp_type))), is_neighbour, "{icmp_type}");
        assert_eq!(is_let_in(&v6(1, "ff02::1", 58, &icmp(icmp_type))), is_listener, "{icmp_type}");
        assert!(!is_let_in(&v6(254, "ff02::1", 58, &icmp(icmp_type))), "{icmp_type}");
        assert!(!is_let_in(&v4(255, "224.0.0.1", 1, &icmp(icmp_type))), "{icmp_type}");
    }
    let far = "203.0.113.99";
    for (name, frame, expected) in [
        ("IGMP", v4(1, "224.0.0.1", 2, &[0x11; 8]), true),
        ("IGMP from afar", v4(2, "224.0.0.1", 2, &[0x11; 8]), false),
        ("DHCP answer", v4(64, far, 17, &udp(67, 68)), true),
        ("DHCP request", v4(64, "255.255.255.255", 17, &udp(68, 67)), true),
        ("DHCP between servers", v4(64, far, 17, &udp(67, 67)), false),
        ("to the DHCP client from elsewhere", v4(64, far, 17, &udp(53, 68)), false),
        ("DHCPv6 answer", v6(64, "fe80::1", 17, &udp(547, 546)), true),
        ("DHCPv6 ports in IPv4", v4(64, far, 17, &udp(547, 546)), false),
        ("DHCP ports in IPv6", v6(64, "fe80::1", 17, &udp(67, 68)), false),
        ("VRRP", v4(255, "224.0.0.18", 112, &[0; 20]), true),
        ("VRRP from afar", v4(254, "224.0.0.18", 112, &[0; 20]), false),
        ("OSPF", v4(1, "224.0.0.5", 89, &[0; 24]), true),
        ("OSPF designated routers", v4(1, "224.0.0.6", 89, &[0; 24]), true),
        ("OSPFv3", v6(1, "ff02::6", 89, &[0; 24]), true),
        ("OSPF to a host", v4(1, far, 89, &[0; 24]), false),
        ("OSPF from afar", v4(2, "224.0.0.5", 89, &[0; 24]), false),
        ("BFD", v4(255, far, 17, &udp(49152, 3784)), true),
        ("BFD from afar", v4(254, far, 17, &udp(49152, 3784)), false),
    ] {
        assert_eq!(is_let_in(&frame), expected, "{name}");
    }
}

#[test]
fn node_ports_are_kept_for_the_node_alone() {
    let to =
        |destination, protocol, payload: &[u8]| V4 { destination, ..V4::default() }.frame(protocol, payload);
    assert!(is_let_in(&to(NODE, 6, &tcp(40000, 22, 2))));
    assert!(is_let_in(&to(NODE, 17, &udp(40000, 500))));
    assert!(is_let_in(&V6::default().frame(6, &tcp(40000, 22, 2))));
    assert!(!is_let_in(&to(NODE, 17, &udp(40000, 22))), "another protocol");
    assert!(!is_let_in(&to(NODE, 6, &tcp(22, 40000, 2))), "the source port says nothing");
    assert!(!is_let_in(&to(VIP, 6, &tcp(40000, 22, 2))), "a VIP is no node address");
    assert!(!is_let_in(&to("198.51.100.2", 6, &tcp(40000, 22, 2))), "another node");
}

#[test]
fn a_port_with_sources_is_kept_for_them_alone() {
    let to_23 = |source| V4 { source, destination: NODE, ..V4::default() }.frame(6, &tcp(40000, 23, 2));
    assert!(is_let_in(&to_23("192.0.2.0")));
    assert!(is_let_in(&to_23("192.0.2.255")));
    assert!(!is_let_in(&to_23("192.0.3.0")));
    let to_23 = |source| V6 { source, ..V6::default() }.frame(6, &tcp(40000, 23, 2));
    assert!(is_let_in(&to_23("2001:db8:5::1")));
    assert!(!is_let_in(&to_23("2001:db8:6::1")));
    assert!(!is_let_in(&to_23("::ffff:192.0.2.1")), "an IPv4 prefix holds no IPv6 address");
}

#[test]
fn replies_are_known_by_their_exact_endpoint() {
    let reply = |source, destination, source_port, flags| {
        V4 { source, destination, ..V4::default() }.frame(6, &tcp(source_port, 51000, flags))
    };
    assert!(is_let_in(&reply("192.0.2.1", NODE, 6443, 0x10)));
    assert!(is_let_in(&reply("192.0.2.1", NODE, 6443, 0x12)));
    assert!(!is_let_in(&reply("192.0.2.1", NODE, 6443, 0x02)), "without ACK");
    assert!(!is_let_in(&reply("192.0.2.1", NODE, 6444, 0x10)), "another port");
    assert!(!is_let_in(&reply("192.0.2.2", NODE, 6443, 0x10)), "a flood from port 6443");
    assert!(!is_let_in(&reply("192.0.2.1", VIP, 6443, 0x10)), "to a VIP");
}

#[test]
fn broken_packets_and_later_fragments_are_not_exempt() {
    let whole = V4::default().frame(6, &tcp(40000, 22, 2));
    assert!(is_let_in(&whole));
    assert!(!is_let_in(&whole[..whole.len() - 1]));
    assert!(!is_let_in(&V4 { ttl: 1, fragment: 9, ..V4::default() }.frame(2, &[0; 8])));
}

#[test]
fn above_the_rate_the_rules_judge_again() {
    let mut world = closed();
    let ssh = V4::default().frame(6, &tcp(40000, 22, 2));
    world.failsafe.as_mut().unwrap().within_rate = false;
    assert_eq!(on_eth0(&world, &ssh).rule, Some("all"));
    assert_eq!(on_eth0(&world, &ethernet(0x0806, &[0; 28])).stage, Stage::Failsafe, "ARP has no rate");
    world.failsafe = None;
    assert_eq!(on_eth0(&world, &ethernet(0x0806, &[0; 28])).rule, Some("all"));
}

/// An egress filter must not cut the answers of what failsafe lets in.
#[test]
fn what_is_let_in_is_answered() {
    let world = closed();
    let filters = world.filters.into_iter().map(|filter| Filter { hook: Hook::TcEgress, ..filter }).collect();
    let world = World { hook: Hook::TcEgress, filters, ..world };
    let is_let_out = |source, destination, payload: &[u8]| {
        let frame = V4 { source, destination, ..V4::default() }.frame(6, payload);
        on_eth0(&world, &frame).verdict == Verdict::Pass
    };
    assert!(is_let_out(NODE, "203.0.113.77", &tcp(22, 40_000, 0x12)), "from SSH");
    assert!(is_let_out(NODE, "192.0.2.1", &tcp(40_000, 6443, 2)), "a connection to a control endpoint");
    assert!(is_let_out(NODE, "192.0.2.9", &tcp(23, 40_000, 0x12)), "to whom the port is open");
    assert!(!is_let_out(NODE, "203.0.113.77", &tcp(23, 40_000, 0x12)), "to another");
    assert!(!is_let_out(NODE, "203.0.113.77", &tcp(40_000, 22, 2)), "to somebody else's SSH");
    assert!(
        !is_let_out("198.51.100.9", "203.0.113.77", &tcp(22, 40_000, 0x12)),
        "from no address of the node"
    );
}
