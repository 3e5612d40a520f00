//! What a plan needs of a card against what the card does to packets before XDP sees them.
//!
//! Only what is known is judged: an unknown fact is no ground to refuse a policy.

use crate::Nic;

/// What the programs of a plan need on one interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Frames must arrive with their VLAN tags: a rule matches them, or frames are sent back out of a trunk.
    pub vlan_tags: bool,
    /// Frames leave again by XDP_TX.
    pub transmit: bool,
    /// The program takes frames of several buffers (`xdp.frags`).
    pub multi_buffer: bool,
}

/// Why a card cannot do what a plan needs, and the command that mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A reason of the conditions.
    pub reason: &'static str,
    pub detail: String,
    pub command: String,
}

/// Largest MTU of a single-buffer frame: a 4 KiB page less headroom (256), `skb_shared_info` (320) and Ethernet (14).
const SINGLE_BUFFER_MTU: u32 = 4096 - 256 - 320 - 14;

pub fn check(nic: &Nic, needs: Needs) -> Vec<Finding> {
    [vlan_tags(nic, needs), lro(nic), mtu(nic, needs), tx_queues(nic)].into_iter().flatten().collect()
}

fn vlan_tags(nic: &Nic, needs: Needs) -> Option<Finding> {
    (needs.vlan_tags && nic.vlan_stripping == Some(true)).then(|| Finding {
        reason: "VlanTagsStripped",
        detail: "the card takes VLAN tags off before XDP sees the frame".into(),
        command: format!("ethtool -K {} rxvlan off", nic.name),
    })
}

fn lro(nic: &Nic) -> Option<Finding> {
    (nic.lro == Some(true)).then(|| Finding {
        reason: "LroOn",
        detail: "the card merges received frames (large receive offload)".into(),
        command: format!("ethtool -K {} lro off", nic.name),
    })
}

fn mtu(nic: &Nic, needs: Needs) -> Option<Finding> {
    let multi_buffer = needs.multi_buffer && nic.xdp_features.is_some_and(|features| features.multi_buffer());
    (nic.mtu > SINGLE_BUFFER_MTU && nic.xdp_features.is_some() && !multi_buffer).then(|| Finding {
        reason: "MtuTooLarge",
        detail: format!(
            "MTU {} needs frames of several buffers, which the driver does not give to XDP; the most is {SINGLE_BUFFER_MTU}",
            nic.mtu
        ),
        command: format!("ip link set dev {} mtu {SINGLE_BUFFER_MTU}", nic.name),
    })
}

/// ENA takes one more queue per channel for XDP and refuses a program when they do not fit.
fn tx_queues(nic: &Nic) -> Option<Finding> {
    let (used, most) = nic.channels.zip(nic.channels_max)?;
    (nic.driver.as_deref() == Some("ena") && used * 2 > most).then(|| Finding {
        reason: "NoTxQueues",
        detail: format!("{used} of {most} channels are in use and XDP needs one more queue for each"),
        command: format!("ethtool -L {} combined {}", nic.name, (most / 2).max(1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::XdpFeatures;

    const RX_SG: XdpFeatures = XdpFeatures { actions: 0x21, rx_metadata: 0 };
    const PLAIN: XdpFeatures = XdpFeatures { actions: 1, rx_metadata: 0 };

    fn nic() -> Nic {
        Nic { name: "eth0".into(), mtu: 1500, xdp_features: Some(PLAIN), ..Nic::default() }
    }

    fn needs() -> Needs {
        Needs { vlan_tags: true, transmit: true, multi_buffer: true }
    }

    #[track_caller]
    fn finds(nic: Nic, needs: Needs, expected: Option<(&str, &str)>) {
        let found = check(&nic, needs);
        let found: Vec<_> = found.iter().map(|f| (f.reason, f.command.as_str())).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn an_ordinary_card_is_fine() {
        finds(nic(), needs(), None);
    }

    #[test]
    fn unknown_facts_refuse_nothing() {
        finds(Nic { mtu: 9000, xdp_features: None, ..nic() }, needs(), None);
    }

    #[test]
    fn stripped_tags_matter_only_to_who_needs_them() {
        let stripping = Nic { vlan_stripping: Some(true), ..nic() };
        finds(stripping.clone(), needs(), Some(("VlanTagsStripped", "ethtool -K eth0 rxvlan off")));
        finds(stripping, Needs { vlan_tags: false, ..needs() }, None);
    }

    #[test]
    fn merged_frames_are_refused() {
        finds(Nic { lro: Some(true), ..nic() }, Needs::default(), Some(("LroOn", "ethtool -K eth0 lro off")));
        finds(Nic { lro: Some(false), ..nic() }, Needs::default(), None);
    }

    #[test]
    fn a_large_mtu_needs_driver_and_program() {
        let refused = Some(("MtuTooLarge", "ip link set dev eth0 mtu 3506"));
        finds(Nic { mtu: 3506, ..nic() }, needs(), None);
        finds(Nic { mtu: 3507, ..nic() }, needs(), refused);
        let able = Nic { mtu: 9000, xdp_features: Some(RX_SG), ..nic() };
        finds(able.clone(), needs(), None);
        finds(able, Needs { multi_buffer: false, ..needs() }, refused);
    }

    #[test]
    fn ena_needs_free_queues() {
        let ena = |used, most| Nic {
            driver: Some("ena".into()),
            channels: Some(used),
            channels_max: Some(most),
            ..nic()
        };
        finds(ena(8, 8), needs(), Some(("NoTxQueues", "ethtool -L eth0 combined 4")));
        finds(ena(4, 8), needs(), None);
        finds(Nic { driver: Some("virtio_net".into()), ..ena(8, 8) }, needs(), None);
    }
}
