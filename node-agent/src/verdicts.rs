//! What came of a plan, in the protocol's words.

use sluice_datapath::{Applied, InterfaceOutcome, PolicyOutcome, Problem, ProgramFacts};
use sluice_plan::{Epoch, Hash};
use sluice_proto::v1::{self, VerdictStage};
use sluice_proto::{PLAN, set_key};

/// The plan is in force: with the hash that the kernel's bytes have, and what each policy met.
pub fn programmed(nonce: u64, epoch: Epoch, plan: Hash, applied: &Applied) -> v1::Verdicts {
    // Where the plan selects no interface nothing is loaded that could be read.
    let hash = applied.read_back.map_or(plan, |read| read.plan_hash);
    let policies = applied.policies.iter().map(policy).collect();
    let resource = v1::ResourceVerdict {
        key: PLAN.into(),
        hash: hash.0.to_vec(),
        stage: VerdictStage::Programmed.into(),
        policies,
        program: applied.program.map(|facts| program_size(facts, applied)),
        ..v1::ResourceVerdict::default()
    };
    let resources = [resource].into_iter().chain(sets(applied)).collect();
    v1::Verdicts { nonce, epoch: Some(epoch.into()), resources }
}

fn program_size(facts: ProgramFacts, applied: &Applied) -> v1::ProgramSize {
    v1::ProgramSize {
        verified_instructions: facts.verified_instructions,
        jited_bytes: facts.jited_size,
        ns_per_packet: applied.ns_per_packet.unwrap_or_default(),
    }
}

/// The address sets in force.
pub fn sets(applied: &Applied) -> impl Iterator<Item = v1::ResourceVerdict> {
    applied.sets.iter().map(|(name, set)| v1::ResourceVerdict {
        key: set_key(name),
        hash: set.hash.0.to_vec(),
        stage: VerdictStage::Programmed.into(),
        kernel_bytes: set.kernel_bytes,
        ..v1::ResourceVerdict::default()
    })
}

/// A successor of the plan is on disk.
pub fn kept((key, hash): (String, Hash)) -> v1::ResourceVerdict {
    let stage = VerdictStage::Accepted.into();
    v1::ResourceVerdict { key, hash: hash.0.to_vec(), stage, ..v1::ResourceVerdict::default() }
}

/// The plan with this hash is not in force as a whole, or not with its sets, and what was before stays.
pub fn rejected(nonce: u64, epoch: Epoch, plan: Hash, problem: &Problem) -> v1::Verdicts {
    v1::Verdicts { nonce, epoch: Some(epoch.into()), resources: vec![refused(PLAN.into(), plan, problem)] }
}

/// These contents of an address set are not in force; they came with a plan that is not.
pub fn refused_set(name: &str, hash: Hash, problem: &Problem) -> v1::ResourceVerdict {
    refused(set_key(name), hash, problem)
}

/// The plan with this hash was in force and was taken back.
pub fn rolled_back(plan: Hash, problem: &Problem) -> v1::ResourceVerdict {
    v1::ResourceVerdict { stage: VerdictStage::RolledBack.into(), ..refused(PLAN.into(), plan, problem) }
}

fn refused(key: String, hash: Hash, problem: &Problem) -> v1::ResourceVerdict {
    v1::ResourceVerdict {
        key,
        hash: hash.0.to_vec(),
        stage: VerdictStage::Rejected.into(),
        reason: problem.reason.clone(),
        detail: problem.detail.clone(),
        ..v1::ResourceVerdict::default()
    }
}

/// A policy is programmed only where nothing is in its way on any interface that it selects.
fn policy(outcome: &PolicyOutcome) -> v1::PolicyVerdict {
    let first = outcome.problems.first();
    let stage = if first.is_some() { VerdictStage::Rejected } else { VerdictStage::Programmed };
    let details: Vec<_> = outcome.problems.iter().map(|problem| problem.detail.as_str()).collect();
    let note = |note: &Problem| v1::Note { reason: note.reason.clone(), detail: note.detail.clone() };
    v1::PolicyVerdict {
        uid: outcome.policy.uid.clone(),
        generation: outcome.policy.generation,
        stage: stage.into(),
        reason: first.map(|first| first.reason.clone()).unwrap_or_default(),
        detail: details.join("; "),
        interfaces: outcome.interfaces.iter().map(interface).collect(),
        notes: outcome.notes.iter().map(note).collect(),
        selected_interfaces: u32::try_from(outcome.selected).unwrap_or(u32::MAX),
    }
}

