//! A node under test: its policies, and what surrounds them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::Context;
use sluice_balance::{Rings, repair_all};
use sluice_compile::{BalancerInput, ClassInput, compile};
use sluice_interpret::{ControlPeer, Failsafe, FailsafePort, Service, Sets, World};
use sluice_plan::{ControlEndpoint, FailsafeEntry, NodePlan};
use sluice_policy::{Filter, Hook};

use crate::packets::place;

/// High enough for a test that sends as fast as it can.
const UNREACHED_RATE: u32 = 1_000_000;

#[derive(Clone, Debug)]
pub struct Node {
    pub world: World,
    pub plan: NodePlan,
}

impl Node {
    /// With every source within the failsafe rate.
    pub fn new(filters: Vec<Filter>, services: Vec<Service>) -> anyhow::Result<Node> {
        Self::with_sets(filters, services, Sets::new())
    }

    /// As [`Node::new`], with the address sets that the filters name.
    pub fn with_sets(filters: Vec<Filter>, services: Vec<Service>, sets: Sets) -> anyhow::Result<Node> {
        Self::with_rate(filters, services, sets, UNREACHED_RATE)
    }

    /// With every source above the failsafe rate.
    pub fn above_the_rate(filters: Vec<Filter>, services: Vec<Service>, sets: Sets) -> anyhow::Result<Node> {
        Self::with_rate(filters, services, sets, 0)
    }

    fn with_rate(
        filters: Vec<Filter>,
        services: Vec<Service>,
        sets: Sets,
        rate: u32,
    ) -> anyhow::Result<Node> {
        let failsafe = failsafe(rate);
        let world = World {
            hook: filters.first().map_or(Hook::Xdp, |filter| filter.hook),
            failsafe: Some(for_interpreter(&failsafe)),
            filters,
            services,
            node_addresses: vec![place::NODE4.into(), place::NODE6.into()],
            default_route: Vec::new(),
            connections: BTreeSet::new(),
            sets,
        };
        let plan = plan(&world, failsafe).context("these policies do not compile")?;
        Ok(Node { world, plan })
    }

    /// The same node with other filters.
    pub fn with_filters(&self, filters: Vec<Filter>) -> anyhow::Result<Node> {
        let World { services, sets, .. } = self.world.clone();
        Self::with_rate(filters, services, sets, self.plan.failsafe.packets_per_second)
    }
}

fn failsafe(rate: u32) -> sluice_plan::Failsafe {
    let peer = |address: IpAddr| ControlEndpoint { address, port: place::PEER_PORT };
    let ports = [(22, 6), (10250, 6), (6443, 6), (9443, 6), (9443, 17)];
    let limited = FailsafeEntry {
        sources: place::ADMINS.iter().map(|prefix| prefix.parse().expect("a prefix")).collect(),
        ..FailsafeEntry::open(place::ADMIN_PORT, 6)
    };
    sluice_plan::Failsafe {
        ports: ports
            .map(|(port, protocol)| FailsafeEntry::open(port, protocol))
            .into_iter()
            .chain([limited])
            .collect(),
        packets_per_second: rate,
        burst: rate,
        control_endpoints: vec![peer(place::PEER4.into()), peer(place::PEER6.into())],
    }
}

fn for_interpreter(failsafe: &sluice_plan::Failsafe) -> Failsafe {
    let ports = failsafe.ports.iter();
    let peers = failsafe.control_endpoints.iter();
    Failsafe {
        ports: ports
            .map(|entry| FailsafePort {
                port: entry.port,
                protocol: entry.protocol,
                sources: entry.sources.clone(),
            })
            .collect(),
        within_rate: failsafe.packets_per_second > 0,
        control_peers: peers.map(|peer| ControlPeer { address: peer.address, port: peer.port }).collect(),
    }
}

fn plan(world: &World, failsafe: sluice_plan::Failsafe) -> anyhow::Result<NodePlan> {
    let unhealthy: Vec<BTreeSet<IpAddr>> = world.services.iter().map(unhealthy).collect();
    let rings: Vec<Rings> = world
        .services
        .iter()
        .zip(&unhealthy)
        .map(|(service, unhealthy)| repair_all(&Rings::default(), &service.balancer, unhealthy))
        .collect();
    let balancers = world.services.iter().zip(&rings).zip(unhealthy);
    let input = ClassInput {
        filters: world.filters.iter().collect(),
        balancers: balancers
            .map(|((service, rings), unhealthy)| BalancerInput {
                balancer: &service.balancer,
                balances: true,
                rings,
                unhealthy,
            })
            .collect(),
        failsafe,
        balancer_nodes: world.node_addresses.iter().copied().collect(),
    };
    Ok(compile(&input)?)
}

fn unhealthy(service: &Service) -> BTreeSet<IpAddr> {
    let backends = service.balancer.backends.iter().map(|backend| backend.address);
    backends.filter(|address| !service.healthy.contains(address)).collect()
}
