use std::collections::BTreeSet;
use std::net::IpAddr;

use sluice_balance::Rings;
use sluice_plan::Failsafe;
use sluice_policy::{Balancer, Filter};

/// Everything that the nodes of one class have to enforce, in any order.
#[derive(Clone, Debug, Default)]
pub struct ClassInput<'a> {
    pub filters: Vec<&'a Filter>,
    pub balancers: Vec<BalancerInput<'a>>,
    pub failsafe: Failsafe,
    /// Addresses of every node that balances: the outer sources that nodes with backends accept.
    pub balancer_nodes: BTreeSet<IpAddr>,
}

/// A balancer that the class balances for or has backends of.
#[derive(Clone, Debug)]
pub struct BalancerInput<'a> {
    pub balancer: &'a Balancer,
    /// The nodes balance for it; otherwise they only have backends of it.
    pub balances: bool,
    /// The agreed ring of each virtual address ([`sluice_balance::repair_all`]).
    pub rings: &'a Rings,
    /// Backends that are known not to answer.
    pub unhealthy: BTreeSet<IpAddr>,
}
