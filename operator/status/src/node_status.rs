//! The API's status of a node: facts, never plan, hash or epoch.

use sluice_crds::{
    Condition, ForeignProgram, Nic, NicQueues, Softnet, XdpMode, XdpNodeStatus, condition_type, reason,
};
use sluice_proto::v1;

use crate::book::NodeState;
use crate::conditions::Conditions;

/// `steady` is the moment by the clock of the book.
pub fn node_status(
    node: &NodeState,
    previous: &[Condition],
    now: jiff::Timestamp,
    steady: i64,
) -> XdpNodeStatus {
    let mut conditions = Conditions::new(previous, 1, now);
    match &node.refused {
        _ if node.is_silent(steady) => {
            let message = "its agent does not answer; what it enforced last stays in force";
            conditions.set_unknown(condition_type::READY, reason::UNREACHABLE, message.to_owned());
        }
        Some((_, reason, detail)) => conditions.set(condition_type::READY, false, reason, detail.clone()),
        None => conditions.set(condition_type::READY, true, "Connected", "its agent answers".to_owned()),
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

#[cfg(test)]
mod tests {
    use sluice_proto::v1::Hello;

    use super::*;
    use crate::book::{Book, RETURN_MS, SILENCE_MS};

    fn ready(book: &Book, now: i64) -> (String, String) {
        let status = node_status(&book.nodes()["a"], &[], jiff::Timestamp::UNIX_EPOCH, now);
        (status.conditions[0].status.clone(), status.conditions[0].reason.clone())
    }

    #[test]
    fn who_is_silent_for_the_stated_time_is_unknown_and_never_ready() {
        let unknown = ("Unknown".to_owned(), "Unreachable".to_owned());
        let mut book = Book::default();
        book.connected("a", &Hello::default(), 0);
        assert_eq!(ready(&book, 60_000).0, "True", "the stream is open");
        book.disconnected("a", 60_000);
        assert_eq!(ready(&book, 60_000 + SILENCE_MS).0, "True", "it may be on its way to another replica");
        for later in [1, 1_000_000_000] {
            assert_eq!(ready(&book, 60_000 + SILENCE_MS + later), unknown);
        }
        // Known from before a restart of the operator, and not heard of since.
        let mut book = Book::default();
        book.expect("a", 0);
        assert!(!book.settled(RETURN_MS), "nothing is said of it yet");
        assert!(book.settled(RETURN_MS + 1));
        assert_eq!(ready(&book, RETURN_MS + 1), unknown);
    }
}
