//! How large a program may be.

use crate::error::{Error, Result};
use crate::load::ProgramFacts;

/// Most that a program may take, stated below what a kernel takes: the same plan is to load wherever it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramBounds {
    /// Instructions that the verifier walks. Linux gives up at 1,000,000.
    pub verified_instructions: u32,
    /// Machine code, several times what the largest program takes on x86-64.
    pub jited_bytes: u32,
}

impl Default for ProgramBounds {
    fn default() -> Self {
        ProgramBounds { verified_instructions: 500_000, jited_bytes: 128 << 10 }
    }
}

impl ProgramBounds {
    /// A program that is over a bound is refused with both numbers. `interface` is the one that it is for.
    pub(crate) fn check(&self, found: &ProgramFacts, interface: &str) -> Result<()> {
        let counted = [
            ("instructions for the verifier", found.verified_instructions, self.verified_instructions),
            ("bytes of machine code", found.jited_size, self.jited_bytes),
        ];
        match counted.into_iter().find(|(_, found, limit)| found > limit) {
            Some((what, found, limit)) => {
                Err(Error::ProgramTooLarge { interface: interface.to_owned(), what, found, limit })
            }
            None => Ok(()),
        }
    }
}
