use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// 100 million packets, or 100 Gbit.
pub const MAX_PACKETS_PER_SECOND: u64 = 100_000_000;
pub const MAX_BYTES_PER_SECOND: u64 = 12_500_000_000;
/// As much as comes in an hour, so that a bucket never takes longer to fill up.
pub const MAX_BURST_SECONDS: u64 = 3600;
/// An Ethernet frame with a VLAN tag: with less in the bucket such a frame would never pass.
pub const MIN_BYTES_BURST: u64 = 1518;

/// How much may come, on a node over all its CPUs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.packetsPerSecond) != has(self.bytesPerSecond)")
    .message("a rate counts one thing: write either packetsPerSecond or bytesPerSecond"))]
#[x_kube(validation = Rule::new(
    "!has(self.packetsPerSecond) || self.burst <= 3600 * self.packetsPerSecond",
).message("burst is more than comes in an hour: write at most 3600 times packetsPerSecond"))]
#[x_kube(validation = Rule::new(
    "!has(self.bytesPerSecond) || self.burst <= 3600 * self.bytesPerSecond",
).message("burst is more than comes in an hour: write at most 3600 times bytesPerSecond"))]
#[x_kube(validation = Rule::new("!has(self.bytesPerSecond) || self.burst >= 1518")
    .message("burst in bytes is less than a frame has, which would then never pass: write at least 1518"))]
#[x_kube(validation = Rule::new("!has(self.prefix) || (has(self.per) && self.per == 'SourcePrefix')")
    .message("prefix is of no use here: write per: SourcePrefix, or remove prefix"))]
pub struct RateLimit {
    /// Packets a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = "MAX_PACKETS_PER_SECOND"))]
    pub packets_per_second: Option<u64>,
    /// Bytes a second, of whole frames from the Ethernet header on, as counters count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = "MAX_BYTES_PER_SECOND"))]
    pub bytes_per_second: Option<u64>,
    /// Packets, or bytes, that may come at once after a pause; at most what comes in an hour. In bytes at least 1518; a
    /// frame that is longer than the burst never passes.
    #[schemars(range(min = 1))]
    pub burst: u64,
    /// What has the rate of its own. Rule: all packets of the rule together. SourcePrefix: each network of sources, by
    /// prefix. Default: Rule. A rule has 4,096 buckets on each node: sources (or whatever it is) whose hash is the same
    /// share the rate, which happens the more the more of them send at the same time. Packets without an IP header
    /// share one, except per SourceMac.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<LimitKey>,
    /// The prefix lengths of per: SourcePrefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<PrefixLengths>,
}

/// What has a rate of its own.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[schemars(inline)]
pub enum LimitKey {
    #[default]
    Rule,
    Source,
    SourcePrefix,
    Destination,
    SourceMac,
}

/// How long the prefixes are that tell one network from another.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixLengths {
    /// Default: 24.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 32))]
    pub ipv4: Option<u8>,
    /// Default: 56.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 128))]
    pub ipv6: Option<u8>,
}

impl PrefixLengths {
    pub const DEFAULT_IPV4: u8 = 24;
    pub const DEFAULT_IPV6: u8 = 56;
}
