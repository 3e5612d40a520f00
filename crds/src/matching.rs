use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Cidr, DscpRange, EcnRange, EtherType, LengthRange, MAX_PAYLOADS, MAX_SET_NAMES, MacAddress, PayloadMatch,
    PortRange, Protocol, SetName, TtlRange, VlanMatch,
};

/// How many entries a list of a match may have.
pub const MAX_ENTRIES: usize = 64;
/// Most entries in a list of a field that has few values, or that few rules list: what CEL may cost is counted as if every
/// rule had every list full.
pub const MAX_FEW_ENTRIES: usize = 16;

/// What a packet must be like. All fields given must match; a list inside a field is "any of". Without any
/// field every packet matches.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "!((has(self.sourcePorts) && self.sourcePorts.size() > 0) || (has(self.destinationPorts) && \
        self.destinationPorts.size() > 0)) \
     || !has(self.protocols) || self.protocols.size() == 0 \
     || self.protocols.exists(p, p in ['TCP', 'UDP', 'UDPLite', 'SCTP', 'DCCP', '6', '17', '33', '132', '136'])",
).message("ports beside protocols that have none never match: add TCP, UDP, UDPLite, SCTP or DCCP to \
    protocols, or remove the ports"))]
#[x_kube(validation = Rule::new(
    "!has(self.tcpFlags) || !has(self.protocols) || self.protocols.size() == 0 || self.protocols.exists(p, \
        p in ['TCP', '6'])",
).message("tcpFlags beside protocols without TCP never match: add TCP to protocols, or remove tcpFlags"))]
#[x_kube(validation = Rule::new(
    "!has(self.icmp) || self.icmp.size() == 0 || !has(self.protocols) || self.protocols.size() == 0 \
     || self.protocols.exists(p, p in ['ICMP', 'IPv6-ICMP', '1', '58'])",
).message("icmp beside protocols without ICMP never matches: add ICMP or IPv6-ICMP to protocols, or remove \
    icmp"))]
#[x_kube(validation = Rule::new(
    "!has(self.icmp) || self.icmp.size() == 0 || !(has(self.tcpFlags) || (has(self.sourcePorts) && \
        self.sourcePorts.size() > 0) \
     || (has(self.destinationPorts) && self.destinationPorts.size() > 0))",
).message("icmp beside ports or tcpFlags never matches: write two rules"))]
#[x_kube(validation = Rule::new(
    "!has(self.etherTypes) || self.etherTypes.size() == 0 \
     || self.etherTypes.exists(t, t.lowerAscii() in ['ipv4', 'ipv6', '0x0800', '0x86dd']) \
     || !(has(self.sources) || has(self.destinations) || has(self.tcpFlags) || (has(self.icmp) && \
        self.icmp.size() > 0) || [self.?protocols.orValue([]).size(), self.?sourcePorts.orValue([]).size(), \
        self.?destinationPorts.orValue([]).size(), self.?length.orValue([]).size(), \
        self.?ttl.orValue([]).size(), self.?dscp.orValue([]).size(), self.?ecn.orValue([]).size(), \
        self.?ipOptions.orValue([]).size(), self.?extensionHeaders.orValue([]).size()] \
        .exists(size, size > 0) || (has(self.payload) && self.payload.exists(p, p.from in ['L4', 'Payload'])))",
).message("etherTypes without IPv4 and IPv6 beside fields of IP packets never match: add IPv4 or IPv6 to \
    etherTypes, or remove the others"))]
#[x_kube(validation = Rule::new(
    "[[!has(self.sources) || has(self.sources.sets) || !has(self.sources.cidrs) || self.sources.cidrs.size() == 0 \
        || self.sources.cidrs.exists(c, !c.contains(':')), \
       !has(self.destinations) || has(self.destinations.sets) || !has(self.destinations.cidrs) || self.destinations.cidrs.size() == 0 \
        || self.destinations.cidrs.exists(c, !c.contains(':')), \
       !has(self.etherTypes) || self.etherTypes.size() == 0 \
        || self.etherTypes.exists(t, t.lowerAscii() in ['ipv4', '0x0800']), \
       !has(self.icmp) || self.icmp.size() == 0 || self.icmp.exists(i, !has(i.family) || i.family == 'IPv4'), \
       !has(self.extensionHeaders) || self.extensionHeaders.size() == 0], \
      [!has(self.sources) || has(self.sources.sets) || !has(self.sources.cidrs) || self.sources.cidrs.size() == 0 \
        || self.sources.cidrs.exists(c, c.contains(':')), \
       !has(self.destinations) || has(self.destinations.sets) || !has(self.destinations.cidrs) || self.destinations.cidrs.size() == 0 \
        || self.destinations.cidrs.exists(c, c.contains(':')), \
       !has(self.etherTypes) || self.etherTypes.size() == 0 \
        || self.etherTypes.exists(t, t.lowerAscii() in ['ipv6', '0x86dd']), \
       !has(self.icmp) || self.icmp.size() == 0 || self.icmp.exists(i, has(i.family) && i.family == 'IPv6'), \
       !has(self.ipOptions) || self.ipOptions.size() == 0] \
     ].exists(family, family.all(takes, takes)) \
     || !(has(self.sources) || has(self.destinations) || has(self.icmp) || has(self.ipOptions) || \
        has(self.extensionHeaders))",
).message("the fields are of different address families and never match the same packet: write one rule for IPv4 \
    and one for IPv6"))]
