//! What of a status people want to be told of when it comes about: Kubernetes Events, or lines of a log.

use serde_json::Value;
use sluice_crds::{Kind, condition_type, reason};
use sluice_index::ObjectKey;

use crate::book::{DriftOnNode, NodeState};

/// Room that the API gives a note.
const NOTE_BYTES: usize = 1024;

/// About one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub object: ObjectKey,
    pub uid: String,
    /// Somebody may want to look.
    pub warning: bool,
    /// One word for programs.
    pub reason: String,
    /// Tells notices of one reason apart: those of an object that share both are one series.
    pub action: String,
    pub note: String,
}

/// Makes the notices of one object.
pub struct Notices<'a> {
    object: &'a ObjectKey,
    uid: &'a str,
    made: Vec<Notice>,
}

impl<'a> Notices<'a> {
    pub fn new(object: &'a ObjectKey, uid: &'a str) -> Notices<'a> {
        Notices { object, uid, made: Vec::new() }
    }

    /// What a status says that the one before did not.
    pub fn of_change(mut self, before: Option<&Value>, now: &Value) -> Vec<Notice> {
        let nothing = Value::Null;
        let before = before.unwrap_or(&nothing);
        self.of_conditions(before, now);
        if self.object.kind == Kind::XdpNode.name() {
            self.of_foreign_programs(before, now);
        } else {
            self.of_rollout(&before["rollout"], &now["rollout"]);
        }
        self.made
    }

    /// What others did on a node since `told`.
    pub fn of_drift(mut self, node: &NodeState, told: impl Fn(&str) -> u64) -> Vec<Notice> {
        for (what, drift) in &node.drift {
            let times = drift.times.saturating_sub(told(what));
            if times > 0 {
                let reason = if drift.repaired { "DriftRepaired" } else { "DriftFound" };
                self.add(true, reason, format!("{what} {}", drift.place).trim(), words(what, drift, times));
            }
        }
        self.made
    }

    fn of_conditions(&mut self, before: &Value, now: &Value) {
        let ready = Condition::of(now, condition_type::READY);
        let ready_before = Condition::of(before, condition_type::READY);
        let stalled = Condition::of(now, condition_type::STALLED);
        if stalled.status == "True" {
            let worst = worst(now, &stalled);
            let stalled_before = Condition::of(before, condition_type::STALLED);
            let other_worst =
                stalled.reason == reason::REJECTED && worst != self::worst(before, &stalled_before);
            if stalled.reason != stalled_before.reason || other_worst {
                self.add(stalled.reason != reason::PAUSED, stalled.reason, worst, ready.message.to_owned());
            }
        } else if ready.status == "True"
            && (ready_before.status != "True"
                || ready.reason == reason::EXPIRED && ready_before.reason != ready.reason)
        {
            self.add(false, ready.reason, condition_type::READY, ready.message.to_owned());
        } else if ready.status != "True"
            && ready.reason != ready_before.reason
            && self.is_worth_a_look(&ready)
        {
            self.add(true, ready.reason, condition_type::READY, ready.message.to_owned());
        }
    }

    fn is_worth_a_look(&self, ready: &Condition) -> bool {
        let of_policies = [reason::UNREACHABLE, reason::NO_NODES, reason::NO_HEALTHY_BACKENDS];
        self.object.kind == Kind::XdpNode.name() || of_policies.contains(&ready.reason)
    }

    /// Waves as they begin, and the end; what went wrong is a condition.
    fn of_rollout(&mut self, before: &Value, now: &Value) {
        let word = |rollout: &Value, field: &str| rollout[field].as_str().unwrap_or_default().to_owned();
        let (phase, wave) = (word(now, "phase"), word(now, "wave"));
        let goes_on = |phase: &str| ["Advancing", "Holding"].contains(&phase);
        let is_new = !goes_on(&word(before, "phase")) || word(before, "wave") != wave;
        if goes_on(&phase) && is_new {
            self.add(false, reason::ROLLING_OUT, &format!("wave {wave}"), word(now, "message"));
        } else if phase == "Done" && goes_on(&word(before, "phase")) {
            let nodes = &now["total"];
            self.add(false, "RolledOut", "Done", format!("the version is on all {nodes} nodes"));
        }
    }

    fn of_foreign_programs(&mut self, before: &Value, now: &Value) {
        let nics = |status: &Value| status["nics"].as_array().cloned().unwrap_or_default();
        let known = nics(before);
        for nic in nics(now) {
            let (name, foreign) = (nic["name"].as_str().unwrap_or_default(), &nic["foreignProgram"]);
            let Some(id) = foreign["id"].as_u64() else { continue };
            if known.iter().any(|old| old["name"] == name && old["foreignProgram"]["id"] == id) {
                continue;
            }
            let mode = foreign["mode"].as_str().unwrap_or_default();
            let called = foreign["name"].as_str().unwrap_or("name not readable");
            let note = format!(
                "interface {name} runs another's XDP program (id {id}, mode {mode}, {called}): it is not displaced, and \
                 policies of hook Xdp that select the interface are not in force there"
            );
            self.add(true, "ForeignProgram", &format!("{name} {id}"), note);
        }
    }

    fn add(&mut self, warning: bool, reason: &str, action: &str, mut note: String) {
        note.truncate(note.floor_char_boundary(NOTE_BYTES));
        let (object, uid) = (self.object.clone(), self.uid.to_owned());
        let (reason, action) = (reason.to_owned(), action.to_owned());
        self.made.push(Notice { object, uid, warning, reason, action, note });
    }
}

#[derive(Default)]
struct Condition<'a> {
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl Condition<'_> {
    /// Empty where there is none.
    fn of<'a>(status: &'a Value, kind: &str) -> Condition<'a> {
        let conditions = status["conditions"].as_array();
        let Some(found) = conditions.into_iter().flatten().find(|one| one["type"] == kind) else {
            return Condition::default();
        };
        let word = |field: &str| found[field].as_str().unwrap_or_default();
        Condition { status: word("status"), reason: word("reason"), message: word("message") }
    }
}

/// Why the first of the nodes that refuse it does so, if any does.
fn worst<'a>(status: &'a Value, stalled: &Condition<'a>) -> &'a str {
    status["nodes"]["failing"][0]["reason"].as_str().unwrap_or(stalled.reason)
}

fn words(what: &str, drift: &DriftOnNode, times: u64) -> String {
    let place = &drift.place;
    let deed = match what {
        "program_detached" => format!("somebody took Sluice's program off interface {place}"),
        "program_replaced" => format!("somebody put another program into Sluice's link on interface {place}"),
        "pin_removed" if place.is_empty() => "somebody removed a pin of Sluice's".to_owned(),
        "pin_removed" => format!("somebody removed the pin of Sluice's link on interface {place}"),
        "marks_detached" => format!("somebody took the program that hands on marks off interface {place}"),
        "set_replaced" => format!("somebody put another map in the place of address set {place}"),
        "set_altered" => format!("address set {place} did not hold what was written to it"),
        "interface_gone" => format!("interface {place} went, and Sluice's program with it"),
        "interface_renamed" => format!("an interface with Sluice's program is called {place} now"),
        "interface_down" => format!("interface {place} was taken down, with Sluice's program on it"),
        other => format!("{other} {place}"),
    };
    let often = if times > 1 { format!(", the last of {times} such findings") } else { String::new() };
    let end = if drift.repaired {
        "what policies ask for is in force"
    } else {
        "it could not be put back: see what the policies' status says of this node"
    };
    format!("{deed}{often}; {end}")
}

#[cfg(test)]
#[path = "notice/tests.rs"]
mod tests;
