//! What only this node knows and changes in place: its addresses, its control peers, its next hops.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sluice_abi::{Address, ControlPeer, DecapPeer, HopState, NextHop, NodeAddress, failsafe_bit};
use sluice_plan::{ControlEndpoint, NodePlan};

use crate::bpf;
use crate::error::{Context, Result};

#[derive(Clone, Debug, Default)]
pub struct Local {
    /// This node's own addresses that are no VIP.
    pub addresses: BTreeSet<IpAddr>,
    /// Operator and API server as this node dials them.
    pub peers: BTreeSet<ControlEndpoint>,
    /// By backend.
    pub next_hops: BTreeMap<IpAddr, NextHop>,
}

/// Descriptors of what the kernel knows of the peers.
#[derive(Debug)]
pub struct Peers<F = OwnedFd> {
    pub set: F,
    /// `failsafe_bit`s of their ports.
    pub ports: F,
}

impl<F: AsFd> Peers<F> {
    pub fn ports(&self) -> Result<u64> {
        let elements = bpf::read_all(self.ports.as_fd()).context(|| "reading the peers' ports".into())?;
        Ok(elements.first().map_or(0, |(_, ports)| bytemuck::pod_read_unaligned(ports)))
    }

    fn write_ports(&self, ports: u64) -> Result<()> {
        bpf::update(self.ports.as_fd(), &0u32.to_ne_bytes(), &ports.to_ne_bytes())
            .context(|| "writing the peers' ports".into())
    }
}

/// 16 bytes in network order, IPv4 as `::ffff:a.b.c.d`.
pub fn address_bytes(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

impl Local {
    /// For each balancer of the plan, whether one of its backends is this node.
    pub fn decaps(&self, plan: &NodePlan) -> Vec<bool> {
        let ours = |backend: &IpAddr| self.addresses.contains(backend);
        plan.balancers
            .parts
            .iter()
            .map(|part| part.targets.iter().any(|target| ours(&target.backend)))
            .collect()
    }

    /// The tunnels that this node opens as a backend: from each balancer of the backend's family, and with an
    /// all-zero balancer the row that says it is a backend at all.
    pub fn decap_peers(&self, plan: &NodePlan) -> Vec<DecapPeer> {
        let mut peers = BTreeSet::new();
        for part in &plan.balancers.parts {
            for target in part.targets.iter().filter(|target| self.addresses.contains(&target.backend)) {
                let Some(vip) = part.vips.get(target.vip as usize) else { continue };
                let (backend, vip) = (address_bytes(target.backend), address_bytes(vip.address));
                let family = |balancer: &&IpAddr| balancer.is_ipv4() == target.backend.is_ipv4();
                let balancers =
                    plan.balancers.balancer_nodes.iter().filter(family).map(|node| address_bytes(*node));
                peers.extend(balancers.chain([[0; 16]]).map(|balancer| DecapPeer { balancer, backend, vip }));
            }
        }
        peers.into_iter().collect()
    }

    pub fn write_addresses(&self, map: BorrowedFd<'_>) -> Result<()> {
        let wanted = self.addresses.iter().map(|address| NodeAddress { address: address_bytes(*address) });
        write_set(map, &wanted.collect(), "node addresses")
    }

    /// The filter of ports always covers the set: it grows before it and shrinks after it.
    pub fn write_peers<F: AsFd>(&self, maps: &Peers<F>, plan: &[ControlEndpoint]) -> Result<()> {
        let wanted: BTreeSet<ControlPeer> =
            self.peers.iter().chain(plan).map(crate::readback::control_peer).collect();
        let ports = wanted.iter().fold(0, |ports, peer| ports | failsafe_bit(peer.port.into()));
        maps.write_ports(maps.ports()? | ports)?;
        write_set(maps.set.as_fd(), &wanted, "control peers")?;
        maps.write_ports(ports)
    }

    /// Fills in the next hop of every target; one that is not known yet stays unresolved.
    pub fn write_next_hops(&self, map: BorrowedFd<'_>, plan: &NodePlan) -> Result<()> {
        let targets = plan.balancers.parts.iter().flat_map(|part| &part.targets);
        for (index, target) in targets.enumerate() {
            let hop = self.next_hop(target.backend);
            bpf::update(map, &(index as u32).to_ne_bytes(), bytemuck::bytes_of(&hop))
                .context(|| format!("writing the next hop of {}", target.backend))?;
        }
        Ok(())
    }

    fn next_hop(&self, backend: IpAddr) -> NextHop {
        if self.addresses.contains(&backend) {
            return NextHop { state: HopState::Local as u8, ..NextHop::default() };
        }
        self.next_hops.get(&backend).copied().unwrap_or_default()
    }
}

/// Adds what is missing before it removes what is too much, so that what stays is never absent.
fn write_set<K: bytemuck::Pod + Ord>(map: BorrowedFd<'_>, wanted: &BTreeSet<K>, what: &str) -> Result<()> {
    let elements = bpf::read_all(map).context(|| format!("reading the {what}"))?;
    let present: BTreeSet<K> = elements.iter().map(|(key, _)| bytemuck::pod_read_unaligned(key)).collect();
    for key in wanted.difference(&present) {
        bpf::update(map, bytemuck::bytes_of(key), &[1]).context(|| format!("adding to the {what}"))?;
    }
    for key in present.difference(wanted) {
        bpf::delete(map, bytemuck::bytes_of(key)).context(|| format!("removing from the {what}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sluice_plan::{BalancerPart, Balancers, TargetRef, VipRef};

    use super::*;

    #[test]
    fn a_backend_opens_tunnels_of_its_family_only() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let part = BalancerPart {
            policy: Default::default(),
            balances: false,
            interfaces: Default::default(),
            vips: vec![VipRef { address: ip("203.0.113.1"), port: 80, protocol: 6, name: "http".into() }],
            targets: ["192.0.2.1", "192.0.2.2"]
                .map(|backend| TargetRef { vip: 0, backend: ip(backend), healthy: true })
                .into(),
            check: None,
        };
        let balancer_nodes = vec![ip("198.51.100.1"), ip("2001:db8::1")];
        let balancers = Balancers { parts: vec![part], balancer_nodes, ..Balancers::default() };
        let plan = NodePlan { balancers, ..NodePlan::default() };
        let local = Local { addresses: [ip("192.0.2.2")].into(), ..Local::default() };
        let peers = local.decap_peers(&plan);
        assert_eq!(local.decaps(&plan), [true]);
        let balancers: Vec<_> = peers.iter().map(|peer| peer.balancer).collect();
        assert_eq!(balancers, [[0; 16], address_bytes(ip("198.51.100.1"))]);
        assert!(peers.iter().all(|peer| peer.backend == address_bytes(ip("192.0.2.2"))));
    }
}
