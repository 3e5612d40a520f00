//! A filter that drops by default lives by what its rules pass: what a node needs for itself is easily forgotten.

use sluice_policy::{Action, Filter, IcmpFamily, Mode};

use crate::class::{Class, TCP, UDP, acknowledged, icmp, ports, protocol};
use crate::reach::{CASES, Case, Reach, everything, of_rule};
use crate::warning::{Reason, Warning};

/// From which Linux takes source ports unless told otherwise (net.ipv4.ip_local_port_range).
const EPHEMERAL: (u16, u16) = (32_768, 60_999);

/// `before`: filters that may pass it before this one is asked.
pub(crate) fn warning(filter: &Filter, before: &[&Filter]) -> Option<Warning> {
    if filter.default_action != Action::Drop || filter.mode == Mode::Audit {
        return None;
    }
    let mut passed = passed(filter, &[Action::Pass, Action::Next]);
    for earlier in before.iter().filter(|earlier| earlier.mode == Mode::Enforce) {
        passed.extend(self::passed(earlier, &[Action::Pass]));
        if earlier.default_action == Action::Pass {
            passed.push(everything());
        }
    }
    let missing: Vec<String> = needed(&passed)
        .into_iter()
        .filter(|class| !passed.iter().any(|reach| meet(reach, &class.reach)))
        .map(|class| class.name)
        .collect();
    let message = || {
        format!(
            "defaultAction Drop, and no rule passes {}: add rules that do, or take the filter off interfaces that the \
             node itself uses",
            missing.join("; ")
        )
    };
    (!missing.is_empty()).then(|| Warning {
        rule: None,
        reason: Reason::AllowListIncomplete,
        message: message(),
    })
}

fn passed(filter: &Filter, actions: &[Action]) -> Vec<Reach> {
    let passing =
        filter.rules.iter().filter(|rule| rule.mode == Mode::Enforce && actions.contains(&rule.action));
    let mut passed: Vec<Reach> = passing.map(|rule| of_rule(&rule.matches, rule.later_fragments)).collect();
    if filter.allow_established {
        let errors = [
            icmp(IcmpFamily::V4, &[(3, None), (11, None), (12, None)]),
            icmp(IcmpFamily::V6, &[(1, None), (2, None), (3, None), (4, None)]),
        ];
        let replies = [acknowledged(protocol(TCP)), protocol(UDP)];
        passed.extend(replies.into_iter().chain(errors).map(|matches| Class::new("", matches).reach));
    }
    passed
}

/// What a node cannot do without. Path MTU discovery matters in a family of which something passes.
fn needed(passed: &[Reach]) -> Vec<Class> {
    let has = |case: Case| {
        let index = CASES.iter().position(|one| *one == case);
        index.is_some_and(|index| passed.iter().any(|reach| reach[index].is_some()))
    };
    let (first, last) = EPHEMERAL;
    let mut classes = vec![
        Class::new(
            format!("replies to the node's own TCP connections (ACK, to ports {first}-{last})"),
            acknowledged(ports(TCP, None, Some(EPHEMERAL))),
        ),
        Class::new("DNS replies (UDP from port 53)", ports(UDP, Some(53), None)),
        Class::new("NTP replies (UDP from port 123)", ports(UDP, Some(123), None)),
    ];
    if has(Case::V4) {
        let matches = icmp(IcmpFamily::V4, &[(3, Some(4))]);
        classes.push(Class::new("ICMP fragmentation needed (type 3, code 4: path MTU discovery)", matches));
    }
    if has(Case::V6) {
        let matches = icmp(IcmpFamily::V6, &[(2, None)]);
        classes.push(Class::new("ICMPv6 packet too big (type 2: path MTU discovery)", matches));
    }
    classes
}

fn meet(one: &Reach, other: &Reach) -> bool {
    one.iter()
        .zip(other)
        .any(|(one, other)| one.as_ref().zip(other.as_ref()).is_some_and(|(one, other)| one.meets(other)))
}
