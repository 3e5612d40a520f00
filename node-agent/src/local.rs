//! This node as the data plane must know it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use sluice_datapath::{LocalInterface, Refusal};
use sluice_netdev::{Facts, Needs, Nic, check};
use sluice_plan::NodePlan;

/// Every interface, with the reason why nothing may be attached where the card would hide packets from this plan.
pub fn interfaces(facts: &Facts, plan: &NodePlan) -> Vec<LocalInterface> {
    let balances = plan.balancers.parts.iter().any(|part| part.balances);
    facts.nics.iter().map(|nic| interface(nic, balances)).collect()
}

/// The node's own addresses. A VIP on the loopback of a backend is none: failsafe must not open it.
pub fn addresses(facts: &Facts, plan: &NodePlan) -> BTreeSet<IpAddr> {
    let vips: BTreeSet<IpAddr> = vips(plan).collect();
    let own = facts.addresses.iter().filter(|address| !address.vip).map(|address| address.address);
    own.filter(|address| !vips.contains(address)).collect()
}

/// VIPs of which this node is a backend.
pub fn served_vips(plan: &NodePlan, own: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
    let served = plan.balancers.parts.iter().flat_map(|part| {
        let targets = part.targets.iter().filter(|target| own.contains(&target.backend));
        targets.filter_map(|target| part.vips.get(target.vip as usize)).map(|vip| vip.address)
    });
    served.collect()
}

fn vips(plan: &NodePlan) -> impl Iterator<Item = IpAddr> {
    plan.balancers.parts.iter().flat_map(|part| &part.vips).map(|vip| vip.address)
}

fn interface(nic: &Nic, balances: bool) -> LocalInterface {
    // No rule matches tags yet; a balancer must send a frame back out with the tag that it came with.
    let needs = Needs { vlan_tags: balances && nic.vlan_devices, transmit: balances, multi_buffer: true };
    let findings = check(nic, needs);
    let detail = |finding: &sluice_netdev::Finding| format!("{}: run `{}`", finding.detail, finding.command);
    let refusal = findings.first().map(|first| Refusal {
        reason: first.reason.into(),
        detail: findings.iter().map(detail).collect::<Vec<_>>().join("; "),
    });
    LocalInterface {
        name: nic.name.clone(),
        ifindex: nic.index,
        default_route: nic.default_route,
        mtu: nic.mtu,
        refusal,
    }
}

#[cfg(test)]
mod tests {
    use sluice_netdev::NodeAddr;
    use sluice_plan::{BalancerPart, Balancers, TargetRef, VipRef};

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn plan(balances: bool) -> NodePlan {
        let part = BalancerPart {
            policy: Default::default(),
            balances,
            interfaces: Default::default(),
            vips: vec![
                VipRef { address: ip("203.0.113.10"), port: 80, protocol: 6, name: "http".into() },
                VipRef { address: ip("203.0.113.11"), port: 80, protocol: 6, name: "http".into() },
            ],
            targets: vec![TargetRef { vip: 1, backend: ip("192.0.2.7"), healthy: true }],
            check: None,
        };
        NodePlan { balancers: Balancers { parts: vec![part], ..Balancers::default() }, ..NodePlan::default() }
    }

    fn trunk() -> Nic {
        Nic { name: "eth0".into(), vlan_devices: true, vlan_stripping: Some(true), ..Nic::default() }
    }

    #[test]
    fn a_stripping_trunk_refuses_balancers_only() {
        let facts = Facts { nics: vec![trunk()], ..Facts::default() };
        let refusal = interfaces(&facts, &plan(true))[0].refusal.clone().expect("refused");
        assert_eq!(refusal.reason, "VlanTagsStripped");
        assert!(refusal.detail.contains("`ethtool -K eth0 rxvlan off`"), "{}", refusal.detail);
        assert_eq!(interfaces(&facts, &plan(false))[0].refusal, None);
    }

    #[test]
    fn vips_are_no_addresses_of_the_node() {
        let address = |text, vip| NodeAddr { index: 1, address: ip(text), global: true, vip };
        let addresses =
            [address("192.0.2.7", false), address("203.0.113.10", false), address("198.51.100.1", true)];
        let own = super::addresses(&Facts { addresses: addresses.into(), ..Facts::default() }, &plan(true));
        assert_eq!(own, [ip("192.0.2.7")].into());
        assert_eq!(served_vips(&plan(true), &own), [ip("203.0.113.11")].into());
    }
}
