//! All that a node's verdict on one packet depends on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use sluice_address_set::AddressSet;
use sluice_policy::{Balancer, Filter, Hook};

use crate::connection::Connection;
use crate::packet::Packet;

/// What is in each address set, by name.
pub type Sets = BTreeMap<String, AddressSet>;

/// The policies and the surroundings of one node. Nothing in it changes from packet to packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// In any order.
    pub filters: Vec<Filter>,
    /// Where packets are looked at: filters of other hooks have no part in it, nor has the balancer but in XDP.
    pub hook: Hook,
    pub services: Vec<Service>,
    /// `None`: nothing is exempt from the rules.
    pub failsafe: Option<Failsafe>,
    /// The node's own addresses; one that is also a VIP counts as a VIP.
    pub node_addresses: Vec<IpAddr>,
    /// Interfaces of the node's default routes.
    pub default_route: Vec<String>,
    /// Of the node's own, for filters that let their packets be.
    pub connections: BTreeSet<Connection>,
    /// Every set that the filters name: whoever builds the world refuses filters that name others.
    pub sets: Sets,
}

/// A balancer and those of its backends that are up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub balancer: Balancer,
    /// Addresses of healthy backends.
    pub healthy: Vec<IpAddr>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failsafe {
    pub ports: Vec<FailsafePort>,
    /// Whether the packet's source is within the rate; above it the rules judge failsafe ports.
    pub within_rate: bool,
    pub control_peers: Vec<ControlPeer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailsafePort {
    pub port: u16,
    /// 6 TCP, 17 UDP.
    pub protocol: u8,
    /// Who reaches it; empty = everybody.
    pub sources: Vec<IpNet>,
}

/// A remote TCP endpoint of the control plane or of routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlPeer {
    pub address: IpAddr,
    pub port: u16,
}

impl Service {
    /// A balancer without health checks: all backends are up.
    pub fn all_healthy(balancer: Balancer) -> Service {
        let healthy = balancer.backends.iter().map(|backend| backend.address).collect();
        Service { balancer, healthy }
    }
}

impl World {
    /// Whether the address is this node's own and no VIP.
    pub(crate) fn is_own(&self, address: IpAddr) -> bool {
        self.node_addresses.contains(&address) && !self.is_vip(address)
    }

    /// Whether a connection of the node's own takes the packet.
    pub(crate) fn is_established(&self, packet: &Packet) -> bool {
        Connection::of(packet).is_some_and(|connection| self.connections.contains(&connection))
    }

    fn is_vip(&self, address: IpAddr) -> bool {
        self.services.iter().any(|service| service.balancer.addresses.contains(&address))
    }
}
