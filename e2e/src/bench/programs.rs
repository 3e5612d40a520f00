//! What does not depend on the machine's mood: sizes.

use serde::{Deserialize, Serialize};
use sluice_datapath::load::ProgramFacts;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    pub name: String,
    /// Instructions after the verifier has removed what the plan does not use.
    pub instructions: u32,
    /// Bytes of machine code.
    pub jited: u32,
    /// Instructions that the verifier walked.
    pub verified: u32,
}

/// Of one instruction, in bytes.
const INSTRUCTION: u32 = 8;

impl Facts {
    pub fn of(name: &str, facts: &ProgramFacts) -> Facts {
        Facts {
            name: name.to_owned(),
            instructions: facts.translated_size / INSTRUCTION,
            jited: facts.jited_size,
            verified: facts.verified_instructions,
        }
    }
}
