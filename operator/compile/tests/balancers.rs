//! The balancers' tables and the bounds of a node.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bytemuck::pod_read_unaligned;
use sluice_abi::{NO_TARGET, Target, Vip as VipEntry, VipKey};
use sluice_balance::{Rings, repair_all};
use sluice_compile::{BalancerInput, ClassInput, CompileError, balancer_hash, compile};
use sluice_plan::{Balancers, NodePlan};
use sluice_policy::{Backend, Balancer, Interfaces, NodeSelector, ObjectRef, VipPort};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn balancer(name: &str, vips: &[&str], backends: &[(&str, u16)]) -> Balancer {
    let backend = |(address, weight): &(&str, u16)| Backend { address: ip(address), weight: *weight };
    Balancer {
        object: ObjectRef {
            kind: "XdpLoadBalancer".to_owned(),
            namespace: "default".to_owned(),
            name: name.to_owned(),
            uid: format!("uid-of-{name}"),
            generation: 1,
        },
        created: 0,
        nodes: NodeSelector::default(),
        interfaces: Interfaces { names: vec!["eth0".to_owned()], ..Interfaces::default() },
        addresses: vips.iter().map(|vip| ip(vip)).collect(),
        ports: vec![
            VipPort { name: "http".to_owned(), protocol: 6, port: 80 },
            VipPort { name: "quic".to_owned(), protocol: 17, port: 443 },
        ],
        backends: backends.iter().map(backend).collect(),
        slots: 256,
        health_check: None,
    }
}

fn plan_of(inputs: &[(&Balancer, bool, &[&str])]) -> Result<NodePlan, CompileError> {
    let down = |down: &[&str]| down.iter().map(|address| ip(address)).collect::<BTreeSet<_>>();
    let rings: Vec<Rings> =
        inputs.iter().map(|(balancer, _, dead)| repair_all(&Rings::new(), balancer, &down(dead))).collect();
    let balancers = inputs.iter().zip(&rings).map(|((balancer, balances, dead), rings)| BalancerInput {
        balancer,
        balances: *balances,
        rings,
        unhealthy: down(dead),
    });
    compile(&ClassInput { balancers: balancers.collect(), ..ClassInput::default() })
}

fn vips(balancers: &Balancers) -> BTreeMap<(IpAddr, u16, u8), VipEntry> {
    let size = size_of::<VipKey>() + size_of::<VipEntry>();
    let entry = |bytes: &[u8]| {
        let key: VipKey = pod_read_unaligned(&bytes[..size_of::<VipKey>()]);
        let address = IpAddr::from(key.address).to_canonical();
        ((address, key.port, key.protocol), pod_read_unaligned(&bytes[size_of::<VipKey>()..]))
    };
    balancers.tables.vips.chunks_exact(size).map(entry).collect()
}

/// How many slots of a virtual address each backend has, read as the kernel reads them.
fn shares(balancers: &Balancers, vip: &VipEntry) -> BTreeMap<Option<IpAddr>, usize> {
    let targets: Vec<Target> =
        balancers.tables.targets.chunks_exact(size_of::<Target>()).map(pod_read_unaligned).collect();
    let ring: Vec<u32> = balancers.tables.ring.chunks_exact(4).map(pod_read_unaligned).collect();
    let mut shares = BTreeMap::new();
    for target in &ring[vip.ring as usize..=(vip.ring + vip.mask) as usize] {
        let backend =
            (*target != NO_TARGET).then(|| IpAddr::from(targets[*target as usize].address).to_canonical());
        *shares.entry(backend).or_default() += 1;
    }
    shares
}

#[test]
fn each_virtual_address_reaches_the_backends_of_its_family_by_weight() {
    let web = balancer(
        "web",
        &["203.0.113.10", "2001:db8::10"],
        &[("192.0.2.1", 3), ("192.0.2.2", 1), ("2001:db8:1::1", 1), ("192.0.2.3", 0)],
    );
    let plan = plan_of(&[(&web, true, &[])]).unwrap();
    let vips = vips(&plan.balancers);
    assert_eq!(vips.len(), 4);
    let v4 = shares(&plan.balancers, &vips[&(ip("203.0.113.10"), 80, 6)]);
    assert_eq!(v4, BTreeMap::from([(Some(ip("192.0.2.1")), 192), (Some(ip("192.0.2.2")), 64)]));
    let v6 = shares(&plan.balancers, &vips[&(ip("2001:db8::10"), 443, 17)]);
    assert_eq!(v6, BTreeMap::from([(Some(ip("2001:db8:1::1")), 256)]));
    let part = &plan.balancers.parts[0];
    let names: Vec<_> = part.vips.iter().map(|vip| vip.name.as_str()).collect();
    assert_eq!(names, ["http", "quic", "http", "quic"]);
    assert!(part.targets.iter().all(|target| target.healthy != (target.backend == ip("192.0.2.3"))));
}

