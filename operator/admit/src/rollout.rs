//! How a version comes to the nodes.

use std::time::Duration;

use sluice_crds::{
    Duration as ApiDuration, Hold, MAX_STEPS, NodeShare, Ratio, Rollout as ApiRollout, RolloutGates,
    RolloutStep,
};
use sluice_policy::{Gates, Rollout, Share, Step};

use crate::balancer::duration;
use crate::refusal::Checks;
use crate::selection;

const MAX_HOLD: Duration = Duration::from_secs(168 * 3600);
const MIN_CONFIRM: Duration = Duration::from_secs(10);
const MAX_REJECTS: u32 = 100_000;
const MAX_NS: u32 = 100_000;

pub(crate) fn admit(found: &ApiRollout, path: &str, checks: &mut Checks) -> Rollout {
    let ApiRollout { canary, steps, gates, max_unreachable, auto_rollback, confirm_timeout } = found;
    checks.at_most(steps.len(), MAX_STEPS, &format!("{path}.steps"));
    let at = |index: usize| format!("{path}.steps[{index}]");
    let steps: Vec<Step> =
        steps.iter().enumerate().map(|(index, found)| step(found, &at(index), checks)).collect();
    for (index, pair) in steps.windows(2).enumerate() {
        let message = "a step has no more nodes than the one before: nodes counts those of earlier steps too, so write \
                       more";
        checks.require(grows(pair[0].nodes, pair[1].nodes), &at(index + 1), message);
    }
    let silent = max_unreachable.clone().unwrap_or_else(|| ApiRollout::DEFAULT_MAX_UNREACHABLE.into());
    Rollout {
        canary: canary
            .as_ref()
            .map(|canary| selection::nodes(Some(canary), &format!("{path}.canary"), checks)),
        steps,
        gates: admit_gates(gates, &format!("{path}.gates"), checks),
        max_unreachable: share(&silent, &format!("{path}.maxUnreachable"), checks),
        auto_rollback: auto_rollback.unwrap_or(true),
        confirm_timeout: confirm_timeout
            .as_ref()
            .and_then(|found| admit_confirm(found, &format!("{path}.confirmTimeout"), checks)),
    }
}

fn admit_confirm(found: &ApiDuration, path: &str, checks: &mut Checks) -> Option<Duration> {
    let timeout = duration(found, path, checks)?;
    let message = "confirmTimeout is shorter than a few of the operator's heartbeats: write 10s or more";
    checks.require(timeout >= MIN_CONFIRM, path, message);
    Some(timeout)
}

/// Numbers and shares cannot be compared before the nodes are known.
fn grows(before: Share, after: Share) -> bool {
    match (before, after) {
        (Share::Percent(before), Share::Percent(after)) => before < after,
        (Share::Count(before), Share::Count(after)) => before < after,
        _ => true,
    }
}

fn step(found: &RolloutStep, path: &str, checks: &mut Checks) -> Step {
    let RolloutStep { nodes, hold } = found;
    let nodes = share(nodes, &format!("{path}.nodes"), checks);
    let message = "a step without nodes does nothing: write 1 or more, or remove the step";
    checks.require(!matches!(nodes, Share::Percent(0) | Share::Count(0)), path, message);
    let hold = hold.as_ref().map(|hold| admit_hold(hold, &format!("{path}.hold"), checks));
    Step { nodes, hold: hold.unwrap_or_default() }
}

fn admit_gates(found: &RolloutGates, path: &str, checks: &mut Checks) -> Gates {
    let RolloutGates { max_rejects, max_drop_ratio, max_balancer_error_ratio, max_ns_per_packet } = found;
    let max_rejects = max_rejects.unwrap_or_default();
    let message = format!("{max_rejects} is out of range: write a number from 0 to {MAX_REJECTS}");
    checks.require(max_rejects <= MAX_REJECTS, &format!("{path}.maxRejects"), &message);
    let mut admitted = |found: &Option<Ratio>, name: &str| {
        found.as_ref().map(|found| ratio(found, &format!("{path}.{name}"), checks))
    };
    let max_drop_ratio = admitted(max_drop_ratio, "maxDropRatio");
    let max_balancer_error_ratio = admitted(max_balancer_error_ratio, "maxBalancerErrorRatio");
    if let Some(ns) = max_ns_per_packet {
        let message = format!("{ns} is out of range: write a number from 1 to {MAX_NS}");
        checks.require((1..=MAX_NS).contains(ns), &format!("{path}.maxNsPerPacket"), &message);
    }
    let max_ns_per_packet = *max_ns_per_packet;
    Gates { max_rejects, max_drop_ratio, max_balancer_error_ratio, max_ns_per_packet }
}

fn share(found: &NodeShare, path: &str, checks: &mut Checks) -> Share {
    let text = found.as_str();
    let number = |digits: &str, most: u32| {
        let plain = digits == "0" || !digits.starts_with(['0', '+']);
        digits.parse::<u32>().ok().filter(|number| plain && *number <= most)
    };
    let parsed = match text.strip_suffix('%') {
        Some(digits) => {
            number(digits, 100).and_then(|percent| u8::try_from(percent).ok()).map(Share::Percent)
        }
        None => number(text, 99_999).map(Share::Count),
    };
    parsed.unwrap_or_else(|| {
        let message = format!("\"{text}\" is no part of the nodes: write a number as 3 or a share as 10%");
        checks.refuse(path, message);
        Share::Percent(100)
    })
}

/// In millionths.
fn ratio(found: &Ratio, path: &str, checks: &mut Checks) -> u32 {
    let text = found.as_str();
    let (whole, decimals) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let parsed = match (whole, decimals) {
        ("0" | "1", None) => whole.parse().ok().map(|whole: u32| whole * 1_000_000),
        ("0" | "1", Some(decimals)) if (1..=6).contains(&decimals.len()) && !decimals.starts_with('+') => {
            let millionths = format!("{decimals:0<6}").parse::<u32>().ok();
            millionths.map(|millionths| if whole == "1" { 1_000_000 + millionths } else { millionths })
        }
        _ => None,
    };
    parsed.filter(|millionths| *millionths <= 1_000_000).unwrap_or_else(|| {
        checks.refuse(path, format!("\"{text}\" is no ratio: write a number from 0 to 1, as 0.05"));
        0
    })
}

fn admit_hold(found: &Hold, path: &str, checks: &mut Checks) -> Duration {
    let Some(length) = found.to_std() else {
        let message = format!("\"{found}\" is not a length of time: write \"30s\", \"10m\" or \"24h\"");
        checks.refuse(path, message);
        return Duration::ZERO;
    };
    let message = format!("\"{found}\" is out of range: write a time up to 168h");
    checks.require(length <= MAX_HOLD, path, &message);
    length
}
