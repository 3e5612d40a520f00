//! Balancers behind filters, and failsafe in front of them.

use std::net::IpAddr;

use sluice_interpret::{Service, Sets};
use sluice_policy::{Action, Backend, Balancer, Filter, NodeSelector, VipPort};

use crate::oracle::build::*;
use crate::oracle::node::Node;
use crate::packets::place;

pub fn nodes() -> anyhow::Result<Vec<(&'static str, Node)>> {
    let closed = || vec![filter("closed", Action::Drop, vec![])];
    let elsewhere = {
        let mut service = service(3);
        service.balancer.interfaces = on(ELSEWHERE);
        service
    };
    Ok(vec![
        ("a balancer alone", balancer_alone()?),
        ("a balancer behind filters", Node::new(in_front(), vec![service(3)])?),
        ("a balancer without a backend", Node::new(in_front(), vec![service(0)])?),
        ("a balancer on another interface", Node::new(vec![], vec![elsewhere])?),
        ("everything dropped but failsafe", Node::new(closed(), vec![service(3)])?),
        ("failsafe above the rate", Node::above_the_rate(closed(), vec![service(3)], Sets::new())?),
    ])
}

/// With three healthy backends of each family and no filter.
pub fn balancer_alone() -> anyhow::Result<Node> {
    Node::new(vec![], vec![service(3)])
}

fn in_front() -> Vec<Filter> {
    let rules = vec![
        rule("odd-clients", Action::Drop, from(&["192.0.2.8/29"], &[])),
        rule("vip", Action::Pass, to(&["203.0.113.0/24", "2001:db8:f::/48"], &[])),
    ];
    vec![filter("in-front", Action::Drop, rules)]
}

/// Of its backends of each family the first are healthy.
fn service(healthy: usize) -> Service {
    let families = [
        addresses(&["10.20.0.1", "10.20.0.2", "10.20.0.3", "10.20.0.4"]),
        addresses(&["fd00::1", "fd00::2", "fd00::3", "fd00::4"]),
    ];
    let backend = |address: &IpAddr| Backend { address: *address, weight: 1 };
    let balancer = Balancer {
        object: object("XdpLoadBalancer", "web"),
        created: 0,
        nodes: NodeSelector::default(),
        interfaces: on(HERE),
        addresses: vec![place::VIP4.into(), place::VIP6.into()],
        ports: [(80, 6), (443, 6), (443, 17)]
            .map(|(port, protocol)| VipPort { name: format!("p{port}-{protocol}"), protocol, port })
            .to_vec(),
        backends: families.iter().flatten().map(backend).collect(),
        slots: 256,
        health_check: None,
    };
    let healthy = families.iter().flat_map(|family| &family[..healthy]).copied().collect();
    Service { balancer, healthy }
}
