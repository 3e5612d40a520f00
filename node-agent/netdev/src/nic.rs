//! What is known of one network interface.

use std::fmt;

use crate::XdpFeatures;

/// `None` = this kernel or driver does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nic {
    pub name: String,
    pub index: u32,
    pub mac: Option<[u8; 6]>,
    /// The bound driver, or the kind of a virtual device (veth, bridge …).
    pub driver: Option<String>,
    pub speed_mbps: Option<u32>,
    pub mtu: u32,
    pub rx_queues: u32,
    pub tx_queues: u32,
    /// Channels in use, and the most that the card has.
    pub channels: Option<u32>,
    pub channels_max: Option<u32>,
    pub up: bool,
    pub loopback: bool,
    pub default_route: bool,
    /// VLAN devices are stacked on it: tagged frames are expected.
    pub vlan_devices: bool,
    pub xdp: Option<AttachedXdp>,
    pub xdp_features: Option<XdpFeatures>,
    /// The card takes the VLAN tag off (`rx-vlan-hw-parse`).
    pub vlan_stripping: Option<bool>,
    /// The card merges frames (`rx-lro`).
    pub lro: Option<bool>,
    pub rx_dropped: u64,
    pub rx_errors: u64,
    pub rx_fcs_errors: u64,
    /// Times that the carrier came or went.
    pub link_flaps: u64,
}

/// The XDP program on an interface, whoever put it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachedXdp {
    pub mode: XdpMode,
    pub program_id: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum XdpMode {
    Native,
    Generic,
    Offload,
}

impl fmt::Display for XdpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            XdpMode::Native => "native",
            XdpMode::Generic => "generic",
            XdpMode::Offload => "offload",
        })
    }
}
