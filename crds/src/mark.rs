use kube::KubeSchema;
use serde::{Deserialize, Serialize};

const MAX_MARK: u32 = u32::MAX;

/// The mark of a packet (skb mark) behind XDP: `meta mark` of nftables, `fwmark` of routing rules. Later rules may mark
/// it again; other bits stay as they are.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = Rule::new("!has(self.mask) || self.value <= self.mask")
    .message("value has bits that mask leaves alone: write a mask that covers it"))]
pub struct Mark {
    /// The bits to set, none of them outside of mask.
    #[schemars(range(max = "MAX_MARK"))]
    pub value: u32,
    /// The bits of the mark that the rule decides. Default: all of them, 4294967295.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = "MAX_MARK"))]
    pub mask: Option<u32>,
}
