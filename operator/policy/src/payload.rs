//! Bytes at a fixed place of a packet.

use serde::{Deserialize, Serialize};

/// The packet's bytes at the place, masked, are `value`; none that the packet does not have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PayloadMatch {
    pub from: Layer,
    /// In bytes, from the start of the layer.
    pub offset: u16,
    /// 1 to 16 bytes, no bit outside of the mask.
    pub value: Vec<u8>,
    /// As long as the value.
    pub mask: Vec<u8>,
}

/// Each but the first ends where the IP packet does, whatever follows it in the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Layer {
    /// The frame.
    L2,
    /// Behind the VLAN tags.
    L3,
    /// Behind the IP header and IPv6 extension headers.
    L4,
    /// Behind a whole header of TCP, UDP, UDP-Lite, SCTP, DCCP, ICMP or ICMPv6 (8 bytes); of other protocols as `L4`.
    Payload,
}

impl Layer {
    /// A later fragment lacks it.
    pub fn is_layer4(self) -> bool {
        matches!(self, Layer::L4 | Layer::Payload)
    }
}
