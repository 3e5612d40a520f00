//! The balancers of a plan and their tables.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Interfaces, PolicyRef};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balancers {
    pub parts: Vec<BalancerPart>,
    pub tables: BalancerTables,
    /// Addresses of every node that balances: outer sources that a backend's node opens tunnels from.
    pub balancer_nodes: Vec<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalancerPart {
    pub policy: PolicyRef,
    /// Whether nodes of this class balance for it; otherwise the class only has backends of it.
    pub balances: bool,
    pub interfaces: Interfaces,
    pub vips: Vec<VipRef>,
    pub targets: Vec<TargetRef>,
    pub check: Option<HealthCheck>,
}

/// Position in this list + the part's offset = `Vip::slot`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VipRef {
    pub address: IpAddr,
    pub port: u16,
    pub protocol: u8,
    /// Name of the port in the object.
    pub name: String,
}

/// One (VIP, backend); its index over all parts is the ring's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRef {
    /// Index into the part's `vips`.
    pub vip: u32,
    pub backend: IpAddr,
    /// Takes ring slots now (weight above 0 and healthy).
    pub healthy: bool,
}

/// A TCP connect; times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    pub port: u16,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    pub rise: u32,
    pub fall: u32,
}

/// Contents of the kernel's tables, as in [`crate::FilterTables`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalancerTables {
    /// `[(VipKey, Vip)]`, sorted by key.
    pub vips: Vec<u8>,
    /// `[u32]`: target of each slot, or `NO_TARGET`.
    pub ring: Vec<u8>,
    /// `[Target]`.
    pub targets: Vec<u8>,
}
