//! Where this node stands: what it enforces, and what it had to refuse.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_client::Held;
use sluice_datapath::{Applied, Problem, reason};
use sluice_plan::{Epoch, Hash, NodePlan};
use sluice_proto::{PLAN, set_key, v1};
use sluice_seal::Seal;

use super::sets::Manifests;
use crate::boot::Confirmed;
use crate::confirmation::NOT_CONFIRMED;
use crate::succession::{Named, Succession};
use crate::verdicts;

/// Where a plan comes from, and what proves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The store that the epoch is of.
    pub cluster: String,
    pub epoch: Epoch,
    pub seal: Seal,
}

#[derive(Default)]
pub struct Standing {
    /// Of the confirmed plan; `None` on a node that never had one.
    pub origin: Option<Origin>,
    hash: Option<Hash>,
    /// The confirmed plan, or an empty one. Of `succession`, the one whose turn it is.
    pub plan: Arc<NodePlan>,
    /// As it was signed.
    pub succession: Succession,
    /// Of the address sets that belong to it.
    pub manifests: Arc<Manifests>,
    outcome: Option<Result<Applied, Problem>>,
    refused: Option<Refused>,
    /// Of the last update.
    pub nonce: u64,
}

/// A plan that was offered after the confirmed one and is not in force.
pub struct Refused {
    pub epoch: Epoch,
    pub hash: Hash,
    /// Address sets that came with it, by name.
    pub sets: Vec<(String, Hash)>,
    pub problem: Problem,
}

impl Standing {
    pub fn at_boot(confirmed: Option<Confirmed>) -> Standing {
        let Some(Confirmed { origin, succession, manifests, outcome }) = confirmed else {
            return Standing::default();
        };
        let Named { hash, plan } = succession.now().clone();
        Standing {
            origin: Some(origin),
            hash: Some(hash),
            plan,
            succession,
            manifests,
            outcome: Some(outcome),
            ..Standing::default()
        }
    }

    /// A plan is confirmed and in force, and so are its sets.
    pub fn confirm(
        &mut self,
        origin: Origin,
        succession: Succession,
        manifests: Arc<Manifests>,
        applied: Applied,
    ) {
        let nonce = self.nonce;
        let Named { hash, plan } = succession.now().clone();
        let (origin, hash, outcome) = (Some(origin), Some(hash), Some(Ok(applied)));
        *self = Standing { origin, hash, plan, succession, manifests, outcome, refused: None, nonce };
    }

    /// The confirmed plan was looked at again. Where only the pins have no place any more it is in force, and held: the
    /// operator is told what is in the way of it, not that it is to be sent again.
    pub fn look(&mut self, outcome: Result<Applied, Problem>) {
        match (&mut self.outcome, outcome) {
            (Some(Ok(applied)), Err(problem)) if problem.reason == reason::BPFFS_MISSING => {
                hinder(applied, &problem);
            }
            (_, outcome) => self.outcome = Some(outcome),
        }
    }

    pub fn refuse(&mut self, refused: Refused) {
        self.refused = Some(refused);
    }

    /// The operator wants what is enforced.
    pub fn forget_refusal(&mut self) {
        self.refused = None;
    }

    pub fn epoch(&self) -> Option<Epoch> {
        self.origin.as_ref().map(|origin| origin.epoch)
    }

    pub fn hash(&self) -> Option<Hash> {
        self.hash
    }

    pub fn applied(&self) -> Option<&Applied> {
        self.outcome.as_ref()?.as_ref().ok()
    }

    /// The confirmed plan is not in force, or not on every interface that it selects.
    pub fn is_hindered(&self) -> bool {
        match &self.outcome {
            Some(Ok(applied)) => applied.interfaces.iter().any(|interface| interface.problem.is_some()),
            Some(Err(_)) => true,
            None => false,
        }
    }

