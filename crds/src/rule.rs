use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Mark, Match, Mode, RateLimit};

/// What to do with the packets that match.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.action != 'RateLimit' || has(self.rateLimit)")
    .message("action RateLimit needs to know the rate: add rateLimit with packetsPerSecond or bytesPerSecond, and burst"))]
#[x_kube(validation = Rule::new("self.action == 'RateLimit' || !has(self.rateLimit)")
    .message("rateLimit is of no use to another action: write action: RateLimit, or remove rateLimit"))]
#[x_kube(validation = Rule::new("self.action != 'Mark' || has(self.mark)")
    .message("action Mark needs to know the mark: add mark with value"))]
#[x_kube(validation = Rule::new("self.action == 'Mark' || !has(self.mark)")
    .message("mark is of no use to another action: write action: Mark, or remove mark"))]
#[x_kube(validation = Rule::new(
    "!has(self.laterFragments) || (has(self.match) && (has(self.match.tcpFlags) \
     || (has(self.match.sourcePorts) && self.match.sourcePorts.size() > 0) \
     || (has(self.match.destinationPorts) && self.match.destinationPorts.size() > 0) \
     || (has(self.match.icmp) && self.match.icmp.size() > 0) \
     || (has(self.match.payload) && self.match.payload.exists(p, p.from in ['L4', 'Payload']))))",
).message("laterFragments changes nothing in a rule without ports, tcpFlags, icmp or payload from L4 on: remove it"))]
pub struct FilterRule {
    /// The rule's name, unique in its filter: the key of its counters, which live as long as the name.
    /// Lower-case letters, digits and -.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Drop: the packet ends here. Pass: ends the filters; the packet still goes to the load balancer. Next:
    /// leaves this filter at once, its defaultAction included. Count: counts the packet, which goes on with the
    /// next rule. RateLimit: drops what is above the rate of rateLimit; the rest goes on with the next rule.
    /// Mark: sets the mark that nftables, tc and routing rules see; the packet goes on with the next rule.
    pub action: RuleAction,
    /// The rate of action RateLimit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// The mark of action Mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// Enforce or Audit. An audited Drop is counted as wouldDrop, and evaluation goes on as if the rule were
    /// absent. Default: the filter's mode, and Audit wherever the filter says Audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What a rule with ports, tcpFlags, icmp or payload from L4 on does with a later fragment, which carries
    /// none of them. MatchL3: match by the other fields. NoMatch: do not match. Drop: drop the fragment if the other fields
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
            _ => LaterFragments::NoMatch,
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
    Count,
    RateLimit,
    Mark,
}

/// What a rule with fields above IP does with a later fragment.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[schemars(inline)]
pub enum LaterFragments {
    MatchL3,
    NoMatch,
    Drop,
}
