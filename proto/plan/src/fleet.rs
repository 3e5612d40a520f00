//! Fleet configuration: what authors of policies cannot change.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Read from the chart's values or, in directory mode, from `fleet.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Fleet {
    pub failsafe: Failsafe,
    pub address_pools: Vec<AddressPool>,
    /// Where feeds of address sets may be fetched from although it is inside: elsewhere only public addresses are.
    pub feed_targets: Vec<FeedTarget>,
}

/// Addresses that the operator may fetch feeds from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedTarget {
    /// As `10.1.0.0/16`.
    pub prefix: String,
    /// Empty = every port.
    pub ports: Vec<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Failsafe {
    /// Local ports that stay reachable at a node's own addresses that are no VIP (at most 8).
    pub ports: Vec<FailsafeEntry>,
    /// Packets per second of one source above which the rules apply again.
    pub packets_per_second: u32,
    /// Packets that a quiet source may send at once.
    pub burst: u32,
    /// Remote endpoints whose replies (this address, this source port, ACK set) are always let in.
    pub control_endpoints: Vec<ControlEndpoint>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailsafeEntry {
    pub port: u16,
    /// 6 TCP, 17 UDP.
    pub protocol: u8,
    /// Who reaches the port: an empty list is everybody (at most 32 prefixes over all ports).
    #[serde(default)]
    pub sources: Vec<IpNet>,
}

impl FailsafeEntry {
    /// Reached by everybody.
    pub fn open(port: u16, protocol: u8) -> FailsafeEntry {
        FailsafeEntry { port, protocol, sources: Vec::new() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlEndpoint {
    pub address: IpAddr,
    pub port: u16,
}

/// VIPs that balancers of the named namespaces may claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AddressPool {
    pub name: String,
    /// Prefixes, as `203.0.113.0/24`.
    pub prefixes: Vec<String>,
    /// Empty = every namespace.
    pub namespaces: Vec<String>,
}

impl AddressPool {
    pub fn holds(&self, address: IpAddr) -> bool {
        let holds = |prefix: &String| prefix.parse::<IpNet>().is_ok_and(|prefix| prefix.contains(&address));
        self.prefixes.iter().any(holds)
    }
}

impl Default for Failsafe {
    /// SSH, kubelet, API server and the operator's port, at 1,000 packets per second and source.
    fn default() -> Self {
        Failsafe {
            ports: [22, 10250, 6443, 9443].map(|port| FailsafeEntry::open(port, 6)).to_vec(),
            packets_per_second: 1000,
            burst: 2000,
            control_endpoints: Vec::new(),
        }
    }
}
