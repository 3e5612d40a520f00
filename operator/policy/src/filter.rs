//! A packet filter: ordered rules, the first match decides.

use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::mac::MacMatch;
use crate::payload::PayloadMatch;
use crate::rollout::Rollout;
use crate::selection::{AttachMode, Hook, Interfaces, NodeSelector, ObjectRef};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    pub object: ObjectRef,
    pub nodes: NodeSelector,
    pub interfaces: Interfaces,
    pub attach: AttachMode,
    #[serde(default)]
    pub hook: Hook,
    pub mode: Mode,
    /// Filters run highest first, then by name.
    pub priority: i32,
    pub default_action: Action,
    pub malformed: Malformed,
    /// Before all rules, packets that connections of the node's own take pass.
    #[serde(default)]
    pub allow_established: bool,
    pub rules: Vec<Rule>,
    /// Unix milliseconds from which on it is in force nowhere.
    #[serde(default)]
    pub expires: Option<i64>,
    /// Without one a new version comes to all nodes at once.
    #[serde(default)]
    pub rollout: Option<Rollout>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub name: String,
    pub action: Action,
    pub mode: Mode,
    pub later_fragments: LaterFragments,
    pub matches: Match,
}

impl Rule {
    /// Whether packets may go on with the next rule of the same filter.
    pub fn continues(&self) -> bool {
        self.mode == Mode::Audit || self.action.continues()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Ends the filters; the packet still goes to the balancer.
    Pass,
    Drop,
    /// Leave this filter at once, its default action included.
    Next,
    /// Count and go on with the next rule. Like those below no filter's default.
    Count,
    /// Above the rate: Drop; within it: go on with the next rule.
    RateLimit(RateLimit),
    /// Mark and go on with the next rule.
    Mark(Mark),
}

/// Bits of the mark that a packet has behind XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// None outside of `mask`.
    pub value: u32,
    pub mask: u32,
}

/// The rate of a node over all its CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    pub rate: Rate,
    /// Packets or bytes that may come at once after a pause.
    pub burst: u64,
    pub per: LimitKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rate {
    PacketsPerSecond(u64),
    /// Of the frame, from the Ethernet header on, as counters count.
    BytesPerSecond(u64),
}

/// What each has the rate of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitKey {
    Rule,
    /// Packets without an IP header share one rate; so it is with the next two.
    Source,
    /// Prefix lengths.
    SourcePrefix {
        v4: u8,
        v6: u8,
    },
    Destination,
    SourceMac,
}

impl Action {
    /// Whether the packet may go on with the next rule of the same filter, whatever the rule's mode.
    pub fn continues(self) -> bool {
        match self {
            Action::Pass | Action::Drop | Action::Next => false,
            Action::Count | Action::RateLimit(_) | Action::Mark(_) => true,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    #[default]
    Enforce,
    Audit,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Malformed {
    #[default]
    Pass,
    Drop,
}

/// What a rule with layer-4 fields does with a later fragment, which carries none.
/// Already resolved here: the API's default is `MatchL3` for Pass and `NoMatch` for every other action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LaterFragments {
    MatchL3,
    NoMatch,
    /// Drop the fragment if the rule's other fields match.
    Drop,
}

/// All fields must match; `None` or an empty list matches everything; a list inside a field is "any of".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Match {
    pub sources: Option<PrefixSet>,
    pub destinations: Option<PrefixSet>,
    pub source_macs: Vec<MacMatch>,
    pub destination_macs: Vec<MacMatch>,
    /// Of the outer or only tag; [`NO_VLAN`] is a packet without one.
    pub outer_vlan: Vec<RangeInclusive<u16>>,
    /// Of the second tag; [`NO_VLAN`] is a packet without one.
    pub inner_vlan: Vec<RangeInclusive<u16>>,
    /// Behind the tags, at least 0x0600.
    pub ether_types: Vec<u16>,
    /// Upper-layer protocol numbers after IPv6 extension headers.
    pub protocols: Vec<u8>,
    pub source_ports: Vec<PortRange>,
    pub destination_ports: Vec<PortRange>,
    pub tcp_flags: Option<TcpFlags>,
    pub icmp: Vec<IcmpMatch>,
    /// Of the IP packet, its header included, as that says; an IPv6 jumbogram's is what the frame holds of it.
    pub length: Vec<RangeInclusive<u16>>,
    /// TTL or hop limit.
    pub hop_limit: Vec<RangeInclusive<u16>>,
    pub dscp: Vec<RangeInclusive<u16>>,
    pub ecn: Vec<RangeInclusive<u16>>,
    pub fragments: Vec<FragmentKind>,
    pub ip_options: Vec<IpOption>,
    pub extension_headers: Vec<ExtensionHeader>,
    /// Not "any of": all of them must be there.
    pub payload: Vec<PayloadMatch>,
}

/// A VLAN id that no tag has, for a packet without one.
pub const NO_VLAN: u16 = 4096;

/// In any prefix or any named set, and in no exception. Only `except` given: any address of either family but those.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixSet {
    pub v4: Vec<Ipv4Net>,
    pub v6: Vec<Ipv6Net>,
    /// Names of address sets.
    #[serde(default)]
    pub sets: Vec<String>,
    pub except_v4: Vec<Ipv4Net>,
    pub except_v6: Vec<Ipv6Net>,
}

