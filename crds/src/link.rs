//! Fields of the link layer: VLAN tags and the EtherType.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::MAX_FEW_ENTRIES;
use crate::numbers::{Numbers, number_type};
use crate::text::text_type;

/// What [`VlanRange`] gives for `none`: no tag, as a number behind the last id.
pub const NO_VLAN: u16 = 4096;

/// VLAN ids of the two outermost tags (IEEE 802.1Q; TPIDs 0x8100, 0x88a8 and 0x9100).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "(has(self.outer) && self.outer.size() > 0) || (has(self.inner) && self.inner.size() > 0)",
).message("no id is named: write outer or inner, or remove vlans"))]
#[x_kube(validation = Rule::new(
    "!has(self.outer) || self.outer.size() == 0 || self.outer.exists(id, id != 'none') || !has(self.inner) \
     || self.inner.size() == 0 || self.inner.exists(id, id == 'none')",
).message("a packet without an outer tag has no inner one: add ids to outer, or none to inner"))]
pub struct VlanMatch {
    /// The id of the outer or only tag: "10", "20-29" with both ends included, "0" for a priority tag, or
    /// none for a packet without a tag. A packet that ends within the tag does not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_FEW_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub outer: Vec<VlanRange>,
    /// The id of the second tag, as outer; none for a packet with one tag or without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_FEW_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub inner: Vec<VlanRange>,
}

number_type! {
    /// A VLAN id, `"10"`, a range with both ends included, `"20-29"`, or `none`.
    VlanRange, Numbers {
        noun: "a VLAN id", last: 4095, names: &[("none", NO_VLAN)], open: false, examples: "\"10\", \"20-29\" or none"
    }
}

text_type! {
    /// An EtherType: four hexadecimal digits, `"0x0806"`, or a name, `ARP`.
    EtherType, {
        "type": "string",
        "minLength": 1,
        "maxLength": 24,
        "x-kubernetes-validations": [{
            "rule": known_rule(),
            "messageExpression": "'\"' + self + '\" is not an EtherType: write \"0x0806\", four hexadecimal digits, \
                or a name (IPv4, IPv6, ARP, LLDP, MPLS, PPPoESession)'"
        }, {
            "rule": "!self.matches('^0x0[0-5]')",
            "messageExpression": "'\"' + self + '\" is the length of an 802.3 frame and no EtherType: write at least \
                \"0x0600\"'"
        }]
    }
}

impl EtherType {
    /// # Errors
    /// What is wrong with the text and what to write, as an API server says it.
    pub fn number(&self) -> Result<u16, String> {
        let text = self.as_str();
        if let Some((number, _)) = NAMES.iter().find(|(_, name)| *name == text) {
            return Ok(*number);
        }
        let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 4 && !digits.starts_with('+'));
        match digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
            None => Err(format!(
                "\"{text}\" is not an EtherType: write \"0x0806\", four hexadecimal digits, or a name (IPv4, IPv6, ARP, \
                 LLDP, MPLS, PPPoESession)"
            )),
            Some(..0x0600) => Err(format!(
                "\"{text}\" is the length of an 802.3 frame and no EtherType: write at least \"0x0600\""
            )),
            Some(number) => Ok(number),
        }
    }
}

fn known_rule() -> String {
    let names: Vec<String> = NAMES.iter().map(|(_, name)| format!("'{name}': 0")).collect();
    format!("self in {{{}}} || self.matches('^0x[0-9a-fA-F]{{4}}$')", names.join(", "))
}

/// IEEE, EtherTypes.
const NAMES: &[(u16, &str)] = &[
    (0x0800, "IPv4"),
    (0x0806, "ARP"),
    (0x8035, "RARP"),
    (0x8137, "IPX"),
    (0x86dd, "IPv6"),
    (0x8808, "FlowControl"),
    (0x8809, "SlowProtocols"),
    (0x8847, "MPLS"),
    (0x8848, "MPLSMulticast"),
    (0x8863, "PPPoEDiscovery"),
    (0x8864, "PPPoESession"),
    (0x888e, "EAPOL"),
    (0x88cc, "LLDP"),
    (0x88e5, "MACsec"),
    (0x88f7, "PTP"),
    (0x8902, "CFM"),
    (0x8906, "FCoE"),
    (0x8915, "RoCE"),
];