fn interface(outcome: &InterfaceOutcome) -> v1::InterfaceState {
    let attachment = outcome.attachment.as_ref();
    v1::InterfaceState {
        name: outcome.name.clone(),
        mode: attachment.map(|attachment| crate::facts::mode(attachment.mode).to_owned()).unwrap_or_default(),
        reason: attachment.and_then(|attachment| attachment.fallback.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use sluice_datapath::{Attachment, LinkMode, ReadBack};
    use sluice_plan::PolicyRef;

    use super::*;

    fn problem(reason: &str) -> Problem {
        Problem { reason: reason.into(), detail: format!("{reason} here") }
    }

    fn applied(problems: Vec<Problem>, notes: Vec<Problem>) -> Applied {
        let attachment =
            Attachment { program_id: 7, mode: LinkMode::Generic, fallback: Some("no native".into()) };
        let eth0 =
            InterfaceOutcome { name: "eth0".into(), ifindex: 2, attachment: Some(attachment), problem: None };
        Applied {
            read_back: Some(ReadBack { plan_hash: Hash([2; 32]), program_tag: [0; 8] }),
            interfaces: vec![eth0.clone()],
            policies: vec![PolicyOutcome {
                policy: PolicyRef { uid: "u".into(), generation: 4, ..PolicyRef::default() },
                interfaces: vec![eth0],
                selected: 1 + problems.len(),
                problems,
                notes,
            }],
            sets: BTreeMap::new(),
            program: None,
            ns_per_packet: None,
            loaded: 1,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn programmed_names_the_hash_of_the_kernels_bytes() {
        let verdicts = programmed(
            5,
            Epoch::default(),
            Hash([1; 32]),
            &applied(vec![], vec![problem("GenericFallback")]),
        );
        let resource = &verdicts.resources[0];
        assert_eq!((verdicts.nonce, resource.stage()), (5, VerdictStage::Programmed));
        assert_eq!(resource.hash, [2; 32]);
        let policy = &resource.policies[0];
        assert_eq!((policy.stage(), policy.reason.as_str()), (VerdictStage::Programmed, ""));
        assert_eq!(policy.notes[0].reason, "GenericFallback");
        assert_eq!((policy.uid.as_str(), policy.generation), ("u", 4));
        assert_eq!(
            (policy.interfaces[0].name.as_str(), policy.interfaces[0].mode.as_str()),
            ("eth0", "generic")
        );
    }

    #[test]
    fn one_interface_in_the_way_rejects_the_policy_and_not_the_plan() {
        let problems = vec![problem("ForeignProgram"), problem("InterfaceMissing")];
        let verdicts = programmed(5, Epoch::default(), Hash([1; 32]), &applied(problems, vec![]));
        assert_eq!(verdicts.resources[0].stage(), VerdictStage::Programmed);
        let policy = &verdicts.resources[0].policies[0];
        assert_eq!((policy.stage(), policy.reason.as_str()), (VerdictStage::Rejected, "ForeignProgram"));
        assert_eq!(policy.detail, "ForeignProgram here; InterfaceMissing here");
        assert_eq!((policy.interfaces.len(), policy.selected_interfaces), (1, 3));
    }

    #[test]
    fn a_plan_without_interfaces_has_its_own_hash() {
        let empty = Applied { read_back: None, ..applied(vec![], vec![]) };
        let verdicts = programmed(0, Epoch::default(), Hash([1; 32]), &empty);
        assert_eq!(verdicts.resources[0].hash, [1; 32]);
    }
}
