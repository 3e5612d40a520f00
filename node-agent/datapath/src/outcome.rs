//! What came of a plan on this node, per interface and per policy.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_plan::{Hash, PolicyRef};

use crate::bpf::LinkMode;
use crate::error::{Error, reason};
use crate::load::ProgramFacts;
use crate::readback::ReadBack;

/// A condition's reason and its message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub reason: String,
    pub detail: String,
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Problem {
        Problem { reason: error.reason().to_owned(), detail: error.to_string() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What the kernel returned; `None` if the plan selects no interface of this node, so that nothing is loaded.
    pub read_back: Option<ReadBack>,
    pub interfaces: Vec<InterfaceOutcome>,
    pub policies: Vec<PolicyOutcome>,
    /// Address sets that the plan names, read back when they were made.
    pub sets: BTreeMap<String, SetOutcome>,
    /// The program of those in force that the verifier walked longest.
    pub program: Option<ProgramFacts>,
    /// What a plain packet of a stranger costs the dearest of them, in nanoseconds.
    pub ns_per_packet: Option<u32>,
    /// Programs loaded for it; 0 when all that was there fitted.
    pub loaded: usize,
    /// From the call until every link runs the plan.
    pub took: Duration,
}

/// An address set in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetOutcome {
    /// Names its contents.
    pub hash: Hash,
    /// What it takes up in the kernel.
    pub kernel_bytes: u64,
}

/// An interface that at least one policy selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceOutcome {
    pub name: String,
    pub ifindex: u32,
    /// `None` where nothing of ours runs.
    pub attachment: Option<Attachment>,
    /// Why the plan is not in force here; what ran before still does.
    pub problem: Option<Problem>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub program_id: u32,
    pub mode: LinkMode,
    /// Why `attach.mode: Auto` ended behind the driver.
    pub fallback: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyOutcome {
    pub policy: PolicyRef,
    /// Where it is in force: of an interface with several hooks, that of its own.
    pub interfaces: Vec<InterfaceOutcome>,
    /// How many it selects, those that are missing with them.
    pub selected: usize,
    /// Empty: programmed.
    pub problems: Vec<Problem>,
    /// Worth saying, and no failure.
    pub notes: Vec<Problem>,
}

impl PolicyOutcome {
    /// What a policy meets on the interfaces that it selects, beside what it is missing.
    pub(crate) fn new(
        policy: &PolicyRef,
        missing: &[Error],
        selected: &[&InterfaceOutcome],
    ) -> PolicyOutcome {
        let mut problems: Vec<Problem> = missing.iter().map(Problem::from).collect();
        problems.extend(selected.iter().filter_map(|outcome| outcome.problem.clone()));
        let in_force = selected.iter().filter(|outcome| outcome.problem.is_none());
        let fallback = |outcome: &&&InterfaceOutcome| outcome.attachment.as_ref()?.fallback.clone();
        PolicyOutcome {
            policy: policy.clone(),
            interfaces: in_force.clone().map(|outcome| (*outcome).clone()).collect(),
            selected: missing.len() + selected.len(),
            problems,
            notes: in_force
                .filter_map(|outcome| fallback(&outcome))
                .map(|detail| Problem { reason: reason::GENERIC_FALLBACK.into(), detail })
                .collect(),
        }
    }

    /// Notes the interfaces where it is in force and packets pass without the marks that it gives them.
    pub(crate) fn without_marks<'a>(
        mut self,
        interfaces: impl Iterator<Item = &'a InterfaceOutcome>,
    ) -> PolicyOutcome {
        let in_force = interfaces.filter(|outcome| outcome.problem.is_none());
        let notes = in_force.map(|InterfaceOutcome { name, .. }| Problem {
            reason: reason::MARK_NOT_POSSIBLE.into(),
            detail: format!(
                "interface {name}: packets pass without their mark, for which the driver has no room: write \
                 attach.mode: Generic, or attach.hook: TcIngress"
            ),
        });
        self.notes.extend(notes);
        self
    }
}
