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

/// What a balancer asks for.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    pub newest: &'a Balancer,
    /// The version that nodes balance by.
    pub in_force: Option<&'a Balancer>,
}

/// By uid.
#[derive(Debug, Default)]
pub struct Grants<'a> {
    /// Versions that may have what they claim, at most one of each balancer.
    pub granted: BTreeMap<&'a str, &'a Balancer>,
    /// Why the newest version may not.
    pub refused: BTreeMap<&'a str, ClaimRefused>,
}

/// Of two claims on one address the older wins, then the one whose namespace and name come first. Where the newest version
/// of a balancer is refused, the one in force keeps its addresses, if it may have them still.
pub fn grant_claims<'a>(
    claims: impl IntoIterator<Item = Claim<'a>>,
    pools: &[AddressPool],
    taken: &Taken,
) -> Grants<'a> {
    let mut order: Vec<Claim> = claims.into_iter().collect();
    let age = |balancer: &'a Balancer| (balancer.created, &balancer.object.namespace, &balancer.object.name);
    order.sort_by_key(|claim| age(claim.newest));
    let (mut owners, mut grants) = (BTreeMap::new(), Grants::default());
    for Claim { newest, in_force } in order {
        let uid = newest.object.uid.as_str();
        let mut granted = Some(newest);
        if let Err(why) = check(newest, pools, taken, &owners) {
            grants.refused.insert(uid, why);
            granted = in_force.filter(|earlier| check(earlier, pools, taken, &owners).is_ok());
        }
        if let Some(balancer) = granted {
            let object = &balancer.object;
            let name = format!("{}/{}/{}", object.kind, object.namespace, object.name);
            owners.extend(balancer.addresses.iter().map(|address| (*address, name.clone())));
            grants.granted.insert(uid, balancer);
        }
    }
    grants
}

fn check(
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
