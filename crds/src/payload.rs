//! Bytes at fixed places of a packet.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::text_type;

/// How many places of a packet one rule may look at.
pub const MAX_PAYLOADS: usize = 8;

const MAX_OFFSET: u16 = 1_500;

/// Bytes that a packet has at a place; the bits that mask has, of them, are value.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.mask) || self.mask.size() == self.value.size()")
    .message("mask and value are not of the same length: write as many bytes of mask as of value, or remove mask"))]
pub struct PayloadMatch {
    /// Where offset counts from. L2: the frame. L3: behind the VLAN tags. L4: behind the IP header and its extension
    /// headers. Payload: behind a whole header of TCP, UDP, UDP-Lite, SCTP, DCCP, ICMP or IPv6-ICMP (8 bytes); of other
    /// protocols the same as L4. A packet without it does not match, nor, from L4 on, does a later fragment (see
    /// laterFragments).
    pub from: PayloadLayer,
    /// The first byte, 0 to 1500. Bytes behind the end of the packet (of the frame for L2) match nothing.
    #[schemars(range(max = "MAX_OFFSET"))]
    pub offset: u16,
    /// 1 to 16 bytes in hexadecimal digits, "0x1700".
    pub value: HexBytes,
    /// As many bytes, the bits that count, none of them set in value outside. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<HexBytes>,
}

impl PayloadMatch {
    pub const MAX_OFFSET: u16 = MAX_OFFSET;
}

/// A layer of a packet.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[schemars(inline)]
pub enum PayloadLayer {
    L2,
    L3,
    L4,
    Payload,
}

impl PayloadLayer {
    /// True where a later fragment does not carry it.
    pub fn is_l4(self) -> bool {
        matches!(self, PayloadLayer::L4 | PayloadLayer::Payload)
    }
}

text_type! {
    /// Bytes in hexadecimal digits, `"0x1700"`.
    HexBytes, {
        "type": "string",
        "maxLength": 34,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^0x([0-9a-fA-F]{2}){1,16}$')",
            "messageExpression": "'\"' + self + '\" are no bytes: write 0x and 1 to 16 pairs of hexadecimal digits, as \
                \"0x1700\"'"
        }]
    }
}

impl HexBytes {
    /// # Errors
    /// What is wrong with the text and what to write, as an API server says it.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        let text = self.as_str();
        let digits = text.strip_prefix("0x").filter(|digits| {
            (2..=32).contains(&digits.len())
                && digits.len() % 2 == 0
                && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        let pairs = digits.unwrap_or_default().as_bytes().chunks_exact(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
        bytes.filter(|bytes| !bytes.is_empty()).ok_or_else(|| {
            format!(
                "\"{text}\" are no bytes: write 0x and 1 to 16 pairs of hexadecimal digits, as \"0x1700\""
            )
        })
    }
}
