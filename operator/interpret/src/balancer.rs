//! The stage behind the filters: whole, sound packets to a VIP go to one of its healthy backends.

use std::net::IpAddr;

use crate::interfaces::selects;
use crate::outcome::{Outcome, Stage, Verdict};
use crate::packet::{Fragment, Packet};
use crate::world::{Service, World};

pub(crate) fn run<'w>(world: &'w World, interface: &str, packet: &Packet, outcome: &mut Outcome<'w>) {
    let (Some(ip), Some(number), Some(ports)) = (packet.ip, packet.protocol, packet.ports()) else { return };
    // The pieces of a datagram would go different ways: only the first has ports. So they all go on to the node.
    if packet.fragment != Fragment::Whole || packet.malformed {
        return;
    }
    let service = world.services.iter().find(|service| {
        let balancer = &service.balancer;
        selects(&balancer.interfaces, world, interface)
            && balancer.addresses.contains(&ip.destination)
            && balancer.ports.iter().any(|vip| vip.protocol == number && vip.port == ports.destination)
    });
    let Some(service) = service else { return };
    // A packet that may go no further may not go into a tunnel either.
    let backends = if ip.hop_limit > 1 { allowed_backends(service, ip.destination) } else { Vec::new() };
    outcome.verdict = if backends.is_empty() { Verdict::Drop } else { Verdict::Tx };
    outcome.stage = Stage::LoadBalancer;
    outcome.policy = Some(&service.balancer.object);
    outcome.rule = None;
    outcome.mode = None;
    outcome.backends = backends;
}

/// Healthy, with a share of the ring, and of the VIP's own family, as IPIP carries each in itself.
fn allowed_backends(service: &Service, vip: IpAddr) -> Vec<IpAddr> {
    let backends = service.balancer.backends.iter();
    backends
        .filter(|backend| backend.weight > 0 && backend.address.is_ipv4() == vip.is_ipv4())
        .map(|backend| backend.address)
        .filter(|address| service.healthy.contains(address))
        .collect()
}
