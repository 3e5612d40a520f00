use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Match, Mode};

/// What to do with the packets that match.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "!has(self.laterFragments) || (has(self.match) && (has(self.match.tcpFlags) \
     || (has(self.match.sourcePorts) && self.match.sourcePorts.size() > 0) \
     || (has(self.match.destinationPorts) && self.match.destinationPorts.size() > 0) \
     || (has(self.match.icmp) && self.match.icmp.size() > 0)))",
).message("laterFragments changes nothing in a rule without ports, tcpFlags or icmp: remove it"))]
pub struct FilterRule {
    /// The rule's name, unique in its filter: the key of its counters, which live as long as the name.
    /// Lower-case letters, digits and -.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Drop: the packet ends here. Pass: ends the filters; the packet still goes to the load balancer. Next:
    /// leaves this filter at once, its defaultAction included.
    pub action: RuleAction,
    /// Enforce or Audit. An audited Drop is counted as wouldDrop, and evaluation goes on as if the rule were
    /// absent. Default: the filter's mode, and Audit wherever the filter says Audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What a rule with ports, tcpFlags or icmp does with a later fragment, which carries none of them.
    /// MatchL3: match by the other fields. NoMatch: do not match. Drop: drop the fragment if the other fields
    /// match. Default: MatchL3 for Pass, else NoMatch (with the first fragment dropped the datagram is dead).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later_fragments: Option<LaterFragments>,
    /// What a packet must be like; without any field every packet matches.
    #[serde(rename = "match", default, skip_serializing_if = "Match::is_empty")]
    pub matches: Match,
}

impl FilterRule {
    /// The setting with its default, which depends on the action.
    pub fn later_fragments(&self) -> LaterFragments {
        self.later_fragments.unwrap_or(match self.action {
            RuleAction::Pass => LaterFragments::MatchL3,
            RuleAction::Drop | RuleAction::Next => LaterFragments::NoMatch,
        })
    }
}

/// What a rule does with a packet that it matches.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[schemars(inline)]
pub enum RuleAction {
    Drop,
    Pass,
    Next,
}

/// What a rule with fields above IP does with a later fragment.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[schemars(inline)]
pub enum LaterFragments {
    MatchL3,
    NoMatch,
    Drop,
}
