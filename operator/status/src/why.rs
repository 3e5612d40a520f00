//! Why an object is, or is not, in force on one node.

use sluice_crds::reason;
use sluice_proto::v1::VerdictStage;

use crate::book::NodeState;
use crate::policy::{Expected, OnNode, Placed, found};
use crate::rolling::RollingFacts;

/// An object and a node, with all that is known of the two. Pure: times are Unix milliseconds and passed in.
pub struct Asked<'a> {
    pub placed: &'a Placed,
    pub name: &'a str,
    /// None of a node whose agent was never heard of.
    pub node: Option<&'a NodeState>,
    /// What the object's selector asks for and the node's labels do not have.
    pub mismatch: Option<String>,
    /// The wave of the rollout that will draw the node in, and how many there are.
    pub wave: Option<(usize, usize)>,
    pub now: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// The newest generation was read back from the node's kernel.
    pub programmed: bool,
    pub by: By,
    /// As conditions have it; besides NotSelected and NoAgent.
    pub reason: String,
    pub message: String,
    /// The generation that the node is known to enforce, and since when it has said so.
    pub enforced: Option<(i64, i64)>,
}

/// Whose word it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    #[default]
    Operator,
    Agent,
}

pub fn why(asked: &Asked) -> Why {
    let enforced = enforced(asked);
    let (programmed, by, reason, message) = found_for(asked);
    let stays = enforced.filter(|(generation, _)| !programmed && *generation != asked.placed.generation);
    let stays = stays.map(|(generation, _)| format!("; generation {generation} is in force there"));
    Why { programmed, by, reason, message: message + &stays.unwrap_or_default(), enforced }
}

/// Whether it is programmed, who says so, reason and message.
type Found = (bool, By, String, String);

fn found_for(asked: &Asked) -> Found {
    if let Some(refused) = refused(asked) {
        return refused;
    }
    let expected = asked.placed.nodes.iter().find(|expected| expected.node == asked.name);
    let Some(expected) = expected else { return not_meant(asked) };
    let Some(node) = asked.node else { return no_agent() };
    silent(node, asked.now)
        .or_else(|| older_meant(asked, expected))
        .unwrap_or_else(|| on_the_node(asked, expected, node))
}

fn not(by: By, reason: &str, message: String) -> Found {
    (false, by, reason.to_owned(), message)
}

fn enforced(asked: &Asked) -> Option<(i64, i64)> {
    let known = asked.node?.policies.get(&asked.placed.uid)?;
    (known.verdict.stage() == VerdictStage::Programmed).then_some((known.verdict.generation, known.since))
}

/// Before any node is asked. What is held against a deletion is in force as ever.
fn refused(asked: &Asked) -> Option<Found> {
    let (why, message) = asked.placed.refusal.as_ref().filter(|(why, _)| why != reason::MASS_DELETION)?;
    Some(not(By::Operator, why, message.clone()))
}

fn not_meant(asked: &Asked) -> Found {
    if let Some(mismatch) = &asked.mismatch {
        let message = format!("its nodeSelector does not select this node: {mismatch}");
        return not(By::Operator, reason::NOT_SELECTED, message);
    }
    let Some(node) = asked.node else { return no_agent() };
    if asked.placed.ended.is_some() {
        return not(By::Operator, reason::EXPIRED, ended(asked));
    }
    if asked.placed.set.is_some() {
        let message = "no filter that is in force on this node uses it".to_owned();
        return not(By::Operator, reason::UNUSED, message);
    }
    silent(node, asked.now).or_else(|| rolling_out(asked)).unwrap_or_else(|| {
        not(By::Operator, reason::PENDING, "no plan that has it was made for this node yet".to_owned())
    })
}

fn ended(asked: &Asked) -> String {
    let ended = "its spec.expiresAt has passed, so no node is to have it";
    match enforced(asked) {
        Some(_) => format!("{ended}; by this node's last word it is still in force there"),
        None => ended.to_owned(),
    }
}

fn no_agent() -> Found {
    let message =
        "no agent was ever heard of on this node: does one run there, and does it reach the operator?";
    not(By::Operator, reason::NO_AGENT, message.to_owned())
}

fn silent(node: &NodeState, now: i64) -> Option<Found> {
    let message = || {
        let silent = (now - node.last_seen) / 1000;
        format!("no word from its agent for {silent} s; its last plan stays in force")
    };
    node.is_silent(now).then(|| not(By::Operator, reason::UNREACHABLE, message()))
}

fn rolling_out(asked: &Asked) -> Option<Found> {
    let (why, message) = asked.placed.rolling.as_ref().and_then(RollingFacts::abnormal)?;
    let turn = asked.wave.map(|(wave, waves)| format!("this node's turn is in wave {wave}/{waves}; now "));
    Some(not(By::Operator, why, turn.unwrap_or_default() + &message))
}

/// A version before the newest is what the node is to have.
fn older_meant(asked: &Asked, expected: &Expected) -> Option<Found> {
    let older = expected.generation.is_some_and(|generation| generation != asked.placed.generation);
    if older { rolling_out(asked) } else { None }
}

/// The node is to have the newest version: its agent's words say whether it has.
fn on_the_node(asked: &Asked, expected: &Expected, node: &NodeState) -> Found {
    let placed = asked.placed;
    match found(placed, expected, node, asked.now) {
        OnNode::Programmed => {
            let held = placed.refusal.as_ref().map(|(_, message)| format!("; {message}"));
            let message = "read back from its kernel".to_owned() + &held.unwrap_or_default();
            (true, By::Agent, reason::PROGRAMMED.to_owned(), message)
        }
        OnNode::Rejected(why, message) if expected.withheld.is_some() => {
            not(By::Operator, &why, format!("not sent: {message}"))
        }
        OnNode::Rejected(why, message) => {
            let of_all = node.refused.as_ref().is_some_and(|(hash, ..)| *hash == expected.plan);
            let what = if of_all { "the node refused its plan as a whole" } else { "in the node's way" };
            not(By::Agent, &why, format!("{what}: {message}"))
        }
        OnNode::Unreachable(message) => not(By::Operator, reason::UNREACHABLE, message),
        OnNode::Pending => not(By::Operator, reason::PENDING, on_its_way(expected, node)),
    }
}

fn on_its_way(expected: &Expected, node: &NodeState) -> String {
    let has = match &node.plan {
        Some((plan, _)) => format!("the agent has confirmed plan {} last", plan.short()),
        None => "the agent has confirmed no plan yet".to_owned(),
    };
    let link = if node.connected { "" } else { "; its stream is down just now" };
    format!("plan {} is on its way, {has}{link}", expected.plan.short())
}

#[cfg(test)]
mod tests;
