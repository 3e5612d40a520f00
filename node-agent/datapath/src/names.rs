//! What each entry, VIP and target of a plan is called in counters.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use sluice_abi::{DEFAULT_ENTRY, ESTABLISHED_ENTRY, Entry, EntryAction, MALFORMED_ENTRY};
use sluice_plan::{BalancerPart, FilterPart, NodePlan, VipRef};

use crate::error::{Error, Result};
use crate::slots::SlotKey;
use crate::{sets, tables};

/// The owners of a plan's counters, in the order of the kernel's slot tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// By entry.
    pub entries: Vec<SlotKey>,
    /// By `Vip::slot`.
    pub vips: Vec<SlotKey>,
    /// By target.
    pub targets: Vec<SlotKey>,
    /// By limit: rules, which count as entries too.
    pub limits: Vec<SlotKey>,
    /// By the bit of a set.
    pub sets: Vec<SlotKey>,
}

impl Names {
    pub fn of(plan: &NodePlan) -> Result<Names> {
        let entries: Vec<Entry> = tables::elements("entries", &plan.filters.tables.entries)?;
        let mut names = Names { entries: entry_names(&plan.filters.parts, &entries)?, ..Names::default() };
        let limiting = |entry: &Entry| entry.action == EntryAction::RateLimit as u8;
        let mut limits: Vec<_> =
            entries.iter().zip(&names.entries).filter(|(entry, _)| limiting(entry)).collect();
        limits.sort_by_key(|(entry, _)| entry.setting);
        // A rule of several entries has one.
        limits.dedup_by_key(|(entry, _)| entry.setting);
        names.limits = limits.into_iter().map(|(_, name)| name.clone()).collect();
        names.sets = plan.sets.iter().map(|name| sets::key(name)).collect();
        for part in &plan.balancers.parts {
            names.vips.extend(part.vips.iter().map(|vip| key(&part.policy.uid, vip_name(vip))));
            for target in &part.targets {
                names.targets.push(key(&part.policy.uid, target_name(part, target.vip, target.backend)?));
            }
        }
        Ok(names)
    }

    pub fn all(&self) -> BTreeSet<SlotKey> {
        self.entries.iter().chain(&self.vips).chain(&self.targets).cloned().collect()
    }

    /// Rules that limit a rate.
    pub fn limiting(&self) -> BTreeSet<SlotKey> {
        self.limits.iter().cloned().collect()
    }
}

/// The name of one entry of a filter.
pub fn entry_name(part: &FilterPart, entry: &Entry) -> Option<String> {
    match entry.rule {
        DEFAULT_ENTRY => Some("_default".into()),
        MALFORMED_ENTRY => Some("_malformed".into()),
        ESTABLISHED_ENTRY => Some("_established".into()),
        rule => part.rules.get(usize::from(rule)).cloned(),
    }
}

fn entry_names(parts: &[FilterPart], entries: &[Entry]) -> Result<Vec<SlotKey>> {
    entries
        .iter()
        .map(|entry| {
            let part = parts.get(usize::from(entry.filter));
            let name = part.and_then(|part| Some(key(&part.policy.uid, entry_name(part, entry)?)));
            name.ok_or_else(|| Error::InvalidPlan {
                table: "entries",
                detail: format!("{entry:?} has no rule"),
            })
        })
        .collect()
}

fn target_name(part: &BalancerPart, vip: u32, backend: IpAddr) -> Result<String> {
    let vip = part.vips.get(vip as usize).ok_or_else(|| Error::InvalidPlan {
        table: "targets",
        detail: format!("backend {backend} of {} names VIP {vip}, which is not there", part.policy.name),
    })?;
    Ok(format!("{}>{backend}", vip_name(vip)))
}

fn vip_name(vip: &VipRef) -> String {
    let protocol = match vip.protocol {
        6 => "TCP".into(),
        17 => "UDP".into(),
        other => other.to_string(),
    };
    format!("{}/{protocol}", SocketAddr::new(vip.address, vip.port))
}

fn key(policy: &str, name: String) -> SlotKey {
    SlotKey { policy: policy.into(), name }
}

#[cfg(test)]
mod tests {
    use sluice_plan::{Balancers, PolicyRef, TargetRef};

    use super::*;

    #[test]
    fn vips_and_backends_of_both_families_have_names() {
        let vip = |address: &str, protocol| VipRef {
            address: address.parse().expect("an address"),
            port: 443,
            protocol,
            name: "https".into(),
        };
        let part = BalancerPart {
            policy: PolicyRef { uid: "u".into(), ..PolicyRef::default() },
            balances: true,
            interfaces: Default::default(),
            vips: vec![vip("192.0.2.10", 6), vip("2001:db8::10", 17)],
            targets: vec![TargetRef {
                vip: 1,
                backend: "2001:db8::1".parse().expect("an address"),
                healthy: true,
            }],
            check: None,
        };
        let balancers = Balancers { parts: vec![part], ..Balancers::default() };
        let names = Names::of(&NodePlan { balancers, ..NodePlan::default() }).expect("a sound plan");
        assert_eq!(names.vips[0].name, "192.0.2.10:443/TCP");
        assert_eq!(names.vips[1].name, "[2001:db8::10]:443/UDP");
        assert_eq!(names.targets[0].name, "[2001:db8::10]:443/UDP>2001:db8::1");
    }
}
