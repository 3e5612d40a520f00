//! What became of a packet, and why.

use std::net::IpAddr;

use sluice_policy::{Mark, Mode, ObjectRef};

/// Counter name of a filter's default action.
pub const DEFAULT_NAME: &str = "_default";
/// Counter name of what a filter does with malformed packets.
pub const MALFORMED_NAME: &str = "_malformed";
/// Counter name of packets that connections of the node's own take.
pub const ESTABLISHED_NAME: &str = "_established";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<'w> {
    pub verdict: Verdict,
    pub stage: Stage,
    /// The policy that decided.
    pub policy: Option<&'w ObjectRef>,
    /// The rule that decided; `None` for a default action, for a filter's other settings and outside filters.
    pub rule: Option<&'w str>,
    /// The mode of what decided; `None` where nothing did. Audit never decides, see `audited`.
    pub mode: Option<Mode>,
    /// The first Drop that Audit kept from happening.
    pub audited: Option<Decider<'w>>,
    pub malformed: bool,
    /// What rules made of the packet's mark, whatever became of it. Bits outside of the mask are 0 and stay as they were.
    pub mark: Mark,
    /// As what the failsafe let it through.
    pub kept: Option<Kept>,
    /// Every entry that counted the packet, in order.
    pub matched: Vec<Matched<'w>>,
    /// Where the balancer may send it; which of them is the ring's business. Empty unless the verdict is Tx.
    pub backends: Vec<IpAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Drop,
    Tx,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Failsafe,
    Filter,
    LoadBalancer,
    /// A filter's default action decided, or nothing did.
    Default,
    /// A filter's malformed setting decided.
    Malformed,
    /// A connection of the node's own takes it, and a filter lets these be.
    Established,
}

/// Traffic that no rule can cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Arp,
    /// LACP and the other slow protocols.
    SlowProtocol,
    Lldp,
    SpanningTree,
    NeighbourDiscovery,
    MulticastListener,
    Igmp,
    Dhcp,
    Bfd,
    Vrrp,
    Ospf,
    /// From a known endpoint of the control plane or of routing.
    ControlReply,
    /// A port of the node that stays reachable.
    Port,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decider<'w> {
    pub policy: &'w ObjectRef,
    /// A rule's name, [`DEFAULT_NAME`], [`MALFORMED_NAME`] or [`ESTABLISHED_NAME`].
    pub name: &'w str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matched<'w> {
    pub entry: Decider<'w>,
    pub counted: Counted,
}

/// As what a counter counted the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    Pass,
    Drop,
    Next,
    Audited,
    /// Went on with the next rule, as its action says.
    Continue,
}

impl Outcome<'_> {
    pub(crate) fn passed_by_nothing(malformed: bool) -> Self {
        Outcome {
            verdict: Verdict::Pass,
            stage: Stage::Default,
            policy: None,
            rule: None,
            mode: None,
            audited: None,
            malformed,
            mark: Mark { value: 0, mask: 0 },
            kept: None,
            matched: Vec::new(),
            backends: Vec::new(),
        }
    }
}
