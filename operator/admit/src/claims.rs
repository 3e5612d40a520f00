//! Who may have which virtual address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use sluice_plan::AddressPool;
use sluice_policy::Balancer;

/// Addresses that nobody may claim, and whose they are: `node edge-1`.
pub type Taken = BTreeMap<IpAddr, String>;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimRefused {
    #[error("{address}: claimed by the older {winner}: use another address, or remove it there")]
    Conflict { address: IpAddr, winner: String },
    #[error(
        "{address}: in no address pool that is granted to namespace {namespace}: ask who keeps the fleet configuration"
    )]
    NotGranted { address: IpAddr, namespace: String },
    #[error("{address}: belongs to {owner}: use another address")]
    InUse { address: IpAddr, owner: String },
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
pub fn refused_claims<'a>(
    claims: impl IntoIterator<Item = &'a Balancer>,
    pools: &[AddressPool],
    taken: &Taken,
) -> BTreeMap<String, ClaimRefused> {
    let mut order: Vec<&Balancer> = claims.into_iter().collect();
    order.sort_by_key(|balancer| (balancer.created, &balancer.object.namespace, &balancer.object.name));
    let (mut owners, mut refused) = (BTreeMap::new(), BTreeMap::new());
    for balancer in order {
        match claim(balancer, pools, taken, &owners) {
            Err(why) => drop(refused.insert(balancer.object.uid.clone(), why)),
            Ok(()) => {
                let object = &balancer.object;
                let name = format!("{}/{}/{}", object.kind, object.namespace, object.name);
                owners.extend(balancer.addresses.iter().map(|address| (*address, name.clone())));
            }
        }
    }
    refused
}

fn claim(
    balancer: &Balancer,
    pools: &[AddressPool],
    taken: &Taken,
    owners: &BTreeMap<IpAddr, String>,
) -> Result<(), ClaimRefused> {
    let namespace = &balancer.object.namespace;
    for &address in &balancer.addresses {
        if let Some(owner) = taken.get(&address) {
            return Err(ClaimRefused::InUse { address, owner: owner.clone() });
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
    to_namespace && pool.holds(address)
}
