//! Next hops of the backends that this node balances to, kept resolved and kept fresh.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sluice_abi::{Address, HopState, NextHop};
use sluice_netdev::{Hop, Netlink, Unresolved};
use sluice_plan::NodePlan;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::kernel::Kernel;

/// A quiet neighbour is asked again before its entry grows old.
const FRESH: Duration = Duration::from_secs(3);
/// While one has not answered yet.
const WAITING: Duration = Duration::from_millis(200);
/// Between two rounds, however many events come.
const LEAST: Duration = Duration::from_millis(50);

/// Until the plan's channel ends.
///
/// # Errors
/// When the data plane's thread ended.
pub async fn keep(
    kernel: Kernel,
    netlink: Netlink,
    mut plan: watch::Receiver<Arc<NodePlan>>,
    mut paths: watch::Receiver<()>,
) -> anyhow::Result<()> {
    let mut told = BTreeMap::new();
    loop {
        let backends = backends(&plan.borrow_and_update());
        paths.mark_unchanged();
        let (hops, all) = resolve(&netlink, &backends).await;
        if hops != told {
            let next_hops = hops.clone();
            if let Err(error) = kernel.call(move |datapath| datapath.set_next_hops(next_hops)).await? {
                tracing::error!(%error, "next hops could not be set");
            } else {
                told = hops;
            }
        }
        let pause = if all { FRESH } else { WAITING };
        sleep(LEAST).await;
        tokio::select! {
            changed = plan.changed() => if changed.is_err() { return Ok(()) },
            Ok(()) = paths.changed(), if !backends.is_empty() => {}
            () = sleep(pause), if !backends.is_empty() => {}
        }
    }
}

fn backends(plan: &NodePlan) -> BTreeSet<IpAddr> {
    let balancing = plan.balancers.parts.iter().filter(|part| part.balances);
    balancing.flat_map(|part| &part.targets).map(|target| target.backend).collect()
}

/// What is known, and whether nothing is still being asked.
async fn resolve(netlink: &Netlink, backends: &BTreeSet<IpAddr>) -> (BTreeMap<IpAddr, NextHop>, bool) {
    let mut hops = BTreeMap::new();
    let mut all = true;
    for backend in backends {
        match netlink.hop(*backend).await {
            Ok(Ok(hop)) => _ = hops.insert(*backend, next_hop(&hop)),
            // The data plane knows this node's own addresses.
            Ok(Err(Unresolved::Local)) => {}
            Ok(Err(unresolved)) => {
                tracing::debug!(%backend, "no next hop: {unresolved}");
                all &= unresolved != Unresolved::Asked;
            }
            Err(error) => tracing::warn!(%backend, %error, "no next hop"),
        }
    }
    (hops, all)
}

fn next_hop(hop: &Hop) -> NextHop {
    NextHop {
        source: address(hop.source),
        destination_mac: hop.destination_mac,
        source_mac: hop.source_mac,
        ifindex: hop.index,
        mtu: hop.mtu.try_into().unwrap_or(u16::MAX),
        state: HopState::Resolved as u8,
        reserved: 0,
    }
}

fn address(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_in_the_kernels_form() {
        let hop = Hop {
            index: 3,
            source: "192.0.2.1".parse().expect("an address"),
            source_mac: [1; 6],
            destination_mac: [2; 6],
            mtu: 70_000,
        };
        let next = next_hop(&hop);
        assert_eq!(next.source, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]);
        assert_eq!((next.mtu, next.state, next.ifindex), (u16::MAX, HopState::Resolved as u8, 3));
    }
}
