use std::net::IpAddr;

use sluice_interpret::{Service, Stage, Verdict, World};
use sluice_policy::{Action, Backend, Balancer, Match, Mode, VipPort};

use crate::build::*;

const FOUR: &str = "203.0.113.10";
const SIX: &str = "2001:db8::10";

fn backend(address: &str, weight: u16) -> Backend {
    Backend { address: address.parse().unwrap(), weight }
}

fn node() -> World {
    let balancer = Balancer {
        object: object("web"),
        created: 0,
        nodes: Default::default(),
        interfaces: eth0(),
        addresses: vec![FOUR.parse().unwrap(), SIX.parse().unwrap()],
        ports: vec![VipPort { name: "http".into(), protocol: 6, port: 80 }],
        backends: vec![
            backend("10.0.0.1", 1),
            backend("10.0.0.2", 0),
            backend("10.0.0.3", 5),
            backend("fd00::1", 1),
        ],
        slots: 256,
        health_check: None,
    };
    World { services: vec![Service::all_healthy(balancer)], ..World::default() }
}

fn to_vip(port: u16) -> Vec<u8> {
    V4 { destination: FOUR, ..V4::default() }.frame(6, &tcp(40000, port, 2))
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_vip_goes_to_backends_of_its_family_that_have_weight() {
    let world = node();
    let outcome = on_eth0(&world, &to_vip(80));
    assert_eq!((outcome.verdict, outcome.stage), (Verdict::Tx, Stage::LoadBalancer));
    assert_eq!(outcome.policy.unwrap().name, "web");
    assert_eq!(outcome.backends, addresses(&["10.0.0.1", "10.0.0.3"]));
    let six = V6 { destination: SIX, ..V6::default() }.frame(6, &tcp(40000, 80, 2));
    assert_eq!(on_eth0(&world, &six).backends, addresses(&["fd00::1"]));
}

#[test]
fn other_ports_protocols_and_addresses_are_untouched() {
    let world = node();
    for frame in [
        to_vip(81),
        V4 { destination: FOUR, ..V4::default() }.frame(17, &udp(40000, 80)),
        V4::default().frame(6, &tcp(40000, 80, 2)),
        V4 { destination: FOUR, fragment: 99, ..V4::default() }.frame(6, &tcp(40000, 80, 2)),
    ] {
        let outcome = on_eth0(&world, &frame);
        assert_eq!((outcome.verdict, outcome.stage, outcome.policy), (Verdict::Pass, Stage::Default, None));
    }
}

#[test]
fn fragments_and_broken_packets_are_untouched() {
    let world = node();
    let first = V4 { destination: FOUR, fragment: 0x2000, ..V4::default() }.frame(6, &tcp(40000, 80, 2));
    let mut too_long = to_vip(80);
    too_long[17] += 1;
    for frame in [first, too_long] {
        assert_eq!(on_eth0(&world, &frame).verdict, Verdict::Pass);
    }
}

#[test]
fn a_packet_at_its_last_hop_enters_no_tunnel() {
    let world = node();
    for (ttl, verdict) in [(0, Verdict::Drop), (1, Verdict::Drop), (2, Verdict::Tx)] {
        let frame = V4 { destination: FOUR, ttl, ..V4::default() }.frame(6, &tcp(40000, 80, 2));
        let outcome = on_eth0(&world, &frame);
        assert_eq!((outcome.verdict, outcome.stage), (verdict, Stage::LoadBalancer), "TTL {ttl}");
    }
}

#[test]
fn without_a_healthy_backend_the_packet_is_dropped() {
    let mut world = node();
    world.services[0].healthy = addresses(&["10.0.0.2", "fd00::1"]);
    let outcome = on_eth0(&world, &to_vip(80));
    assert_eq!((outcome.verdict, outcome.stage), (Verdict::Drop, Stage::LoadBalancer));
    assert!(outcome.backends.is_empty());
}

#[test]
fn pass_reaches_the_balancer_and_drop_does_not() {
    for (action, mode, verdict) in [
        (Action::Pass, Mode::Enforce, Verdict::Tx),
        (Action::Next, Mode::Enforce, Verdict::Tx),
        (Action::Drop, Mode::Enforce, Verdict::Drop),
        (Action::Drop, Mode::Audit, Verdict::Tx),
    ] {
        let mut world = node();
        let mut rule = rule("all", action, Match::default());
        rule.mode = mode;
        world.filters = vec![filter("f", vec![rule])];
        let outcome = on_eth0(&world, &to_vip(80));
        assert_eq!(outcome.verdict, verdict, "{action:?} {mode:?}");
        assert_eq!(outcome.stage == Stage::LoadBalancer, verdict == Verdict::Tx);
        assert_eq!(outcome.audited.is_some(), mode == Mode::Audit);
    }
}
