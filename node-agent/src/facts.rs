//! What the node is, in the protocol's words.

use std::collections::BTreeMap;

use sluice_datapath::{Applied, Attached, LinkMode, attached};
use sluice_netdev::{Facts, Nic};
use sluice_plan::Hook;
use sluice_proto::v1;

/// Our own program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ours {
    pub program_id: u32,
    pub mode: &'static str,
}

/// `ours` says in which mode our program runs, by interface index.
pub fn node_facts(facts: &Facts, ours: &BTreeMap<u32, Ours>) -> v1::NodeFacts {
    let global = facts.addresses.iter().filter(|address| address.global && !address.vip);
    let softnet = facts.softnet.unwrap_or_default();
    v1::NodeFacts {
        nics: facts.nics.iter().map(|card| nic(card, ours.get(&card.index))).collect(),
        addresses: global.map(|address| address.address.to_string()).collect(),
        softnet_dropped: softnet.dropped,
        softnet_time_squeeze: softnet.time_squeeze,
    }
}

/// Our programs by interface index, as the last apply left them.
pub fn ours(applied: Option<&Applied>) -> BTreeMap<u32, Ours> {
    let interfaces = applied.iter().flat_map(|applied| &applied.interfaces);
    let attached =
        interfaces.filter_map(|interface| Some((interface.ifindex, interface.attachment.as_ref()?)));
    attached
        .filter(|(_, attachment)| attachment.mode.hook() == Hook::Xdp)
        .map(|(index, attachment)| {
            (index, Ours { program_id: attachment.program_id, mode: mode(attachment.mode) })
        })
        .collect()
}

pub fn mode(mode: LinkMode) -> &'static str {
    match mode {
        LinkMode::Native => "native",
        LinkMode::Generic => "generic",
        LinkMode::TcIngress => "tcIngress",
        LinkMode::TcEgress => "tcEgress",
    }
}

fn nic(nic: &Nic, ours: Option<&Ours>) -> v1::Nic {
    v1::Nic {
        name: nic.name.clone(),
        ifindex: nic.index,
        driver: nic.driver.clone().unwrap_or_default(),
        speed_mbps: nic.speed_mbps.unwrap_or(0),
        mtu: nic.mtu,
        rx_queues: nic.rx_queues,
        tx_queues: nic.tx_queues,
        channels: nic.channels.unwrap_or(0),
        up: nic.up,
        default_route: nic.default_route,
        xdp_mode: ours.map(|ours| ours.mode.to_owned()).unwrap_or_default(),
        xdp_features: nic
            .xdp_features
            .iter()
            .flat_map(|features| features.names())
            .map(str::to_owned)
            .collect(),
        vlan_stripping: nic.vlan_stripping.unwrap_or(false),
        lro: nic.lro.unwrap_or(false),
        rx_dropped: nic.rx_dropped,
        rx_errors: nic.rx_errors,
        rx_fcs_errors: nic.rx_fcs_errors,
        link_flaps: nic.link_flaps,
        foreign: foreign(nic, ours, || attached(nic.index).ok().flatten()),
        mac: nic.mac.map(|mac| mac.map(|byte| format!("{byte:02x}")).join(":")).unwrap_or_default(),
    }
}

/// Looked at twice: what was read of the card may be older than the last swap, and then names our former program.
fn foreign(
    nic: &Nic,
    ours: Option<&Ours>,
    now: impl FnOnce() -> Option<Attached>,
) -> Option<v1::ForeignProgram> {
    let is_ours = |id: u32| ours.is_some_and(|ours| ours.program_id == id);
    let mode = nic.xdp.filter(|there| !is_ours(there.program_id))?.mode;
    let Attached { program_id: id, name, .. } = now().filter(|now| !is_ours(now.program_id))?;
    Some(v1::ForeignProgram { id, mode: mode.to_string(), name: name.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use sluice_datapath::Place;
    use sluice_netdev::{AttachedXdp, XdpMode};

    use super::*;

    #[test]
    fn our_former_program_is_nobody_elses() {
        let nic = |program_id| Nic {
            xdp: Some(AttachedXdp { mode: XdpMode::Native, program_id }),
            ..Nic::default()
        };
        let now = |program_id| {
            move || Some(Attached { program_id, place: Place::Native, name: Some("other".into()) })
        };
        let ours = Ours { program_id: 8, mode: "native" };
        assert_eq!(foreign(&nic(7), Some(&ours), now(8)), None, "the card was read before the swap");
        assert_eq!(foreign(&nic(7), Some(&ours), || None), None, "it is gone");
        let found = foreign(&nic(9), Some(&ours), now(9)).expect("another's");
        assert_eq!((found.id, found.mode.as_str(), found.name.as_str()), (9, "native", "other"));
        assert!(foreign(&nic(9), None, now(9)).is_some());
    }
}
