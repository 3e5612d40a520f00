//! The filters of an interface, highest priority first: the first match decides.

use std::cmp::Reverse;

use sluice_policy::{Action, Filter, LaterFragments, Malformed, Mark, Mode, Rule};

use crate::considered::Watch;
use crate::interfaces::selects;
use crate::limits::Arrival;
use crate::outcome::{
    Counted, DEFAULT_NAME, Decider, ESTABLISHED_NAME, MALFORMED_NAME, Matched, Outcome, Stage, Verdict,
};
use crate::packet::Packet;
use crate::world::World;

pub(crate) fn run<'w>(
    world: &'w World,
    interface: &str,
    packet: &Packet,
    arrival: &mut Arrival<'_>,
    outcome: &mut Outcome<'w>,
    watch: &mut Watch<'w>,
) {
    let applies =
        |filter: &&Filter| filter.hook == world.hook && selects(&filter.interfaces, world, interface);
    let mut filters: Vec<&Filter> = world.filters.iter().filter(applies).collect();
    filters.sort_by_key(|filter| (Reverse(filter.priority), &filter.object.name));
    for filter in filters {
        let flow = match filter.mode {
            Mode::Enforce => enforce(world, filter, packet, arrival, outcome, watch),
            Mode::Audit => audit(world, filter, packet, arrival, outcome, watch),
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
    world: &'w World,
    filter: &'w Filter,
    packet: &Packet,
    arrival: &mut Arrival<'_>,
    outcome: &mut Outcome<'w>,
    watch: &mut Watch<'w>,
) -> Flow {
    let Some(hit) = first_match(world, filter, packet, arrival, outcome, watch) else {
        return Flow::NextFilter;
    };
    let (verdict, counted) = match hit.action {
        Action::Pass => (Verdict::Pass, Counted::Pass),
        Action::Drop => (Verdict::Drop, Counted::Drop),
        Action::Next | Action::Count | Action::RateLimit(_) | Action::Mark(_) => {
            outcome.count(filter, hit.name, Counted::Next);
            return Flow::NextFilter;
        }
    };
    outcome.count(filter, hit.name, counted);
    outcome.verdict = verdict;
    outcome.stage = hit.stage;
    outcome.policy = Some(&filter.object);
    outcome.rule = (hit.stage == Stage::Filter).then_some(hit.name);
    outcome.mode = Some(Mode::Enforce);
    Flow::Decided
}

/// A filter in Audit is absent but for what it would have done.
fn audit<'w>(
    world: &'w World,
    filter: &'w Filter,
    packet: &Packet,
    arrival: &mut Arrival<'_>,
    outcome: &mut Outcome<'w>,
    watch: &mut Watch<'w>,
) -> Flow {
    if let Some(hit) = first_match(world, filter, packet, arrival, outcome, watch) {
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

/// Established connections, where the filter lets them be; the first rule that packets do not go on from, else the malformed setting, else the default action. Notes what the
/// others did on the way, or would have done if they or the filter were not in Audit.
fn first_match<'w>(
    world: &'w World,
    filter: &'w Filter,
    packet: &Packet,
    arrival: &mut Arrival<'_>,
    outcome: &mut Outcome<'w>,
    watch: &mut Watch<'w>,
) -> Option<Hit<'w>> {
    if filter.allow_established && world.is_established(packet) {
        return Some(Hit { name: ESTABLISHED_NAME, action: Action::Pass, stage: Stage::Established });
    }
    for rule in &filter.rules {
        if !watch.matches(&world.sets, filter, rule, packet) {
            continue;
        }
        let action = effective_action(filter, rule, packet, arrival);
        if rule.mode == Mode::Enforce && !action.continues() {
            return Some(Hit { name: &rule.name, action, stage: Stage::Filter });
        }
        // Within the rate it does in Audit what it does otherwise.
        let is_within = matches!(action, Action::RateLimit(_));
        let audited = !is_within && (rule.mode == Mode::Audit || filter.mode == Mode::Audit);
        outcome.count(filter, &rule.name, if audited { Counted::Audited } else { Counted::Continue });
        outcome.audit(filter, &rule.name, action);
        if let (Action::Mark(mark), false) = (action, audited) {
            outcome.mark(mark);
        }
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

/// Drop for what is above the rule's rate, too.
fn effective_action(filter: &Filter, rule: &Rule, packet: &Packet, arrival: &mut Arrival<'_>) -> Action {
    let drops_later = rule.later_fragments == LaterFragments::Drop && rule.matches.has_layer4_fields();
    if drops_later && packet.is_later_fragment() {
        return Action::Drop;
    }
    match rule.action {
        Action::RateLimit(limit) if arrival.is_above(filter, rule, &limit, packet) => Action::Drop,
        action => action,
    }
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

    /// The last one decides each bit.
    fn mark(&mut self, Mark { value, mask }: Mark) {
        self.mark = Mark { value: (self.mark.value & !mask) | value, mask: self.mark.mask | mask };
    }

    /// Only the first Drop is recorded.
    fn audit(&mut self, filter: &'w Filter, name: &'w str, action: Action) {
        if action == Action::Drop && self.audited.is_none() {
            self.audited = Some(Decider { policy: &filter.object, name });
        }
    }
}