    /// A plan that is not in force is not held, so that the operator sends it again, with its sets.
    pub fn held(&self) -> Held {
        let (mut resources, mut steps) = (BTreeMap::new(), Vec::new());
        let step = self.succession.turns();
        if let (Some(hash), Some(applied)) = (self.hash, self.applied()) {
            steps = self.steps();
            resources.insert(PLAN.to_owned(), hash);
            resources.extend(self.succession.successors().skip(step));
            resources.extend(applied.sets.iter().map(|(name, set)| (set_key(name), set.hash)));
        }
        let epoch = self.epoch();
        let Origin { cluster, seal, .. } = self.origin.clone().unwrap_or_default();
        let (schema, signer) = (self.plan.schema, seal.certificate);
        Held { cluster_id: cluster, epoch, resources, steps, step, schema, signer, on_trial: false }
    }

    fn steps(&self) -> Vec<BTreeMap<String, Hash>> {
        let step = |(named, next): (&Named, _)| {
            let Named { hash, plan } = named;
            let named = plan.sets.iter().filter_map(|name| Some((name, self.manifests.get(name)?)));
            let sets = named.map(|(name, bytes)| (set_key(name), Hash::of(bytes)));
            [(PLAN.to_owned(), *hash)].into_iter().chain(next).chain(sets).collect()
        };
        self.succession.steps().map(step).collect()
    }

    /// With the successors that are kept.
    pub fn verdicts(&self) -> v1::Verdicts {
        let mut verdicts = self.of_plan();
        if !verdicts.resources.is_empty() {
            verdicts.resources.extend(self.succession.successors().map(verdicts::kept));
        }
        verdicts
    }

    fn of_plan(&self) -> v1::Verdicts {
        if let Some(Refused { epoch, hash, problem, .. }) = &self.refused
            && problem.reason == NOT_CONFIRMED
            && let (Some(origin), Some(enforced), Some(applied)) = (&self.origin, self.hash, self.applied())
        {
            let mut verdicts = verdicts::programmed(self.nonce, origin.epoch.max(*epoch), enforced, applied);
            verdicts.resources.push(verdicts::rolled_back(*hash, problem));
            return verdicts;
        }
        if let Some(Refused { epoch, hash, sets, problem }) = &self.refused {
            let mut verdicts = verdicts::rejected(self.nonce, *epoch, *hash, problem);
            verdicts.resources.extend(self.applied().into_iter().flat_map(verdicts::sets));
            verdicts
                .resources
                .extend(sets.iter().map(|(name, hash)| verdicts::refused_set(name, *hash, problem)));
            return verdicts;
        }
        let (Some(epoch), Some(hash), Some(outcome)) = (self.epoch(), self.hash, &self.outcome) else {
            return v1::Verdicts::default();
        };
        match outcome {
            Ok(applied) => verdicts::programmed(self.nonce, epoch, hash, applied),
            Err(problem) => verdicts::rejected(self.nonce, epoch, hash, problem),
        }
    }
}

