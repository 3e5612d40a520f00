//! The rings of a whole balancer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sluice_policy::Balancer;

use crate::hash;
use crate::repair::{Weighted, repair};
use crate::ring::Ring;

/// A virtual address with the port and protocol that are balanced on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Vip {
    pub address: IpAddr,
    pub port: u16,
    /// 6 TCP, 17 UDP.
    pub protocol: u8,
}

/// The rings that replicas have agreed on.
pub type Rings = BTreeMap<Vip, Ring>;

impl fmt::Display for Vip {
    /// As counters name it: `203.0.113.10:443/TCP`, `[2001:db8::10]:443/UDP`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = std::net::SocketAddr::new(self.address, self.port);
        write!(f, "{address}/{}", if self.protocol == 17 { "UDP" } else { "TCP" })
    }
}

/// The virtual addresses of a balancer: each address with each port, in the object's order.
pub fn vips(balancer: &Balancer) -> impl Iterator<Item = Vip> + '_ {
    balancer.addresses.iter().flat_map(|&address| {
        balancer.ports.iter().map(move |port| Vip { address, port: port.port, protocol: port.protocol })
    })
}

/// Repairs every ring of a balancer; what `previous` holds for other virtual addresses is not carried over.
/// A backend serves the virtual addresses of its own family.
pub fn repair_all(previous: &Rings, balancer: &Balancer, unhealthy: &BTreeSet<IpAddr>) -> Rings {
    let ring = |vip: Vip| {
        let backends: Vec<Weighted> = balancer
            .backends
            .iter()
            .filter(|backend| backend.address.is_ipv4() == vip.address.is_ipv4())
            .filter(|backend| !unhealthy.contains(&backend.address))
            .map(|backend| (backend.address, backend.weight))
            .collect();
        (vip, repair(previous.get(&vip), seed(vip), &backends, balancer.slots))
    };
    vips(balancer).map(ring).collect()
}

fn seed(vip: Vip) -> u64 {
    hash::mix(hash::address(0, vip.address) ^ (u64::from(vip.port) << 8 | u64::from(vip.protocol)))
}
