//! A program that we hold, with the terms that it was loaded on.

use std::sync::OnceLock;

use sluice_abi::Config;
use sluice_plan::{Hash, NodePlan};

use crate::cost;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::load::LoadSpec;
use crate::program::Program;
use crate::readback::{self, ReadBack};
use crate::shared::Shared;
use crate::state::ProgramIdentity;

pub struct Member {
    pub program: Program,
    /// `None` for one that was found pinned and not verified.
    pub terms: Option<Terms>,
    cost: OnceLock<u32>,
}

/// What a program was loaded for.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    pub plan: Hash,
    pub spec: LoadSpec,
    pub config: Config,
    /// As the kernel gave it when the program was loaded.
    pub tag: [u8; 8],
}

impl Terms {
    pub fn identity(&self) -> ProgramIdentity {
        ProgramIdentity::of(self.spec.hook, &self.config, self.tag)
    }

    /// Reads every element of `program` back and compares; [`Error::ReadBackMismatch`] names the first that differs.
    pub fn read_back(
        &self,
        program: &Program,
        plan: &NodePlan,
        shared: &Shared,
        interface: &str,
    ) -> Result<ReadBack> {
        let expected = Image::expected(plan, self.config, &self.spec)?;
        readback::read_back(program, plan, &expected, self.tag, shared)?
            .map_err(|mismatch| Error::ReadBackMismatch { interface: interface.to_owned(), mismatch })
    }
}

impl Member {
    pub fn new(program: Program, terms: Option<Terms>) -> Member {
        Member { program, terms, cost: OnceLock::new() }
    }

    /// What a plain packet takes, measured when it is first asked for; `None` where that fails.
    pub fn ns_per_packet(&self) -> Option<u32> {
        if let Some(cost) = self.cost.get() {
            return Some(*cost);
        }
        match cost::ns_per_packet(self.program.fd(), self.program.hook()) {
            Ok(cost) => Some(*self.cost.get_or_init(|| cost)),
            Err(error) => {
                tracing::warn!(%error, "what a packet costs cannot be measured");
                None
            }
        }
    }

    pub fn plan_hash(&self) -> Option<Hash> {
        self.terms.as_ref().map(|terms| terms.plan)
    }

    /// Whether the program can serve an interface that needs `spec` of the plan with this hash.
    pub fn serves(&self, plan: Hash, spec: &LoadSpec) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.plan == plan && terms.spec == *spec)
    }
}
