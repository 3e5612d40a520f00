//! The filters of an interface, highest priority first: the first match decides.

use std::cmp::Reverse;

use sluice_policy::{Action, Filter, LaterFragments, Malformed, Mode, Rule};

use crate::considered::Watch;
use crate::interfaces::selects;
use crate::outcome::{Counted, DEFAULT_NAME, Decider, MALFORMED_NAME, Matched, Outcome, Stage, Verdict};
use crate::packet::Packet;
use crate::world::World;

pub(crate) fn run<'w>(
    world: &'w World,
    interface: &str,
    packet: &Packet,
    outcome: &mut Outcome<'w>,
    watch: &mut Watch<'w>,
) {
    let mut filters: Vec<&Filter> =
        world.filters.iter().filter(|filter| selects(&filter.interfaces, world, interface)).collect();
    filters.sort_by_key(|filter| (Reverse(filter.priority), &filter.object.name));
    for filter in filters {
        let flow = match filter.mode {
            Mode::Enforce => enforce(filter, packet, outcome, watch),
            Mode::Audit => audit(filter, packet, outcome, watch),
        };
        if flow == Flow::Decided {
            return;
        }
    }
}

#[derive(PartialEq, Eq)]
enum Flow {
    Decided,
    NextFilter,
}

fn enforce<'w>(
    filter: &'w Filter,
    packet: &Packet,
    outcome: &mut Outcome<'w>,
    watch: &mut Watch<'w>,
) -> Flow {
    let Some(hit) = first_match(filter, packet, outcome, watch) else { return Flow::NextFilter };
    let counted = match hit.action {
        Action::Pass => Counted::Pass,
        Action::Drop => Counted::Drop,
        Action::Next => Counted::Next,
    };
    outcome.count(filter, hit.name, counted);
    if hit.action == Action::Next {
        return Flow::NextFilter;
    }
    outcome.verdict = if hit.action == Action::Drop { Verdict::Drop } else { Verdict::Pass };
    outcome.stage = hit.stage;
    outcome.policy = Some(&filter.object);
    outcome.rule = (hit.stage == Stage::Filter).then_some(hit.name);
    outcome.mode = Some(Mode::Enforce);
    Flow::Decided
}

/// A filter in Audit is absent but for what it would have done.
fn audit<'w>(filter: &'w Filter, packet: &Packet, outcome: &mut Outcome<'w>, watch: &mut Watch<'w>) -> Flow {
    if let Some(hit) = first_match(filter, packet, outcome, watch) {
        outcome.count(filter, hit.name, Counted::Audited);
        outcome.audit(filter, hit.name, hit.action);
    }
    Flow::NextFilter
}

struct Hit<'w> {
    name: &'w str,
    action: Action,
    stage: Stage,
}

/// The first rule that is not in Audit itself, else the malformed setting, else the default action. Notes what rules in
/// Audit would have done on the way.
fn first_match<'w>(
    filter: &'w Filter,
    packet: &Packet,
    outcome: &mut Outcome<'w>,
    watch: &mut Watch<'w>,
) -> Option<Hit<'w>> {
    for rule in &filter.rules {
        if !watch.matches(filter, rule, packet) {
            continue;
        }
        let action = effective_action(rule, packet);
        if rule.mode == Mode::Enforce {
            return Some(Hit { name: &rule.name, action, stage: Stage::Filter });
        }
        outcome.count(filter, &rule.name, Counted::Audited);
        outcome.audit(filter, &rule.name, action);
    }
    if packet.malformed {
        match (filter.malformed, filter.default_action) {
            (Malformed::Drop, _) => return Some(Hit::malformed(Action::Drop)),
            (Malformed::Pass, Action::Next) => {}
            (Malformed::Pass, _) => return Some(Hit::malformed(Action::Pass)),
        }
    }
    match filter.default_action {
        Action::Next => None,
        action => Some(Hit { name: DEFAULT_NAME, action, stage: Stage::Default }),
    }
}

fn effective_action(rule: &Rule, packet: &Packet) -> Action {
    let drops_later = rule.later_fragments == LaterFragments::Drop && rule.matches.has_layer4_fields();
    if drops_later && packet.is_later_fragment() { Action::Drop } else { rule.action }
}

impl Hit<'_> {
    fn malformed(action: Action) -> Self {
        Hit { name: MALFORMED_NAME, action, stage: Stage::Malformed }
    }
}

impl<'w> Outcome<'w> {
    fn count(&mut self, filter: &'w Filter, name: &'w str, counted: Counted) {
        self.matched.push(Matched { entry: Decider { policy: &filter.object, name }, counted });
    }

    /// Only the first Drop is recorded.
    fn audit(&mut self, filter: &'w Filter, name: &'w str, action: Action) {
        if action == Action::Drop && self.audited.is_none() {
            self.audited = Some(Decider { policy: &filter.object, name });
        }
    }
}
