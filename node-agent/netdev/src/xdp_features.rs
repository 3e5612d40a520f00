//! XDP features of the drivers by the generic netlink family `netdev` (Linux 6.3 and later).

use std::collections::HashMap;

use futures::StreamExt;
use genetlink::GenetlinkHandle;
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};
use rtnetlink::packet_core::{
    DecodeError, Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
    NlasIterator, ParseableParametrized, parse_u32, parse_u64,
};

/// Bits of `enum netdev_xdp_act` and `enum netdev_xdp_rx_metadata` (Documentation/netlink/specs/netdev.yaml).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XdpFeatures {
    pub actions: u64,
    pub rx_metadata: u64,
}

const BASIC: u64 = 1;
const RX_SG: u64 = 1 << 5;
const VLAN_TAG: u64 = 1 << 2;

const ACTIONS: [(u64, &str); 7] = [
    (BASIC, "basic"),
    (1 << 1, "redirect"),
    (1 << 2, "ndo-xmit"),
    (1 << 3, "xsk-zerocopy"),
    (1 << 4, "hw-offload"),
    (RX_SG, "rx-sg"),
    (1 << 6, "ndo-xmit-sg"),
];
const METADATA: [(u64, &str); 3] = [(1, "rx-timestamp"), (1 << 1, "rx-hash"), (VLAN_TAG, "rx-vlan-tag")];

impl XdpFeatures {
    /// The driver runs XDP programs itself.
    pub fn native(self) -> bool {
        self.actions & BASIC != 0
    }

    /// Frames of several buffers reach a program that can take them.
    pub fn multi_buffer(self) -> bool {
        self.actions & RX_SG != 0
    }

    /// A program can ask for the tag that the card took off.
    pub fn vlan_tag(self) -> bool {
        self.rx_metadata & VLAN_TAG != 0
    }

    /// The kernel's names of the set bits.
    pub fn names(self) -> Vec<&'static str> {
        let named = |bits: u64, names: &'static [(u64, &'static str)]| {
            names.iter().filter(move |(bit, _)| bits & bit != 0).map(|(_, name)| *name)
        };
        named(self.actions, &ACTIONS).chain(named(self.rx_metadata, &METADATA)).collect()
    }
}

/// By ifindex; empty where the kernel has no such family.
pub(crate) async fn read(generic: &GenetlinkHandle) -> HashMap<u32, XdpFeatures> {
    let mut request = NetlinkMessage::from(GenlMessage::from_payload(Device::default()));
    // With an acknowledgement, or the library reads only the first message of each datagram.
    request.header.flags = NLM_F_REQUEST | NLM_F_DUMP | NLM_F_ACK;
    let mut features = HashMap::new();
    let Ok(answers) = generic.clone().request(request).await else { return features };
    let mut answers = std::pin::pin!(answers);
    while let Some(answer) = answers.next().await {
        if let Ok(NetlinkMessage { payload: NetlinkPayload::InnerMessage(message), .. }) = answer {
            features.insert(message.payload.index, message.payload.features);
        }
    }
    features
}

/// `NETDEV_CMD_DEV_GET`, asked without attributes.
#[derive(Clone, Debug, Default)]
struct Device {
    index: u32,
    features: XdpFeatures,
}

const DEV_GET: u8 = 1;
const IFINDEX: u16 = 1;
const XDP_FEATURES: u16 = 3;
const RX_METADATA_FEATURES: u16 = 5;

impl GenlFamily for Device {
    fn family_name() -> &'static str {
        "netdev"
    }
    fn command(&self) -> u8 {
        DEV_GET
    }
    fn version(&self) -> u8 {
        1
    }
}

impl Emitable for Device {
    fn buffer_len(&self) -> usize {
        0
    }
    fn emit(&self, _: &mut [u8]) {}
}

impl ParseableParametrized<[u8], GenlHeader> for Device {
    fn parse_with_param(payload: &[u8], _: GenlHeader) -> Result<Self, DecodeError> {
        let mut device = Device::default();
        for attribute in NlasIterator::new(payload) {
            let attribute = attribute?;
            match attribute.kind() {
                IFINDEX => device.index = parse_u32(attribute.value())?,
                XDP_FEATURES => device.features.actions = parse_u64(attribute.value())?,
                RX_METADATA_FEATURES => device.features.rx_metadata = parse_u64(attribute.value())?,
                _ => {}
            }
        }
        Ok(device)
    }
}