#[test]
fn targets_and_counters_are_numbered_over_all_parts() {
    let first = balancer("a", &["203.0.113.1"], &[("192.0.2.1", 1), ("192.0.2.2", 1)]);
    let second = balancer("b", &["203.0.113.2"], &[("192.0.2.9", 1)]);
    let plan = plan_of(&[(&second, true, &[]), (&first, false, &[])]).unwrap();
    let vips = vips(&plan.balancers);
    assert_eq!(vips.len(), 2, "a class that only has backends balances nothing");
    let vip = &vips[&(ip("203.0.113.2"), 443, 17)];
    assert_eq!((vip.balancer, vip.slot), (1, 3));
    assert_eq!(shares(&plan.balancers, vip), BTreeMap::from([(Some(ip("192.0.2.9")), 256)]));
}

#[test]
fn without_a_healthy_backend_no_slot_has_a_target() {
    let web = balancer("web", &["203.0.113.10"], &[("192.0.2.1", 1)]);
    let plan = plan_of(&[(&web, true, &["192.0.2.1"])]).unwrap();
    let vip = vips(&plan.balancers)[&(ip("203.0.113.10"), 80, 6)];
    assert_eq!((vip.mask, shares(&plan.balancers, &vip)), (255, BTreeMap::from([(None, 256)])));
    assert!(!plan.balancers.parts[0].targets[0].healthy);
}

#[test]
fn the_hash_is_of_the_spec_alone() {
    let web = balancer("web", &["203.0.113.10"], &[("192.0.2.1", 1)]);
    let mut same = balancer("other", &["203.0.113.10"], &[("192.0.2.1", 1)]);
    same.created = 7;
    assert_eq!(balancer_hash(&web), balancer_hash(&same));
    same.slots = 512;
    assert_ne!(balancer_hash(&web), balancer_hash(&same));
}

#[test]
fn what_a_node_cannot_hold_names_the_balancer_that_goes_over() {
    let backends: Vec<(String, u16)> = (0..256).map(|number| (format!("192.0.2.{number}"), 1)).collect();
    let backends: Vec<(&str, u16)> =
        backends.iter().map(|(address, weight)| (address.as_str(), *weight)).collect();
    let small = balancer("a-small", &["203.0.113.1"], &backends[..2]);
    let addresses: Vec<String> = (10..60).map(|number| format!("203.0.113.{number}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let wide = balancer("b-wide", &addresses, &backends);
    let error = plan_of(&[(&small, true, &[]), (&wide, true, &[])]).unwrap_err();
    assert!(matches!(&error, CompileError::TooManyCounters { .. }), "{error}");
    assert!(error.to_string().starts_with("XdpLoadBalancer/default/b-wide: "), "{error}");

    let many: Vec<Balancer> =
        (0..257).map(|number| balancer(&format!("{number:03}"), &["203.0.113.1"], &[])).collect();
    let inputs: Vec<(&Balancer, bool, &[&str])> =
        many.iter().map(|balancer| (balancer, false, &[] as &[&str])).collect();
    let error = plan_of(&inputs).unwrap_err();
    assert!(
        matches!(&error, CompileError::TooManyBalancers { object, .. } if object.name == "256"),
        "{error}"
    );

    let mut large = balancer("large", &addresses, &backends[..1]);
    large.slots = 1 << 19;
    let rings = Rings::new();
    let large = BalancerInput { balancer: &large, balances: true, rings: &rings, unhealthy: BTreeSet::new() };
    let error = compile(&ClassInput { balancers: vec![large], ..ClassInput::default() }).unwrap_err();
    assert!(matches!(&error, CompileError::TooManyRingSlots { .. }), "{error}");
}
