//! The custom resources of `sluice.dev/v1alpha1`: what a user may write, what the operator writes back, and
//! the schema by which an API server refuses bad input before anything of Sluice sees it.
//!
//! The crate holds plain types and their schema; it has no client and does no I/O but in `crdgen`, which
//! writes the generated YAML. Checks that CEL makes on an API server are made for directory mode by
//! `sluice-admit`; `tests/bad` is the list of objects that both must refuse.
//!
//! The types tolerate unknown fields, because an operator must go on reading objects of a newer schema;
//! [`unknown_fields`] finds them where the author should be told.

#![allow(
    clippy::duplicated_attributes,
    reason = "printer columns share a type, a path's field or a priority"
)]

mod address_set;
mod address_set_status;
mod backends;
mod balancer_status;
mod cidr;
mod condition;
mod duration;
mod feed;
mod filter;
mod generate;
mod health_check;
mod interfaces;
mod kind;
mod link;
mod load_balancer;
mod mac;
mod mark;
mod matching;
mod network;
mod node;
mod node_summary;
mod numbers;
mod payload;
mod ports;
mod protocol;
mod rate_limit;
mod rollout;
mod rule;
mod selector;
mod text;
mod unknown;

pub use address_set::{
    ConfigMapList, ListFile, MAX_SET_CONFIG_MAPS, MAX_SET_ENTRIES, MAX_SET_EXCEPT, MAX_SET_FEEDS,
    MAX_SET_FILES, MAX_SET_NAMES, PointInTime, SetEntry, SetName, XdpAddressSet, XdpAddressSetSpec,
};
pub use address_set_status::{FeedStatus, XdpAddressSetStatus};
pub use backends::{Backends, MAX_BACKENDS, StaticBackend};
pub use balancer_status::{BackendHealth, BackendStatus, PortStatus, XdpLoadBalancerStatus};
pub use cidr::{Cidr, IpAddress};
pub use condition::{Condition, MAX_CONDITIONS, condition_type, reason};
pub use duration::Duration;
pub use feed::{Feed, FeedFormat, FeedInterval, FeedUrl, MAX_FEED_BYTES, Percent};
pub use filter::{
    Attach, AttachMode, DefaultAction, DroppedSummary, FilterWarning, Hook, MAX_RULES, MAX_WARNINGS,
    MalformedAction, Mode, XdpFilter, XdpFilterSpec, XdpFilterStatus,
};
pub use generate::{definition, definition_yaml, generated_files};
pub use health_check::{HealthCheck, TcpProbe};
pub use interfaces::{InterfaceName, InterfacePattern, InterfaceSelector};
pub use kind::{API_VERSION, GROUP, Kind, VERSION};
pub use link::{EtherType, NO_VLAN, VlanMatch, VlanRange};
pub use load_balancer::{
    Forwarding, ForwardingMode, Hashing, MAX_ADDRESSES, MAX_PORTS, ServicePort, ServiceProtocol,
    XdpLoadBalancer, XdpLoadBalancerSpec,
};
pub use mac::MacAddress;
pub use mark::Mark;
pub use matching::{
    AddressMatch, ExtensionHeader, FragmentKind, IcmpFamily, IcmpMatch, IpOption, MAX_ENTRIES,
    MAX_FEW_ENTRIES, Match, TcpFlag, TcpFlagsMatch,
};
pub use network::{DscpRange, EcnRange, LengthRange, TtlRange};
pub use node::{
    ForeignProgram, MAX_NICS, Nic, NicQueues, Softnet, XdpMode, XdpNode, XdpNodeSpec, XdpNodeStatus,
};
pub use node_summary::{FailingNode, InterfaceSummary, MAX_FAILING_NODES, NodeSummary};
pub use numbers::{NumberText, Numbers};
pub use payload::{HexBytes, MAX_PAYLOADS, PayloadLayer, PayloadMatch};
pub use ports::PortRange;
pub use protocol::{Protocol, protocol_name, protocol_names, protocol_number};
pub use rate_limit::{
    LimitKey, MAX_BURST_SECONDS, MAX_BYTES_PER_SECOND, MAX_PACKETS_PER_SECOND, MIN_BYTES_BURST,
    PrefixLengths, RateLimit,
};
pub use rollout::{
    Hold, MAX_STEPS, NodeShare, Ratio, Rollout, RolloutGates, RolloutPhase, RolloutStatus, RolloutStep,
};
pub use rule::{FilterRule, LaterFragments, RuleAction};
pub use selector::LabelSelector;
pub use unknown::{UnknownField, nearest, unknown_fields, unknown_fields_of};
