//! A program that was broken on purpose, for tests that ask whether anybody would notice.

use aya_obj::Object;

use super::LoadError;

/// Another constant in every instruction that has this opcode and this constant, in a function whose symbol ends so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    pub function: &'static str,
    pub opcode: u8,
    pub from: i32,
    pub to: i32,
}

pub fn apply(object: &mut Object, patches: &[Patch]) -> Result<(), LoadError> {
    for patch in patches {
        let functions =
            object.functions.values_mut().filter(|function| function.name.ends_with(patch.function));
        let mut found = functions
            .flat_map(|function| &mut function.instructions)
            .filter(|one| one.code == patch.opcode && one.imm == patch.from)
            .peekable();
        if found.peek().is_none() {
            return Err(LoadError::Object(format!("no instruction for {patch:x?}")));
        }
        found.for_each(|one| one.imm = patch.to);
    }
    Ok(())
}
