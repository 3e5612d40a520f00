//! The domain: policies as the compiler and the interpreter take them. Pure data with few methods, no I/O.
//!
//! `sluice-admit` makes these values from API objects; what it lets through satisfies the bounds that each field states,
//! and everything behind it relies on them.

pub mod address_set;
pub mod balancer;
pub mod filter;
pub mod mac;
pub mod payload;
pub mod rollout;
pub mod selection;

pub use address_set::{Feed, ListFormat, ListRef, SetDefinition, SetEntry};
pub use balancer::{Backend, Balancer, HealthCheck, VipPort};
pub use filter::{
    Action, ExtensionHeader, Filter, FragmentKind, IcmpFamily, IcmpMatch, IpOption, LaterFragments, LimitKey,
    Malformed, Mark, Match, Mode, NO_VLAN, PortRange, PrefixSet, Rate, RateLimit, Rule, TcpFlags,
};
pub use mac::MacMatch;
pub use payload::{Layer, PayloadMatch};
pub use rollout::{Gates, Rollout, Share, Step};
pub use selection::{AttachMode, Hook, Interfaces, NodeSelector, ObjectRef, Requirement};
