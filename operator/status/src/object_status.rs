//! The API's status of filters and balancers.

use sluice_crds::{
    BackendHealth, BackendStatus, Condition, DroppedSummary, FailingNode, NodeSummary, PortStatus,
    XdpFilterStatus, XdpLoadBalancerStatus,
};

use crate::conditions::Conditions;
use crate::policy::{Placed, PolicyState};

/// Room that the schema gives a failing node's message.
const MESSAGE_CHARS: usize = 1024;

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
        dropped: (state.dropped_packets > 0).then(|| DroppedSummary {
            packets: state.dropped_packets,
            per_second: state.dropped_per_second.round() as u64,
            observed_at: now.to_string(),
        }),
    }
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

fn node_summary(state: &PolicyState) -> NodeSummary {
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
