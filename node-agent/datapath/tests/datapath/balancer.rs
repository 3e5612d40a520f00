//! A balancer's tables, and what only the node knows of its backends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use sluice_abi::{HopState, NextHop, Stat};
use sluice_compile::{BalancerInput, ClassInput};
use sluice_datapath::{Datapath, SlotKey, State, attached};
use sluice_plan::NodePlan;
use sluice_policy::{Backend, Balancer, Interfaces, NodeSelector, ObjectRef, VipPort};

use crate::plans::{drop_port, filter};
use crate::traffic::{Wire, udp_to};
use crate::world;

const VIP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const BACKEND: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const BALANCER_NODE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 100);

fn balancer() -> Balancer {
    Balancer {
        object: ObjectRef {
            kind: "XdpLoadBalancer".into(),
            namespace: "web".into(),
            name: "web".into(),
            uid: "uid-of-web".into(),
            generation: 1,
        },
        created: 1,
        nodes: NodeSelector::default(),
        interfaces: Interfaces { names: vec!["eth0".into()], ..Interfaces::default() },
        addresses: vec![VIP.into(), "2001:db8::10".parse().unwrap()],
        ports: [80, 53, 443].map(|port| VipPort { name: format!("p{port}"), protocol: 17, port }).into(),
        backends: vec![
            Backend { address: BACKEND.into(), weight: 1 },
            Backend { address: "2001:db8:9::1".parse().unwrap(), weight: 1 },
        ],
        slots: 256,
        health_check: None,
    }
}

/// With a filter beside it, on a node that balances or that only has a backend.
fn plan(balances: bool) -> NodePlan {
    let balancer = balancer();
    let filter = filter("edge", &["eth0"], vec![drop_port(7)]);
    let rings = sluice_balance::repair_all(&BTreeMap::new(), &balancer, &BTreeSet::new());
    let input = BalancerInput { balancer: &balancer, balances, rings: &rings, unhealthy: BTreeSet::new() };
    sluice_compile::compile(&ClassInput {
        filters: if balances { vec![&filter] } else { Vec::new() },
        balancers: vec![input],
        failsafe: Default::default(),
        balancer_nodes: [IpAddr::V4(BALANCER_NODE)].into(),
    })
    .unwrap()
}

fn hop() -> NextHop {
    NextHop {
        source: BALANCER_NODE.to_ipv6_mapped().octets(),
        destination_mac: [2, 0, 0, 0, 0, 2],
        source_mac: [2, 0, 0, 0, 0, 1],
        ifindex: nix::net::if_::if_nametoindex("eth0").unwrap(),
        mtu: 1500,
        state: HopState::Resolved as u8,
        reserved: 0,
    }
}

#[test]
fn a_balancer_is_read_back_and_follows_its_next_hops_in_place() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        let plan = plan(true);
        let applied = datapath.apply(&plan, &eth).unwrap();
        assert_eq!(applied.read_back.map(|read| read.plan_hash), Some(plan.hash()));
        assert!(applied.policies.iter().all(|policy| policy.problems.is_empty()));
        // A veth pair hands transmitted frames only to an end that has a program of its own.
        let peer = [world.interface("xeth0")];
        let mut other = Datapath::open(world.bpffs().join("peer"), State::default()).unwrap();
        other.apply(&crate::plans::drop_ports(&["xeth0"], &[7]), &peer).unwrap();

        datapath.sample_drops(Duration::from_secs(60)).unwrap();
        let (wire, frame) = (Wire::on("xeth0"), udp_to(VIP, 80, b"x"));
        wire.send(&frame);
        let stat = |datapath: &Datapath, stat| datapath.stats().unwrap().get(stat);
        world::eventually("a packet without a next hop", || stat(&datapath, Stat::NoNextHop) == 1);
        let [sample] = &datapath.dropped().unwrap().packets[..] else { panic!("one packet was dropped") };
        assert!(sample.by_balancer && sample.owner.name == format!("{VIP}:80/UDP>{BACKEND}"), "{sample:?}");
        assert_eq!(sample.bytes, frame);

        datapath.set_next_hops([(BACKEND.into(), hop())].into()).unwrap();
        wire.send(&frame);
        world::eventually("a transmitted packet", || stat(&datapath, Stat::Transmitted) == 1);
        let mut tunnelled = Vec::new();
        world::eventually("the packet's way back", || {
            tunnelled.extend(wire.arrived().into_iter().filter(|seen| seen.len() == frame.len() + 20));
            !tunnelled.is_empty()
        });
        assert_eq!(
            (&tunnelled[0][26..30], &tunnelled[0][30..34]),
            (&BALANCER_NODE.octets()[..], &BACKEND.octets()[..])
        );

        let name = format!("{VIP}:80/UDP>{BACKEND}");
        let key = SlotKey { policy: "uid-of-web".into(), name };
        let counts = datapath.counters().unwrap()[&key];
        assert_eq!((counts.pass.packets, counts.drop.packets), (1, 1));

        // The next plan's table begins with what the node knows already.
        let mut next = plan.clone();
        next.failsafe.burst += 1;
        assert_eq!(datapath.apply(&next, &eth).unwrap().loaded, 1);
        wire.send(&frame);
        world::eventually("the packet of the next plan", || stat(&datapath, Stat::Transmitted) == 2);
    });
}

#[test]
fn what_cannot_be_transmitted_is_counted_with_its_reason() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        datapath.apply(&plan(true), &eth).unwrap();
        datapath.set_next_hops([(BACKEND.into(), hop())].into()).unwrap();
        // The other end has no program, so the driver has nowhere to put frames.
        let failed = |datapath: &Datapath| {
            let exceptions = datapath.exceptions().unwrap().expect("the trace points are attached");
            assert!(exceptions.contains_key("aborted"), "{exceptions:?}");
            exceptions.get("transmit_enxio").copied().unwrap_or_default()
        };
        let before = failed(&datapath);
        Wire::on("xeth0").send(&udp_to(VIP, 80, b"x"));
        world::eventually("a failed transmit", || failed(&datapath) > before);
        assert_eq!(datapath.stats().unwrap().get(Stat::Transmitted), 1, "so far as the program can tell");
    });
}

#[test]
fn a_node_opens_tunnels_once_it_has_a_backend_s_address() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        let plan = plan(false);
        let applied = datapath.apply(&plan, &eth).unwrap();
        assert_eq!((applied.loaded, applied.read_back), (0, None));
        assert!(applied.policies[0].problems.is_empty(), "it is no backend, so nothing is missing");
        assert_eq!(attached(eth[0].ifindex).unwrap(), None);

        let applied =
            datapath.set_node_addresses([BACKEND.into()].into()).unwrap().expect("a plan is in force");
        assert_eq!(applied.read_back.map(|read| read.plan_hash), Some(plan.hash()));
        assert!(attached(eth[0].ifindex).unwrap().is_some());
        let again =
            datapath.set_node_addresses([BACKEND.into()].into()).unwrap().expect("a plan is in force");
        assert_eq!(again.loaded, 0);

        datapath.set_node_addresses(BTreeSet::new()).unwrap();
        assert_eq!(attached(eth[0].ifindex).unwrap(), None);
    });
}