pub struct Match {
    /// Where the packet comes from. A packet without an IP header does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<AddressMatch>,
    /// Where the packet goes to. A packet without an IP header does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destinations: Option<AddressMatch>,
    /// Ethernet addresses that the frame comes from: "02:00:00:00:00:01", or with a mask the bits that count,
    /// "02:00:5e:00:00:00/ff:ff:ff:00:00:00", none of them set outside the mask. At most ten bits may be free above
    /// the lowest one that counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_FEW_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub source_macs: Vec<MacAddress>,
    /// Ethernet addresses that the frame goes to, as sourceMacs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_FEW_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub destination_macs: Vec<MacAddress>,
    /// VLAN ids of the outer and the inner tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlans: Option<VlanMatch>,
    /// The EtherType behind up to two VLAN tags: "0x0806", four hexadecimal digits, or a name (IPv4, IPv6, ARP,
    /// RARP, LLDP, MPLS, PPPoESession …). A frame of IEEE 802.3 with a length instead does not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_FEW_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub ether_types: Vec<EtherType>,
    /// The protocol above IP, behind every IPv6 extension header: names as IANA has them (TCP, UDP, ICMP,
    /// IPv6-ICMP, GRE, ESP, SCTP …) or numbers from "0" to "255". IP in IP (RFC 2003) is IPv4; the name IPIP
    /// is number 94.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub protocols: Vec<Protocol>,
    /// Source ports of TCP, UDP, UDP-Lite, SCTP and DCCP: "53", or "8000-8100" with both ends included. Any
    /// other protocol does not match, nor does a later fragment, which carries no ports (see laterFragments).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub source_ports: Vec<PortRange>,
    /// Destination ports, as sourcePorts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub destination_ports: Vec<PortRange>,
    /// Flags of the TCP header (RFC 9293, RFC 3168). A packet that is not TCP does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_flags: Option<TcpFlagsMatch>,
    /// ICMP types and codes (RFC 792, RFC 4443). A packet that is not ICMP of the entry's family does not
    /// match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub icmp: Vec<IcmpMatch>,
    /// Length of the IP packet in bytes, its header included, as that header says it: "64", "0-63" with both
    /// ends included, or "1501-" without an end. A packet without an IP header does not match; that of an IPv6
    /// jumbogram is what the frame holds of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_FEW_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub length: Vec<LengthRange>,
    /// TTL of IPv4 or hop limit of IPv6: "1", "0-1", or "65-". A packet without an IP header does not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_FEW_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub ttl: Vec<TtlRange>,
    /// Differentiated services code points (RFC 2474): names as IANA has them (EF, AF41, CS0 …), "46", or
    /// "8-15". A packet without an IP header does not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_FEW_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub dscp: Vec<DscpRange>,
    /// Explicit congestion notification (RFC 3168): Not-ECT, ECT(1), ECT(0), CE, or "0" to "3". A packet
    /// without an IP header does not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_FEW_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub ecn: Vec<EcnRange>,
    /// What kind of fragment the packet is. None: not a fragment. First: at offset 0 with more to come.
    /// Later: at a higher offset. Tiny: a first fragment without its whole TCP, UDP or ICMP header, or a
    /// later one at offset 1 (RFC 1858), each also First or Later. Any: every fragment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub fragments: Vec<FragmentKind>,
    /// IPv4 options of which the packet has one: RecordRoute, Timestamp, Security, LSRR and SSRR (loose and
    /// strict source route), StreamId, RouterAlert, Other for any but these and padding. Any: a header longer
    /// than 20 bytes, whatever is in it. A packet without an IPv4 header does not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 9))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub ip_options: Vec<IpOption>,
    /// IPv6 extension headers of which the packet has one, wherever in its chain. Any: all of those named here.
    /// A packet without an IPv6 header does not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 9))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub extension_headers: Vec<ExtensionHeader>,
    /// Bytes at fixed places of the packet, all of which must be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_PAYLOADS"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub payload: Vec<PayloadMatch>,
}

