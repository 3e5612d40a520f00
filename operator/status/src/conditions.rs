//! Conditions whose transition times change only when their status does.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sluice_crds::{Condition, condition_type, reason};
use sluice_lint::Reason;
use sluice_policy::Share;

use crate::policy::{Placed, PolicyState};
use crate::rolling::RollingFacts;

/// Rules that a condition's message names.
const NAMED_RULES: usize = 10;

/// The conditions of one object in the making; `previous` lends the transition times.
pub struct Conditions<'a> {
    previous: &'a [Condition],
    generation: i64,
    now: jiff::Timestamp,
    made: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    pub fn new(previous: &'a [Condition], generation: i64, now: jiff::Timestamp) -> Conditions<'a> {
        Conditions { previous, generation, now, made: Vec::new() }
    }

    pub fn set(&mut self, kind: &str, status: bool, reason: &str, message: String) {
        self.say(kind, if status { "True" } else { "False" }, reason, message);
    }

    /// Nobody can say whether it holds.
    pub fn set_unknown(&mut self, kind: &str, reason: &str, message: String) {
        self.say(kind, "Unknown", reason, message);
    }

    fn say(&mut self, kind: &str, status: &str, reason: &str, message: String) {
        let before = self.previous.iter().find(|old| old.type_ == kind && old.status == status);
        let last_transition_time = before.map_or(Time(self.now), |old| old.last_transition_time.clone());
        self.made.push(Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: Some(self.generation),
            last_transition_time,
        });
    }

    pub fn finish(self) -> Vec<Condition> {
        self.made
    }

    /// Accepted, Programmed, Ready, and while abnormal Reconciling and Stalled, as kstatus reads them.
    pub fn of_policy(mut self, placed: &Placed, state: &PolicyState) -> Vec<Condition> {
        if let Some((why, message)) = &placed.refusal {
            let held = match placed.in_force {
                Some(generation) => format!("generation {generation} stays in force"),
                None if claim_refused(why) => {
                    "no node balances for it: it may not have its addresses".to_owned()
                }
                None => "the newest generation is not in force; nodes keep what they have".to_owned(),
            };
            let message =
                if placed.in_force.is_some() { format!("{message}; {held}") } else { message.clone() };
            self.set(condition_type::ACCEPTED, false, why, message.clone());
            self.set(condition_type::PROGRAMMED, false, why, held.clone());
            self.set(condition_type::READY, false, why, message);
            self.set(condition_type::STALLED, true, why, held);
            return self.finish();
        }
        let (accepted, message) = acceptance(placed);
        self.set(condition_type::ACCEPTED, true, accepted, message);
        self.of_nodes(placed, state)
    }

    /// Programmed, Ready and what goes with them of an object that is accepted.
    pub(crate) fn of_nodes(mut self, placed: &Placed, state: &PolicyState) -> Vec<Condition> {
        let (ready, why, message) = readiness(placed, state);
        let all = state.desired > 0 && state.programmed == state.desired;
        // Backends have no part in this one: the tables are in the kernel whether anybody answers or not.
        let (programmed_why, programmed) =
            if all { (reason::PROGRAMMED, enforcing(placed, state)) } else { (why, message.clone()) };
        self.set(condition_type::PROGRAMMED, all, programmed_why, programmed);
        self.set(condition_type::READY, ready, why, message.clone());
        if [reason::PENDING, reason::ROLLING_OUT].contains(&why) {
            self.set(condition_type::RECONCILING, true, why, message);
        } else if [reason::REJECTED, reason::ROLLED_BACK, reason::PAUSED, reason::HALTED].contains(&why) {
            self.set(condition_type::STALLED, true, why, message);
        }
        self.finish()
    }
}

