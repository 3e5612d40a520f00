//! What the CLI is answered, in the protocol's words.

use sluice_crds::RolloutStatus;
use sluice_index::ObjectKey;
use sluice_proto::v1::{self, FailingNode, NamedCounter, PolicyStatus, SetStatus, WhyRequest, WhyResponse};
use sluice_status::{Conditions, Placed, PolicyState, rollout_status};
use tonic::Status;

use crate::counters::{self, Counter};
use crate::sight::Sight;
use crate::view::View;
use crate::why::{Answer, said_by};

/// The one object that a question is about.
pub fn object_meant(view: &View, sight: &Sight, asked: &WhyRequest) -> Result<ObjectKey, Status> {
    let WhyRequest { node: _, policy, kind, namespace } = asked;
    let is_meant = |key: &ObjectKey| {
        key.name == *policy
            && (kind.is_empty() || key.kind == *kind)
            && (namespace.is_empty() || key.namespace == *namespace)
    };
    let mut meant = view.objects.keys().filter(|key| sight.sees(key) && is_meant(key));
    match (meant.next(), meant.next()) {
        (Some(key), None) => Ok(key.clone()),
        (Some(one), Some(other)) => {
            Err(Status::failed_precondition(format!("{policy} may be {one} or {other}: write it as that")))
        }
        (None, _) => Err(Status::not_found(format!(
            "no policy is named {policy}, or you may not see it: `kubectl sluice status` lists them"
        ))),
    }
}

pub fn why(key: ObjectKey, name: String, answer: Answer) -> WhyResponse {
    let Answer { why, generation, uid, node } = answer;
    let node = node.as_deref();
    let verdict = node.and_then(|node| node.policies.get(&uid)).map(|known| known.verdict.clone());
    let (interfaces, notes) = verdict.map(|verdict| (verdict.interfaces, verdict.notes)).unwrap_or_default();
    let (enforced, since) = why.enforced.unwrap_or_default();
    WhyResponse {
        node: name,
        kind: key.kind,
        namespace: key.namespace,
        policy: key.name,
        generation,
        programmed: why.programmed,
        reason: why.reason,
        message: why.message,
        said_by: said_by(why.by).to_owned(),
        enforced,
        since,
        epoch: node.and_then(|node| node.epoch).map(Into::into),
        plan_hash: node.and_then(|node| node.plan).map(|(hash, _)| hash.short()).unwrap_or_default(),
        interfaces,
        notes,
    }
}

/// What a node's rules counted, as far as the caller may see them.
pub fn counters(view: &View, sight: &Sight, node: &str, policy: &str) -> Vec<NamedCounter> {
    let counters = counters::of_node(view, node).into_iter();
    let chosen = counters
        .filter(|counter| sight.sees(counter.key) && (policy.is_empty() || counter.key.name == policy));
    let named = chosen.map(|Counter { key, name, verdict, total }| NamedCounter {
        kind: key.kind.clone(),
        namespace: key.namespace.clone(),
        policy: key.name.clone(),
        rule: name.to_owned(),
        verdict: verdict.to_owned(),
        packets: total.packets,
        bytes: total.bytes,
    });
    named.collect()
}

fn warnings(placed: &Placed, state: &PolicyState) -> Vec<String> {
    let notes = state.notes.iter().map(|(reason, note)| format!("{reason}: {note}"));
    notes.chain(placed.warnings.iter().map(ToString::to_string)).collect()
}

pub fn policy(placed: &Placed, state: &PolicyState) -> PolicyStatus {
    let conditions = Conditions::new(&[], placed.generation, jiff::Timestamp::now());
    let conditions = match &placed.set {
        Some(_) => conditions.of_set(placed, state),
        None => conditions.of_policy(placed, state),
    };
    let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
    let (ready, reason, message) =
        ready.map(|ready| (ready.status, ready.reason, ready.message)).unwrap_or_default();
    let key = placed.key.clone().expect("the view places objects by their key");
    let healthy = placed.backends.iter().filter(|(_, healthy, _)| *healthy != Some(false)).count();
    PolicyStatus {
        kind: key.kind,
        namespace: key.namespace,
        name: key.name,
        uid: placed.uid.clone(),
        generation: placed.generation,
        hash: placed.hash.map(|hash| hash.short()).unwrap_or_default(),
        mode: placed.mode.clone(),
        rules: placed.rules,
        desired: state.desired,
        programmed: state.programmed,
        rejected: state.rejected,
        unreachable: state.unreachable,
        dropped_packets: state.dropped_packets,
        dropped_per_second: state.dropped_per_second,
        ready,
        reason,
        message,
        failing: state
            .failing
            .iter()
            .map(|(node, reason, message)| FailingNode {
                node: node.clone(),
                reason: reason.clone(),
                message: message.clone(),
            })
            .collect(),
        backends_healthy: healthy as u32,
        backends_total: placed.backends.len() as u32,
        warnings: warnings(placed, state),
        rollout: placed.rolling.as_ref().map(|facts| {
            let RolloutStatus { phase, wave, updated, total, message } = rollout_status(facts);
            v1::RolloutStatus { phase: format!("{phase:?}"), wave, updated, total, message }
        }),
        set: placed.set.as_ref().map(|facts| SetStatus {
            entries: facts.size.map_or(0, |size| size.entries),
            prefixes: facts.size.map_or(0, |size| size.prefixes),
            kernel_bytes: state.kernel_bytes,
            last_fetch: facts.last_fetch().unwrap_or_default(),
            error: facts.error().unwrap_or_default(),
        }),
    }
}

/// Nothing is known of it.
pub fn no_node(node: &str) -> Status {
    Status::not_found(format!(
        "there is no node {node}: `kubectl sluice nodes` lists those that agents run on"
    ))
}