impl Match {
    /// True where no field is given, so that every packet matches.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True where a field reads a header above IP, which a later fragment does not carry.
    pub fn has_l4_fields(&self) -> bool {
        !self.source_ports.is_empty()
            || !self.destination_ports.is_empty()
            || self.tcp_flags.is_some()
            || !self.icmp.is_empty()
            || self.payload.iter().any(|pattern| pattern.from.is_l4())
    }
}

/// Addresses: in any of cidrs or of sets, and in none of except.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "(has(self.cidrs) && self.cidrs.size() > 0) || (has(self.sets) && self.sets.size() > 0) \
     || (has(self.except) && self.except.size() > 0)",
).message("no prefix is named: write cidrs, sets or except, or remove the field"))]
pub struct AddressMatch {
    /// IPv4 and IPv6 prefixes, 192.0.2.0/24 or 2001:db8::/32, without host bits; one of them, or of sets,
    /// must hold the address. The families are kept apart: 0.0.0.0/0 holds no IPv6 address. Default, without sets: any
    /// address of either family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub cidrs: Vec<Cidr>,
    /// Names of XdpAddressSets, whose addresses match like those of cidrs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_SET_NAMES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub sets: Vec<SetName>,
    /// Prefixes that are taken out again: an address in one of them does not match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = "MAX_ENTRIES"))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub except: Vec<Cidr>,
}

/// Flags that must be set and flags that must not; the others do not matter.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "(has(self.set) && self.set.size() > 0) || (has(self.unset) && self.unset.size() > 0)",
).message("no flag is named: write set or unset, or remove tcpFlags"))]
#[x_kube(validation = Rule::new(
    "!has(self.set) || !has(self.unset) || !self.set.exists(f, f in self.unset)",
).message("a flag cannot be both set and unset: remove it from one of them"))]
pub struct TcpFlagsMatch {
    /// Flags that must all be set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub set: Vec<TcpFlag>,
    /// Flags of which none may be set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub unset: Vec<TcpFlag>,
}

/// A flag of the TCP header.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum TcpFlag {
    Fin,
    Syn,
    Rst,
    Psh,
    Ack,
    Urg,
    Ece,
    Cwr,
}

/// ICMP messages of one family.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.code) || has(self.type)")
    .message("a code means nothing without its type: add type"))]
pub struct IcmpMatch {
    /// IPv4 for ICMP (protocol 1), IPv6 for ICMPv6 (protocol 58). Default: IPv4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<IcmpFamily>,
    /// The message's type, 0 to 255: 8 is IPv4's echo request, 128 IPv6's. Default: any type.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub icmp_type: Option<u8>,
    /// The message's code, 0 to 255. Default: any code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
}

impl IcmpMatch {
    /// The family with its default filled in.
    pub fn family(&self) -> IcmpFamily {
        self.family.unwrap_or_default()
    }
}

/// The address family of an ICMP message.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[schemars(inline)]
pub enum IcmpFamily {
    #[default]
    IPv4,
    IPv6,
}

/// What kind of fragment a packet is.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[schemars(inline)]
pub enum FragmentKind {
    None,
    First,
    Later,
    Tiny,
    Any,
}

/// An option of an IPv4 header (IANA, Internet Protocol Version 4 Parameters).
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[schemars(inline)]
pub enum IpOption {
    Any,
    RecordRoute,
    Timestamp,
    Security,
    #[serde(rename = "LSRR")]
    Lsrr,
    StreamId,
    #[serde(rename = "SSRR")]
    Ssrr,
    RouterAlert,
    Other,
}

/// An IPv6 extension header that is stepped over on the way to the upper layer.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[schemars(inline)]
pub enum ExtensionHeader {
    Any,
    HopByHop,
    Routing,
    Fragment,
    Authentication,
    DestinationOptions,
    Mobility,
    #[serde(rename = "HIP")]
    Hip,
    Shim6,
}
