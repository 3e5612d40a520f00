//! The API's status of filters and balancers.

use std::collections::BTreeMap;

use sluice_crds::{
    BackendHealth, BackendStatus, Condition, DroppedSummary, FailingNode, FilterWarning, InterfaceSummary,
    MAX_WARNINGS, NodeSummary, PortStatus, XdpFilterStatus, XdpLoadBalancerStatus,
};
use sluice_lint::Warning;

use crate::conditions::Conditions;
use crate::policy::{NodeNote, Placed, PolicyState};
use crate::rolling::rollout_status;

/// Room that the schema gives the message of a failing node and of a warning.
pub(crate) const MESSAGE_CHARS: usize = 1024;

pub fn filter_status(
    placed: &Placed,
    state: &PolicyState,
    previous: &[Condition],
    now: jiff::Timestamp,
) -> XdpFilterStatus {
    XdpFilterStatus {
        observed_generation: Some(placed.generation),
        conditions: Conditions::new(previous, placed.generation, now).of_policy(placed, state),
        hash: placed.hash.map(|hash| hash.short()),
        rules: Some(placed.rules),
        nodes: Some(node_summary(state)),
        interfaces: interface_summary(state),
        rollout: placed.rolling.as_ref().map(rollout_status),
        dropped: (state.dropped_packets > 0).then(|| DroppedSummary {
            packets: state.dropped_packets,
            per_second: state.dropped_per_second.round() as u64,
            observed_at: now.to_string(),
        }),
        warnings: warnings(&placed.warnings, &state.notes),
    }
}

/// What nodes say comes first: nothing else tells it. The last place is for the number of those that have none.
fn warnings(found: &[Warning], notes: &BTreeMap<String, NodeNote>) -> Vec<FilterWarning> {
    let room = MAX_WARNINGS.saturating_sub(notes.len());
    let shown = if found.len() > room { room.saturating_sub(1) } else { found.len() };
    let warning = |rule: Option<String>, reason: String, message: &str| FilterWarning {
        rule,
        reason,
        message: message.chars().take(MESSAGE_CHARS).collect(),
    };
    let notes = notes.iter().map(|(reason, note)| warning(None, reason.clone(), &note.to_string()));
    let of_rules = found[..shown]
        .iter()
        .map(|found| warning(found.rule.clone(), found.reason.to_string(), &found.message));
    let mut warnings: Vec<FilterWarning> = notes.chain(of_rules).collect();
    if found.len() > shown {
        let message = format!("and {} more: kubectl sluice lint -f shows all", found.len() - shown);
        warnings.push(FilterWarning { rule: None, reason: "More".to_owned(), message });
    }
    warnings
}

pub fn balancer_status(
    placed: &Placed,
    state: &PolicyState,
    previous: &[Condition],
    now: jiff::Timestamp,
) -> XdpLoadBalancerStatus {
    let port = |(name, healthy, total): &(String, u32, u32)| PortStatus {
        name: name.clone(),
        healthy: *healthy,
        total: *total,
    };
    XdpLoadBalancerStatus {
        observed_generation: Some(placed.generation),
        conditions: Conditions::new(previous, placed.generation, now).of_policy(placed, state),
        hash: placed.hash.map(|hash| hash.short()),
        healthy: placed.ports.first().map(|(_, healthy, total)| format!("{healthy}/{total}")),
        nodes: Some(node_summary(state)),
        interfaces: interface_summary(state),
        ports: placed.ports.iter().map(port).collect(),
        backends: placed.backends.iter().map(backend_status).collect(),
        oversize_packets: (state.oversize > 0).then_some(state.oversize),
    }
}

fn backend_status((address, healthy, message): &(String, Option<bool>, String)) -> BackendStatus {
    BackendStatus {
        address: address.clone(),
        health: match healthy {
            Some(true) => BackendHealth::Healthy,
            Some(false) => BackendHealth::Unhealthy,
            None => BackendHealth::Unknown,
        },
        message: (!message.is_empty()).then(|| message.chars().take(256).collect()),
    }
}

fn interface_summary(state: &PolicyState) -> Option<InterfaceSummary> {
    let PolicyState { interfaces_desired: desired, interfaces_ready: ready, .. } = *state;
    (desired > 0).then_some(InterfaceSummary { desired, ready })
}

pub(crate) fn node_summary(state: &PolicyState) -> NodeSummary {
    NodeSummary {
        desired: state.desired,
        accepted: state.desired - state.rejected - state.unreachable,
        programmed: state.programmed,
        rejected: state.rejected,
        unreachable: state.unreachable,
        summary: format!("{}/{}", state.programmed, state.desired),
        failing: state
            .failing
            .iter()
            .map(|(node, reason, message)| FailingNode {
                node: node.clone(),
                reason: reason.clone(),
                message: message.chars().take(MESSAGE_CHARS).collect(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use sluice_lint::Reason;

    use super::*;

    #[test]
    fn warnings_without_room_are_counted() {
        let warning = |index: usize| Warning {
            rule: Some(format!("r{index}")),
            reason: Reason::Shadowed,
            message: "x".repeat(2 * MESSAGE_CHARS),
        };
        let none = BTreeMap::new();
        let said = |count: usize| warnings(&(0..count).map(warning).collect::<Vec<_>>(), &none);
        assert_eq!(said(16).len(), 16);
        assert_eq!(said(16)[15].reason, "Shadowed");
        let many = said(40);
        assert_eq!((many.len(), many[15].reason.as_str()), (16, "More"));
        assert!(many[15].message.starts_with("and 25 more"), "{}", many[15].message);
        assert_eq!(many[0].message.chars().count(), MESSAGE_CHARS);
        let note = NodeNote { node: "edge-1".to_owned(), ..NodeNote::default() };
        let noted = warnings(&[0, 1].map(warning), &[("MarkNotPossible".to_owned(), note)].into());
        let reasons: Vec<&str> = noted.iter().map(|warning| warning.reason.as_str()).collect();
        assert_eq!(reasons, ["MarkNotPossible", "Shadowed", "Shadowed"]);
    }
}
