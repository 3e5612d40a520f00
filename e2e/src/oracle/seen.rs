//! What became of a packet, in the terms that both sides share.

use sluice_datapath::test_run::XdpAction;
use sluice_interpret::{Decider, Outcome, Stage, Verdict};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub verdict: XdpAction,
    pub stage: Stage,
    /// `metadata.uid` of the policy that decided. `None` where a balancer dropped: the kernel traces no balancer then.
    pub policy: Option<String>,
    pub rule: Option<String>,
    /// Policy and name of the first audited Drop.
    pub audited: Option<(String, String)>,
    pub malformed: bool,
    /// Value and mask.
    pub mark: (u32, u32),
}

impl Seen {
    pub fn by_interpreter(outcome: &Outcome) -> Seen {
        let dropped_by_balancer = outcome.stage == Stage::LoadBalancer && outcome.verdict == Verdict::Drop;
        Seen {
            verdict: match outcome.verdict {
                Verdict::Pass => XdpAction::Pass,
                Verdict::Drop => XdpAction::Drop,
                Verdict::Tx => XdpAction::Tx,
            },
            stage: outcome.stage,
            policy: outcome.policy.filter(|_| !dropped_by_balancer).map(|policy| policy.uid.clone()),
            rule: outcome.rule.map(str::to_owned),
            audited: outcome.audited.map(|Decider { policy, name }| (policy.uid.clone(), name.to_owned())),
            malformed: outcome.malformed,
            mark: (outcome.mark.value, outcome.mark.mask),
        }
    }
}
