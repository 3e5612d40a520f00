//! Who may have which virtual address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use sluice_plan::AddressPool;
use sluice_policy::Balancer;

/// One balancer's wish for its addresses.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    pub balancer: &'a Balancer,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimRefused {
    #[error("{address}: claimed by the older {winner}: use another address, or remove it there")]
    Conflict { address: IpAddr, winner: String },
    #[error(
        "{address}: in no address pool that is granted to namespace {namespace}: ask who keeps the fleet configuration"
    )]
    NotGranted { address: IpAddr, namespace: String },
    #[error("{address}: the address of a node or of a control endpoint: use another address")]
    InUse { address: IpAddr },
}

impl ClaimRefused {
    /// As conditions name it.
    pub fn reason(&self) -> &'static str {
        match self {
            ClaimRefused::Conflict { .. } => sluice_crds::reason::CONFLICT,
            ClaimRefused::NotGranted { .. } => sluice_crds::reason::ADDRESS_NOT_GRANTED,
            ClaimRefused::InUse { .. } => sluice_crds::reason::ADDRESS_IN_USE,
        }
    }
}

/// The balancers (by uid) that may not have what they claim. Of two claims on one address the older wins, then the one
/// whose namespace and name come first.
pub fn refused_claims(
    claims: &[Claim<'_>],
    pools: &[AddressPool],
    taken: &BTreeSet<IpAddr>,
) -> BTreeMap<String, ClaimRefused> {
    let mut order: Vec<&Balancer> = claims.iter().map(|claim| claim.balancer).collect();
    order.sort_by_key(|balancer| (balancer.created, &balancer.object.namespace, &balancer.object.name));
    let (mut owners, mut refused) = (BTreeMap::new(), BTreeMap::new());
    for balancer in order {
        match claim(balancer, pools, taken, &owners) {
            Err(why) => drop(refused.insert(balancer.object.uid.clone(), why)),
            Ok(()) => {
                let name = format!("{}/{}", balancer.object.namespace, balancer.object.name);
                owners.extend(balancer.addresses.iter().map(|address| (*address, name.clone())));
            }
        }
    }
    refused
}

fn claim(
    balancer: &Balancer,
    pools: &[AddressPool],
    taken: &BTreeSet<IpAddr>,
    owners: &BTreeMap<IpAddr, String>,
) -> Result<(), ClaimRefused> {
    let namespace = &balancer.object.namespace;
    for &address in &balancer.addresses {
        if taken.contains(&address) {
            return Err(ClaimRefused::InUse { address });
        }
        if !pools.iter().any(|pool| grants(pool, namespace, address)) {
            return Err(ClaimRefused::NotGranted { address, namespace: namespace.clone() });
        }
        if let Some(winner) = owners.get(&address) {
            return Err(ClaimRefused::Conflict { address, winner: winner.clone() });
        }
    }
    Ok(())
}

fn grants(pool: &AddressPool, namespace: &str, address: IpAddr) -> bool {
    let to_namespace =
        pool.namespaces.is_empty() || pool.namespaces.iter().any(|granted| granted == namespace);
    let holds = |prefix: &String| prefix.parse::<IpNet>().is_ok_and(|prefix| prefix.contains(&address));
    to_namespace && pool.prefixes.iter().any(holds)
}
