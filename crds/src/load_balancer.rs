use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::selector::node_selector_schema;
use crate::{Backends, HealthCheck, InterfaceSelector, IpAddress, LabelSelector, XdpLoadBalancerStatus};

/// How many virtual addresses a balancer may have.
pub const MAX_ADDRESSES: usize = 8;
/// How many ports a balancer may have.
pub const MAX_PORTS: usize = 16;

/// An XdpLoadBalancer spreads the connections to virtual addresses over backends, in the driver of selected
/// interfaces.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "sluice.dev",
    version = "v1alpha1",
    kind = "XdpLoadBalancer",
    plural = "xdploadbalancers",
    namespaced,
    shortname = "xlb",
    category = "sluice",
    status = "XdpLoadBalancerStatus",
    derive = "PartialEq",
    doc = "An XdpLoadBalancer spreads the connections to virtual addresses over backends, in the driver of \
        selected interfaces.",
    printcolumn(name = "Addresses", type_ = "string", json_path = ".spec.addresses[*]"),
    printcolumn(name = "Healthy", type_ = "string", json_path = ".status.healthy"),
    printcolumn(name = "Nodes", type_ = "string", json_path = ".status.nodes.summary"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = "1"
    ),
    printcolumn(name = "Hash", type_ = "string", json_path = ".status.hash", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("the name is longer than 63 characters, which counters and metrics carry: shorten it")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "!has(self.backends.static) || [true, false].all(v6, self.addresses.exists(a, a.contains(':') == v6) \
     == self.backends.static.exists(b, b.address.contains(':') == v6))",
).message("addresses and backends differ in their families, IPv4 and IPv6, and a packet is forwarded within \
    its own: \
    add the missing address or backend, or remove the other side's"))]
#[x_kube(validation = Rule::new(
    "!has(self.backends.static) || !self.backends.static.exists(b, b.address in self.addresses)",
).message("a virtual address is its own backend: write the server's own address"))]
pub struct XdpLoadBalancerSpec {
    /// The virtual addresses (VIPs), IPv4 and IPv6, from a pool that is granted to this namespace.
    #[schemars(length(min = 1, max = "MAX_ADDRESSES"))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub addresses: Vec<IpAddress>,
    /// The ports that are balanced on every address; packets to other ports of it go on to the node.
    #[schemars(length(min = 1, max = "MAX_PORTS"))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[x_kube(validation = Rule::new(
        "self.transformMapEntry(i, p, {(p.protocol == 'UDP' ? 65536 + p.port : p.port): i}).size() == \
            self.size()",
    ).message("two ports have the same protocol and number: remove one of the two"))]
    pub ports: Vec<ServicePort>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "node_selector_schema")]
    pub node_selector: Option<LabelSelector>,
    /// The interfaces of a selected node on which packets to the virtual addresses arrive.
    pub interfaces: InterfaceSelector,
    /// Where the backends come from.
    pub backends: Backends,
    /// How packets reach a backend.
    #[serde(default)]
    pub forwarding: Forwarding,
    /// How connections are spread.
    #[serde(default)]
    pub hashing: Hashing,
    /// How backends are tried. Default: no check, every backend counts as healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
}

/// A port of the virtual addresses.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// The port's name, unique in its balancer: the key of its counters. Lower-case letters, digits and -.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// TCP or UDP.
    pub protocol: ServiceProtocol,
    /// The number, 1 to 65535; the backend serves the same one.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

/// The protocol of a balanced port.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum ServiceProtocol {
    Tcp,
    Udp,
}

/// How packets reach a backend.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Forwarding {
    /// IPIP: the packet is wrapped into a second IP header of its own family (RFC 2003, RFC 2473) and the
    /// answer goes straight to the client. Default: IPIP.
    #[serde(default)]
    pub mode: ForwardingMode,
}

/// The kinds of forwarding.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[schemars(inline)]
pub enum ForwardingMode {
    #[default]
    #[serde(rename = "IPIP")]
    Ipip,
}

/// How connections are spread over the backends.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Hashing {
    /// The size of the ring: a power of two from 256 to 131072. More slots follow the weights more closely
    /// and take 4 bytes each. Default: 65536.
    #[serde(default = "default_slots")]
    #[schemars(range(min = 256, max = 131072))]
    #[x_kube(validation = Rule::new("self in [256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072]")
        .message("slots is not a power of two: write 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536 \
            or 131072"))]
    pub slots: u32,
}

impl Default for Hashing {
    fn default() -> Self {
        Self { slots: default_slots() }
    }
}

const fn default_slots() -> u32 {
    65536
}
