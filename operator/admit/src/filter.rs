//! XdpFilter.

use std::collections::BTreeSet;

use sluice_crds::{
    AttachMode as ApiAttach, DefaultAction, FilterRule, Hook as ApiHook, Kind, LaterFragments as ApiLater,
    MAX_RULES, MalformedAction, Mark as ApiMark, Mode as ApiMode, RateLimit, RuleAction, XdpFilter,
    XdpFilterSpec,
};
use sluice_policy::{
    Action, AttachMode, Filter, Hook, LaterFragments, Malformed, Mark, Mode, ObjectRef, Rule,
};

use crate::moment::moment;
use crate::refusal::{Checks, Refusal};
use crate::{limit, matching, rollout, selection};

/// # Errors
/// Everything that is wrong with the object.
pub fn admit_filter(found: &XdpFilter) -> Result<Filter, Vec<Refusal>> {
    let object = ObjectRef {
        kind: Kind::XdpFilter.name().to_owned(),
        namespace: String::new(),
        name: found.metadata.name.clone().unwrap_or_default(),
        uid: found.metadata.uid.clone().unwrap_or_default(),
        generation: found.metadata.generation.unwrap_or_default(),
    };
    let mut checks = Checks::new(object.clone());
    check_name(&object.name, &mut checks);
    // Without `..`: a new field does not compile until it is looked at.
    let XdpFilterSpec {
        node_selector,
        interfaces,
        attach,
        priority,
        mode,
        default_action,
        malformed,
        allow_established,
        rules,
        expires_at,
        rollout,
    } = &found.spec;
    if i16::try_from(*priority).is_err() {
        checks.refuse(
            "spec.priority",
            format!("{priority} is out of range: write a number from -32768 to 32767"),
        );
    }
    checks.require(
        attach.hook == ApiHook::Xdp || attach.mode == ApiAttach::Auto,
        "spec.attach",
        "mode says how XDP is attached, and hook is another: remove mode, or write hook: Xdp",
    );
    checks.require(
        attach.hook != ApiHook::TcEgress || !allow_established,
        "spec",
        "allowEstablished is about packets that come in: remove it, or write another hook",
    );
    checks.at_most(rules.len(), MAX_RULES, "spec.rules");
    check_unique(rules, &mut checks);
    let filter = Filter {
        object,
        nodes: selection::nodes(node_selector.as_ref(), "spec.nodeSelector", &mut checks),
        interfaces: selection::interfaces(interfaces, &mut checks),
        attach: match attach.mode {
            ApiAttach::Auto => AttachMode::Auto,
            ApiAttach::Native => AttachMode::Native,
            ApiAttach::Generic => AttachMode::Generic,
        },
        hook: match attach.hook {
            ApiHook::Xdp => Hook::Xdp,
            ApiHook::TcIngress => Hook::TcIngress,
            ApiHook::TcEgress => Hook::TcEgress,
        },
        mode: policy_mode(*mode),
        priority: *priority,
        default_action: match default_action {
            DefaultAction::Next => Action::Next,
            DefaultAction::Pass => Action::Pass,
            DefaultAction::Drop => Action::Drop,
        },
        malformed: match malformed {
            MalformedAction::Pass => Malformed::Pass,
            MalformedAction::Drop => Malformed::Drop,
        },
        allow_established: *allow_established,
        rules: rules.iter().enumerate().map(|(index, found)| rule(found, index, &mut checks)).collect(),
        expires: moment(expires_at.as_ref(), "spec.expiresAt", &mut checks),
        rollout: rollout.as_ref().map(|found| rollout::admit(found, "spec.rollout", &mut checks)),
    };
    checks.finish(filter)
}

pub(crate) fn check_name(name: &str, checks: &mut Checks) {
    let message = "the name is longer than 63 characters, which counters and metrics carry: shorten it";
    checks.require(name.len() <= 63, "metadata.name", message);
}

fn check_unique(rules: &[FilterRule], checks: &mut Checks) {
    let mut seen = BTreeSet::new();
    for (index, rule) in rules.iter().enumerate() {
        if !seen.insert(rule.name.as_str()) {
            let message = format!("rule names must be unique: rename one of the two named \"{}\"", rule.name);
            checks.refuse(format!("spec.rules[{index}].name"), message);
        }
    }
}

fn rule(found: &FilterRule, index: usize, checks: &mut Checks) -> Rule {
    let path = format!("spec.rules[{index}]");
    let FilterRule { name, action, rate_limit, mark, mode, later_fragments, matches } = found;
    checks.label(name, &format!("{path}.name"));
    if later_fragments.is_some() && !matches.has_l4_fields() {
        let message = "laterFragments changes nothing in a rule without ports, tcpFlags, icmp or payload from L4 on: \
             remove it";
        checks.refuse(format!("{path}.laterFragments"), message);
    }
    Rule {
        name: name.clone(),
        action: admit_action(*action, (rate_limit.as_ref(), mark.as_ref()), &path, checks),
        mode: policy_mode(mode.unwrap_or_default()),
        later_fragments: match found.later_fragments() {
            ApiLater::MatchL3 => LaterFragments::MatchL3,
            ApiLater::NoMatch => LaterFragments::NoMatch,
            ApiLater::Drop => LaterFragments::Drop,
        },
        matches: matching::admit(matches, &format!("{path}.match"), checks),
    }
}

/// With the settings in the sibling of its name.
fn admit_action(
    action: RuleAction,
    (rate_limit, mark): (Option<&RateLimit>, Option<&ApiMark>),
    path: &str,
    checks: &mut Checks,
) -> Action {
    if rate_limit.is_some() && action != RuleAction::RateLimit {
        let message =
            "rateLimit is of no use to another action: write action: RateLimit, or remove rateLimit";
        checks.refuse(path, message);
    }
    if mark.is_some() && action != RuleAction::Mark {
        checks.refuse(path, "mark is of no use to another action: write action: Mark, or remove mark");
    }
    let mut missing = |message| {
        checks.refuse(path, message);
        Action::Drop
    };
    match action {
        RuleAction::Drop => Action::Drop,
        RuleAction::Pass => Action::Pass,
        RuleAction::Next => Action::Next,
        RuleAction::Count => Action::Count,
        RuleAction::RateLimit => match rate_limit {
            Some(rate) => Action::RateLimit(limit::admit(rate, &format!("{path}.rateLimit"), checks)),
            None => missing(
                "action RateLimit needs to know the rate: add rateLimit with packetsPerSecond or bytesPerSecond, and \
                 burst",
            ),
        },
        RuleAction::Mark => match mark {
            Some(mark) => Action::Mark(admit_mark(mark, &format!("{path}.mark"), checks)),
            None => missing("action Mark needs to know the mark: add mark with value"),
        },
    }
}

fn admit_mark(found: &ApiMark, path: &str, checks: &mut Checks) -> Mark {
    let ApiMark { value, mask } = *found;
    let mask = mask.unwrap_or(u32::MAX);
    checks.require(
        mask != 0,
        path,
        "mask has no bits, so nothing is marked: write the bits to decide, or remove mask",
    );
    if value & !mask != 0 {
        let wanted = value | mask;
        let message = format!(
            "value {value} has bits that mask {mask} leaves alone: write mask {wanted}, or value {}",
            value & mask
        );
        checks.refuse(path, message);
    }
    Mark { value, mask }
}

fn policy_mode(mode: ApiMode) -> Mode {
    match mode {
        ApiMode::Enforce => Mode::Enforce,
        ApiMode::Audit => Mode::Audit,
    }
}
