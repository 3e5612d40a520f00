//! The API's status of a node: facts, never plan, hash or epoch.

use sluice_crds::{
    Condition, ForeignProgram, Nic, NicQueues, Softnet, XdpMode, XdpNodeStatus, condition_type,
};
use sluice_proto::v1;

use crate::book::NodeState;
use crate::conditions::Conditions;

pub fn node_status(node: &NodeState, previous: &[Condition], now: jiff::Timestamp) -> XdpNodeStatus {
    let mut conditions = Conditions::new(previous, 1, now);
    match (node.connected, &node.refused) {
        (false, _) => conditions.set(
            condition_type::READY,
            false,
            "Unreachable",
            "its agent does not answer".to_owned(),
        ),
        (true, Some((_, reason, detail))) => {
            conditions.set(condition_type::READY, false, reason, detail.clone())
        }
        (true, None) => {
            conditions.set(condition_type::READY, true, "Connected", "its agent answers".to_owned())
        }
    }
    XdpNodeStatus {
        conditions: conditions.finish(),
        kernel: node.capabilities.as_ref().and_then(|takes| known(&takes.kernel)),
        agent_version: known(&node.version),
        nics: node.facts.nics.iter().map(nic).collect(),
        // Counters are metrics; only a number that says something is broken belongs here.
        softnet: (node.facts.softnet_dropped > 0).then_some(Softnet {
            dropped: node.facts.softnet_dropped,
            time_squeeze: node.facts.softnet_time_squeeze,
        }),
    }
}

fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn some_if_counted(value: u64) -> Option<u64> {
    (value > 0).then_some(value)
}

fn nic(nic: &v1::Nic) -> Nic {
    Nic {
        name: nic.name.clone(),
        driver: known(&nic.driver),
        speed_mbps: (nic.speed_mbps > 0).then_some(nic.speed_mbps),
        mtu: Some(nic.mtu),
        queues: (nic.rx_queues > 0).then_some(NicQueues { rx: nic.rx_queues, tx: nic.tx_queues }),
        xdp_mode: xdp_mode(&nic.xdp_mode),
        xdp_features: nic.xdp_features.clone(),
        vlan_stripping: Some(nic.vlan_stripping),
        lro: Some(nic.lro),
        rx_dropped: some_if_counted(nic.rx_dropped),
        rx_errors: some_if_counted(nic.rx_errors),
        rx_fcs_errors: some_if_counted(nic.rx_fcs_errors),
        link_flaps: some_if_counted(nic.link_flaps),
        foreign_program: nic.foreign.as_ref().and_then(|foreign| {
            Some(ForeignProgram {
                id: foreign.id,
                mode: xdp_mode(&foreign.mode)?,
                name: known(&foreign.name),
            })
        }),
    }
}

fn xdp_mode(text: &str) -> Option<XdpMode> {
    match text {
        "native" => Some(XdpMode::Native),
        "generic" => Some(XdpMode::Generic),
        "offload" => Some(XdpMode::Offload),
        _ => None,
    }
}
