//! A program that we hold, with the terms that it was loaded on.

use sluice_abi::Config;
use sluice_plan::{Hash, NodePlan};

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
    pub fn plan_hash(&self) -> Option<Hash> {
        self.terms.as_ref().map(|terms| terms.plan)
    }

    /// Whether the program can serve an interface that needs `spec` of the plan with this hash.
    pub fn serves(&self, plan: Hash, spec: &LoadSpec) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.plan == plan && terms.spec == *spec)
    }
}