impl PrefixSet {
    /// Names nothing to be in: any address will do that is no exception.
    pub fn is_open(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty() && self.sets.is_empty()
    }

    /// Addresses in this prefix are in it, too.
    pub fn push(&mut self, prefix: IpNet) {
        match prefix {
            IpNet::V4(prefix) => self.v4.push(prefix),
            IpNet::V6(prefix) => self.v6.push(prefix),
        }
    }
}

/// Both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRange {
    pub first: u16,
    pub last: u16,
}

/// Masks over the TCP flags byte: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpFlags {
    pub set: u8,
    pub unset: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IcmpMatch {
    pub family: IcmpFamily,
    /// `None` = any type.
    pub icmp_type: Option<u8>,
    /// `None` = any code; never given without a type.
    pub code: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IcmpFamily {
    V4,
    V6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FragmentKind {
    /// Not a fragment.
    None,
    First,
    Later,
    /// A first fragment without its whole layer-4 header, or a later one at offset 1.
    Tiny,
    /// Any fragment.
    Any,
}

/// What an IPv4 header has behind its first 20 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpOption {
    /// Anything, padding too.
    Any,
    RecordRoute,
    Timestamp,
    Security,
    Lsrr,
    StreamId,
    Ssrr,
    RouterAlert,
    /// Any option but those above, and no padding.
    Other,
}

/// The IPv6 extension headers that are stepped over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExtensionHeader {
    Any,
    HopByHop,
    Routing,
    Fragment,
    Authentication,
    DestinationOptions,
    Mobility,
    Hip,
    Shim6,
}

impl Filter {
    /// Whether it has ended by `now`, in Unix milliseconds.
    pub fn has_ended(&self, now: i64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// Names of the address sets that its rules use, as often as they do.
    pub fn sets(&self) -> impl Iterator<Item = &String> {
        self.rules.iter().flat_map(|rule| rule.matches.sets())
    }
}

impl Match {
    /// Names of the address sets that either side is held against.
    pub fn sets(&self) -> impl Iterator<Item = &String> {
        [&self.sources, &self.destinations].into_iter().flatten().flat_map(|side| &side.sets)
    }

    /// Whether a field looks at layer 4, which a later fragment lacks.
    pub fn has_layer4_fields(&self) -> bool {
        !self.source_ports.is_empty()
            || !self.destination_ports.is_empty()
            || self.tcp_flags.is_some()
            || !self.icmp.is_empty()
            || self.payload.iter().any(|pattern| pattern.from.is_layer4())
    }
}