/// Also of what is in force: a drop that failsafe traffic does not heed is a surprise on the day that it counts.
fn acceptance(placed: &Placed) -> (&'static str, String) {
    let shadowed = placed.warnings.iter().filter(|warning| warning.reason == Reason::ShadowedByFailsafe);
    let rules: Vec<&str> = shadowed.filter_map(|warning| warning.rule.as_deref()).collect();
    let valid = "the object is valid and compiles".to_owned();
    if rules.is_empty() {
        return (reason::ACCEPTED, valid);
    }
    let named = rules[..rules.len().min(NAMED_RULES)].join(", ");
    let more = match rules.len().saturating_sub(NAMED_RULES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("{valid}; failsafe traffic passes before {named}{more}: see status.warnings");
    (reason::SHADOWED_BY_FAILSAFE, message)
}

fn claim_refused(why: &str) -> bool {
    [reason::CONFLICT, reason::ADDRESS_NOT_GRANTED, reason::ADDRESS_IN_USE].contains(&why)
}

fn enforcing(placed: &Placed, state: &PolicyState) -> String {
    if placed.set.is_some() {
        return format!("{} of {} nodes hold its present addresses", state.programmed, state.desired);
    }
    format!("{} of {} nodes enforce generation {}", state.programmed, state.desired, placed.generation)
}

fn readiness(placed: &Placed, state: &PolicyState) -> (bool, &'static str, String) {
    let programmed = enforcing(placed, state);
    let worst = state
        .failing
        .first()
        .map(|(node, why, detail)| format!("; {node}: {why}: {detail}"))
        .unwrap_or_default();
    if let Some(end) = placed.ended.filter(|_| state.desired == 0) {
        return ended(end, state);
    }
    if state.desired == 0 {
        return (
            false,
            reason::NO_NODES,
            "no node is selected: check nodeSelector against the nodes' labels".to_owned(),
        );
    }
    if let Some((why, message)) = placed.rolling.as_ref().and_then(RollingFacts::abnormal) {
        return (false, why, format!("{programmed}; {message}"));
    }
    if state.rejected > 0 {
        return (false, reason::REJECTED, format!("{programmed}, {} refuse it{worst}", state.rejected));
    }
    let unreachable = placed.rolling.as_ref().map_or(Share::Percent(1), |rolling| rolling.max_unreachable);
    if state.unreachable as usize > unreachable.at_most(state.desired as usize) {
        return (
            false,
            reason::UNREACHABLE,
            format!("{programmed}, {} do not answer{worst}", state.unreachable),
        );
    }
    if state.programmed + state.unreachable < state.desired {
        return (false, reason::PENDING, programmed);
    }
    if !placed.ports.is_empty() && placed.ports.iter().any(|(_, healthy, _)| *healthy == 0) {
        return (
            false,
            reason::NO_HEALTHY_BACKENDS,
            "a port has no healthy backend: see status.backends".to_owned(),
        );
    }
    (true, reason::PROGRAMMED, programmed)
}

/// Ready: all that was asked for has come about. Not as long as a node may still enforce it.
fn ended(at: i64, state: &PolicyState) -> (bool, &'static str, String) {
    let at = jiff::Timestamp::from_millisecond(at).map(|at| format!(" at {at}")).unwrap_or_default();
    let ended = format!("it ended{at} (spec.expiresAt)");
    let nodes = |count| if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
    match (state.outlasting, state.outlasting_silent) {
        (0, 0) => (true, reason::EXPIRED, format!("{ended}: no node enforces it")),
        (0, silent) => {
            let message = format!("{ended}; of {} that enforced it there is no word since", nodes(silent));
            (false, reason::UNREACHABLE, message)
        }
        (some, _) => (false, reason::PENDING, format!("{ended}; it is still in force on {}", nodes(some))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balancer_without_healthy_backends_is_programmed_and_not_ready() {
        let ports = vec![("http".to_owned(), 0, 3)];
        let placed = Placed { generation: 4, ports, ..Placed::default() };
        let state = PolicyState { desired: 1, programmed: 1, ..PolicyState::default() };
        let conditions = Conditions::new(&[], 4, jiff::Timestamp::UNIX_EPOCH).of_policy(&placed, &state);
        let said: Vec<_> = conditions.iter().map(|one| (&*one.type_, &*one.status, &*one.reason)).collect();
        assert_eq!(
            said[1..],
            [("Programmed", "True", "Programmed"), ("Ready", "False", "NoHealthyBackends")]
        );
        assert_eq!(conditions[1].message, "1 of 1 nodes enforce generation 4");
    }

    #[test]
    fn what_has_ended_is_ready_once_no_node_has_it() {
        let placed = Placed { generation: 4, ended: Some(1_000), ..Placed::default() };
        let said = |outlasting, outlasting_silent| {
            let state = PolicyState { outlasting, outlasting_silent, ..PolicyState::default() };
            let conditions = Conditions::new(&[], 4, jiff::Timestamp::UNIX_EPOCH).of_policy(&placed, &state);
            let said = |one: &Condition| format!("{} {} {}", one.type_, one.status, one.reason);
            assert!(conditions[2].message.contains("1970-01-01T00:00:01Z"), "{}", conditions[2].message);
            conditions.iter().map(said).collect::<Vec<_>>()
        };
        assert_eq!(said(0, 0), ["Accepted True Accepted", "Programmed False Expired", "Ready True Expired"]);
        let ending = ["Programmed False Pending", "Ready False Pending", "Reconciling True Pending"];
        assert_eq!(said(2, 1)[1..], ending);
        assert_eq!(said(0, 1)[1..], ["Programmed False Unreachable", "Ready False Unreachable"]);
    }

    #[test]
    fn drops_that_the_failsafe_lets_through_are_named() {
        let warning = |rule: &str, reason| sluice_lint::Warning {
            rule: Some(rule.to_owned()),
            reason,
            message: String::new(),
        };
        let warnings = vec![warning("ssh", Reason::ShadowedByFailsafe), warning("web", Reason::Shadowed)];
        let placed = Placed { generation: 4, warnings, ..Placed::default() };
        let conditions = Conditions::new(&[], 4, jiff::Timestamp::UNIX_EPOCH);
        let accepted = &conditions.of_policy(&placed, &PolicyState::default())[0];
        assert_eq!((&*accepted.status, &*accepted.reason), ("True", "ShadowedByFailsafe"));
        assert!(accepted.message.contains("before ssh: see"), "{}", accepted.message);
    }

    #[test]
    fn a_refused_generation_is_told_from_the_one_that_stays_in_force() {
        let said = |in_force| {
            let refusal = Some((reason::ADDRESS_IN_USE.to_owned(), "203.0.113.7: belongs to…".to_owned()));
            let placed = Placed { generation: 4, refusal, in_force, ..Placed::default() };
            let made = Conditions::new(&[], 4, jiff::Timestamp::UNIX_EPOCH);
            let conditions = made.of_policy(&placed, &PolicyState::default());
            assert_eq!((&*conditions[0].status, &*conditions[0].reason), ("False", "AddressInUse"));
            assert_eq!(conditions[0].observed_generation, Some(4));
            [0, 1].map(|index: usize| conditions[index].message.clone())
        };
        let stays = "generation 3 stays in force";
        assert_eq!(said(Some(3)), [format!("203.0.113.7: belongs to…; {stays}"), stays.to_owned()]);
        assert!(said(None)[1].contains("no node balances"));
    }

    #[test]
    fn a_transition_time_stays_while_the_status_does() {
        let first = jiff::Timestamp::from_second(100).expect("a time");
        let later = jiff::Timestamp::from_second(200).expect("a time");
        let placed = Placed { generation: 1, ..Placed::default() };
        let ready = PolicyState { desired: 1, programmed: 1, ..PolicyState::default() };
        let before = Conditions::new(&[], 1, first).of_policy(&placed, &ready);
        let after = Conditions::new(&before, 1, later).of_policy(&placed, &ready);
        assert_eq!(before, after);
        let broken = PolicyState { desired: 1, rejected: 1, ..PolicyState::default() };
        let changed = Conditions::new(&after, 1, later).of_policy(&placed, &broken);
        let of = |list: &[Condition], kind: &str| {
            list.iter().find(|one| one.type_ == kind).expect("there").clone()
        };
        assert_eq!(of(&changed, "Ready").last_transition_time.0, later);
        assert_eq!(of(&changed, "Accepted").last_transition_time.0, first);
    }
}