/// Says of all that is in force what is in its way.
fn hinder(applied: &mut Applied, problem: &Problem) {
    for interface in &mut applied.interfaces {
        interface.problem.get_or_insert_with(|| problem.clone());
    }
    for policy in applied.policies.iter_mut().filter(|policy| !policy.problems.contains(problem)) {
        policy.problems.push(problem.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sluice_datapath::{InterfaceOutcome, PolicyOutcome};
    use sluice_plan::PolicyRef;
    use sluice_proto::v1::VerdictStage;
    use sluice_store::StoredSuccessors;

    use super::*;

    fn epoch(index: u64) -> Epoch {
        Epoch { incarnation: 1, term: 1, index }
    }

    fn applied() -> Applied {
        let sets = BTreeMap::new();
        Applied {
            read_back: None,
            interfaces: vec![],
            policies: vec![],
            sets,
            program: None,
            ns_per_packet: None,
            loaded: 0,
            took: Duration::ZERO,
        }
    }

    fn problem() -> Problem {
        Problem { reason: "VerifierRefused".into(), detail: "no".into() }
    }

    fn confirmed() -> Standing {
        let mut standing = Standing { nonce: 3, ..Standing::default() };
        let origin = Origin { cluster: "store".into(), epoch: epoch(5), seal: Seal::default() };
        let five = Named { hash: Hash([5; 32]), plan: Arc::default() };
        let stays = Succession::read(five, &StoredSuccessors::default()).expect("nothing that is no plan");
        standing.confirm(origin, stays, Arc::default(), applied());
        standing
    }

    fn stage(standing: &Standing) -> (VerdictStage, Vec<u8>, Option<Epoch>) {
        let verdicts = standing.verdicts();
        let resource = &verdicts.resources[0];
        (resource.stage(), resource.hash.clone(), verdicts.epoch.map(Epoch::from))
    }

    #[test]
    fn a_new_node_has_nothing_to_say() {
        let standing = Standing::default();
        assert_eq!((standing.held(), standing.verdicts()), (Held::default(), v1::Verdicts::default()));
    }

    #[test]
    fn a_refused_plan_leaves_the_confirmed_one_held() {
        let mut standing = confirmed();
        let sets = vec![("scanners".to_owned(), Hash([7; 32]))];
        standing.refuse(Refused { epoch: epoch(6), hash: Hash([6; 32]), sets, problem: problem() });
        assert_eq!(stage(&standing), (VerdictStage::Rejected, vec![6; 32], Some(epoch(6))));
        assert_eq!(standing.held().epoch, Some(epoch(5)));
        assert_eq!(standing.held().resources[PLAN], Hash([5; 32]));
        // An interface that comes and goes meanwhile must not hide the refusal.
        standing.look(Ok(applied()));
        assert_eq!(stage(&standing).0, VerdictStage::Rejected);
        standing.forget_refusal();
        assert_eq!(stage(&standing), (VerdictStage::Programmed, vec![5; 32], Some(epoch(5))));
    }

    #[test]
    fn a_plan_that_was_taken_back_is_told_beside_the_one_in_force() {
        let mut standing = confirmed();
        let problem = Problem { reason: NOT_CONFIRMED.into(), detail: String::new() };
        standing.refuse(Refused { epoch: epoch(6), hash: Hash([6; 32]), sets: vec![], problem });
        assert_eq!(stage(&standing), (VerdictStage::Programmed, vec![5; 32], Some(epoch(6))));
        let undone = &standing.verdicts().resources[1];
        assert_eq!((undone.stage(), &undone.hash), (VerdictStage::RolledBack, &vec![6; 32]));
    }

    #[test]
    fn a_plan_whose_pins_have_no_place_is_held_and_hindered() {
        let mut standing = confirmed();
        let mut there = applied();
        let (name, attachment, problem) = ("eth0".into(), None, None);
        there.interfaces.push(InterfaceOutcome { name, ifindex: 2, attachment, problem });
        let policy = PolicyRef::default();
        there.policies.push(PolicyOutcome {
            policy,
            interfaces: vec![],
            selected: 1,
            problems: vec![],
            notes: vec![],
        });
        standing.look(Ok(there.clone()));
        let missing = Problem { reason: reason::BPFFS_MISSING.into(), detail: "mount it".into() };
        for _ in 0..2 {
            standing.look(Err(missing.clone()));
            assert_eq!((standing.held().resources[PLAN], standing.is_hindered()), (Hash([5; 32]), true));
            let verdicts = standing.verdicts();
            let policy = &verdicts.resources[0].policies[0];
            assert_eq!((policy.stage(), policy.detail.as_str()), (VerdictStage::Rejected, "mount it"));
        }
        standing.look(Ok(there));
        assert!(!standing.is_hindered());
    }

    #[test]
    fn a_plan_that_the_kernel_lost_is_not_held() {
        let mut standing = confirmed();
        standing.look(Err(problem()));
        assert_eq!(stage(&standing), (VerdictStage::Rejected, vec![5; 32], Some(epoch(5))));
        assert!(standing.held().resources.is_empty());
        assert_eq!(standing.held().epoch, Some(epoch(5)), "and yet nothing older is taken");
    }
}
