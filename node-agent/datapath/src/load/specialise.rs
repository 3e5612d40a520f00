//! A program that a plan's constants are part of.
//!
//! The verifier knows the values of `.rodata` and removes the branches that they decide, but the loads and comparisons in
//! front of them stay, and every packet goes through all of them. So they are folded here, before the kernel sees the
//! program: numbers are propagated through the registers, branches that they decide are taken, and what nobody reads or
//! reaches any more is gone. What remains does the same with each packet, and its tag covers the constants too.

mod compact;
mod instruction;
mod live;
mod values;

use aya_obj::Function;

use instruction::Code;
pub use values::Constants;

/// For a program whose maps and calls are relocated.
pub fn specialise(program: &mut Function, constants: &Constants) {
    let mut code = Code(program.instructions.iter().map(Into::into).collect());
    // Numbers first: they decide what is reached, and only of that it matters what it reads.
    let reached = values::fold(&mut code, constants);
    let needed = live::needed(&code, &reached);
    let compacted = compact::compact(code, needed);
    program.instructions = compacted.instructions.into_iter().map(Into::into).collect();
    let functions = &mut program.func_info;
    functions.func_info.retain(|function| reached[function.insn_off as usize]);
    for function in &mut functions.func_info {
        function.insn_off = compacted.places[function.insn_off as usize];
    }
    functions.num_info = functions.func_info.len() as u32;
}

#[cfg(test)]
mod tests;
