//! Which registers hold a known number, on every way that leads to an instruction.

use super::instruction::{BY_REGISTER, Code, Instruction, MAP_VALUE, REGISTERS, class, op};

/// The bytes of a map that nobody can change, and the descriptor that instructions name it by.
pub struct Constants<'a> {
    pub map: i32,
    pub bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Unknown,
    Number(u64),
    /// Address of this byte of the constants.
    Constant(u64),
}

use Value::{Constant, Number, Unknown};

type State = [Value; REGISTERS];
const NOTHING_KNOWN: State = [Unknown; REGISTERS];

/// Puts numbers in place of what comes to them, and a jump or nothing in place of branches that they decide. Tells which
/// instructions are reached.
pub fn fold(code: &mut Code, constants: &Constants) -> Vec<bool> {
    let before = propagate(code, constants);
    for (place, state) in before.iter().enumerate() {
        if let Some(state) = state {
            rewrite(&mut code.0[place], state, constants);
        }
    }
    before.iter().map(Option::is_some).collect()
}

/// What is known before each instruction; `None` where it is not reached.
fn propagate(code: &Code, constants: &Constants) -> Vec<Option<State>> {
    let mut before = vec![None; code.0.len()];
    let mut open = vec![(0, NOTHING_KNOWN)];
    while let Some((place, state)) = open.pop() {
        // Nothing is behind the end: the kernel will say so.
        let Some(known) = before.get_mut(place) else { continue };
        let joined = known.map_or(state, |known| join(&known, &state));
        if *known == Some(joined) {
            continue;
        }
        *known = Some(joined);
        follow(code, place, joined, constants, &mut open);
    }
    before
}

fn join(one: &State, other: &State) -> State {
    std::array::from_fn(|register| if one[register] == other[register] { one[register] } else { Unknown })
}

/// Where it goes on from an instruction, with what is known then.
fn follow(code: &Code, place: usize, state: State, constants: &Constants, open: &mut Vec<(usize, State)>) {
    let one = code.0[place];
    let taken = if one.is_branch() { decide(one, &state) } else { None };
    let after = execute(code, place, &state, constants);
    if let Some(target) = code.target(place).filter(|_| taken != Some(false)) {
        // A function is checked and called with whatever it may be given.
        let is_function = one.is_call() || one.is_wide();
        open.push((target, if is_function { NOTHING_KNOWN } else { after }));
    }
    if code.falls_through(place) && taken != Some(true) {
        open.push((place + code.slots(place), after));
    }
}

fn execute(code: &Code, place: usize, state: &State, constants: &Constants) -> State {
    let one = code.0[place];
    let mut after: State =
        std::array::from_fn(
            |register| {
                if one.writes() >> register & 1 == 1 { Unknown } else { state[register] }
            },
        );
    if one.is_wide() {
        let high = code.0.get(place + 1).map_or(0, |second| second.imm as u32 as u64);
        after[usize::from(one.dst)] = match one.src {
            0 => Number(high << 32 | one.imm as u32 as u64),
            MAP_VALUE if one.imm == constants.map => Constant(high),
            _ => Unknown,
        };
    } else if one.is_load() || one.is_alu() {
        after[usize::from(one.dst)] = result(one, state, constants);
    }
    after
}

/// Of a load or of arithmetic.
fn result(one: Instruction, state: &State, constants: &Constants) -> Value {
    if one.is_load() {
        return match state[usize::from(one.src)] {
            Constant(address) => {
                load(constants, address.wrapping_add_signed(one.off.into()), one.loaded_bytes())
            }
            _ => Unknown,
        };
    }
    match (one.class(), state[usize::from(one.dst)], right(one, state)) {
        // A move that extends a sign, and arithmetic with signs, have an offset.
        _ if one.off != 0 => Unknown,
        (class::ALU64, _, right) if one.op() == op::MOV => right,
        (class::ALU64, Constant(address), Number(number)) if one.op() == op::ADD => {
            Constant(address.wrapping_add(number))
        }
        (_, _, Number(0)) if one.op() == op::AND => Number(0),
        (_, left, Number(right)) => {
            let left = match left {
                Number(left) => left,
                _ if one.op() == op::MOV => 0,
                _ => return Unknown,
            };
            let number = if one.class() == class::ALU64 {
                wide(one.op(), left, right)
            } else {
                narrow(one.op(), left as u32, right as u32).map(u64::from)
            };
            number.map_or(Unknown, Number)
        }
        _ => Unknown,
    }
}

fn load(constants: &Constants, address: u64, length: usize) -> Value {
    let bytes =
        usize::try_from(address).ok().and_then(|from| constants.bytes.get(from..from.checked_add(length)?));
    let Some(bytes) = bytes else { return Unknown };
    let mut number = [0; 8];
    number[..length].copy_from_slice(bytes);
    Number(u64::from_le_bytes(number))
}

/// Right side of arithmetic or of a comparison. The kernel extends the sign of a number in an instruction.
fn right(one: Instruction, state: &State) -> Value {
    match one.operand() {
        Some(register) => state[register],
        None => Number(one.imm as i64 as u64),
    }
}

fn wide(operation: u8, left: u64, right: u64) -> Option<u64> {
    Some(match operation {
        op::ADD => left.wrapping_add(right),
        op::SUB => left.wrapping_sub(right),
        op::MUL => left.wrapping_mul(right),
        op::OR => left | right,
        op::AND => left & right,
        op::XOR => left ^ right,
        op::MOV => right,
        op::LSH => left << (right & 63),
        op::RSH => left >> (right & 63),
        op::ARSH => (left as i64 >> (right & 63)) as u64,
        _ => return None,
    })
}

fn narrow(operation: u8, left: u32, right: u32) -> Option<u32> {
    Some(match operation {
        op::LSH => left << (right & 31),
        op::RSH => left >> (right & 31),
        op::ARSH => (left as i32 >> (right & 31)) as u32,
        // The low half of the result is the result of the low halves.
        _ => wide(operation, left.into(), right.into())? as u32,
    })
}

/// Whether a branch is taken, if that is known.
fn decide(one: Instruction, state: &State) -> Option<bool> {
    let (Number(mut left), Number(mut right)) = (state[usize::from(one.dst)], right(one, state)) else {
        return None;
    };
    let (mut left_signed, mut right_signed) = (left as i64, right as i64);
    if one.class() == class::JMP32 {
        (left_signed, right_signed) = ((left as i32).into(), (right as i32).into());
        (left, right) = ((left as u32).into(), (right as u32).into());
    }
    Some(match one.op() {
        op::JEQ => left == right,
        op::JNE => left != right,
        op::JGT => left > right,
        op::JGE => left >= right,
        op::JLT => left < right,
        op::JLE => left <= right,
        op::JSET => left & right != 0,
        op::JSGT => left_signed > right_signed,
        op::JSGE => left_signed >= right_signed,
        op::JSLT => left_signed < right_signed,
        op::JSLE => left_signed <= right_signed,
        _ => return None,
    })
}

fn rewrite(one: &mut Instruction, state: &State, constants: &Constants) {
    if one.is_branch()
        && let Some(taken) = decide(*one, state)
    {
        *one = Instruction { off: if taken { one.off } else { 0 }, ..Instruction::NOTHING };
        return;
    }
    if (one.is_load() || one.is_alu())
        && let Number(number) = result(*one, state, constants)
        && let Some(moved) = moves(*one, number)
    {
        *one = moved;
        return;
    }
    if one.is_branch() && one.operand().is_some_and(|right| state[right] == Unknown) {
        turn(one, state[usize::from(one.dst)]);
    }
    if let Some(Number(number)) = one.operand().map(|register| state[register]) {
        with_number(one, number);
    }
    if changes_nothing(*one) {
        *one = Instruction::NOTHING;
    }
}

/// An instruction of the same length that puts the number where this one leaves its result.
fn moves(one: Instruction, number: u64) -> Option<Instruction> {
    let (class, imm) = match (u32::try_from(number), i32::try_from(number as i64)) {
        (Ok(number), _) => (class::ALU, number as i32),
        (_, Ok(number)) => (class::ALU64, number),
        _ => return None,
    };
    Some(Instruction { code: class | op::MOV, dst: one.dst, src: 0, off: 0, imm })
}

/// Exchanges the sides of a comparison whose left side is known.
fn turn(one: &mut Instruction, left: Value) {
    let turned = match one.op() {
        op::JEQ | op::JNE | op::JSET => one.op(),
        op::JGT => op::JLT,
        op::JLT => op::JGT,
        op::JGE => op::JLE,
        op::JLE => op::JGE,
        op::JSGT => op::JSLT,
        op::JSLT => op::JSGT,
        op::JSGE => op::JSLE,
        op::JSLE => op::JSGE,
        _ => return,
    };
    if matches!(left, Number(_)) {
        one.code = one.code & !op::ALL | turned;
        std::mem::swap(&mut one.dst, &mut one.src);
    }
}

/// The number in place of the register that holds it.
fn with_number(one: &mut Instruction, number: u64) {
    let is_narrow = matches!(one.class(), class::ALU | class::JMP32);
    let imm = if is_narrow { Some(number as i32) } else { i32::try_from(number as i64).ok() };
    let is_shift = one.is_alu() && matches!(one.op(), op::LSH | op::RSH | op::ARSH);
    let is_plain = one.is_branch()
        || matches!(one.op(), op::ADD | op::SUB | op::MUL | op::OR | op::AND | op::XOR)
        // The kernel refuses shifts by more than there are bits.
        || (is_shift && number < if is_narrow { 32 } else { 64 });
    if let Some(imm) = imm.filter(|_| is_plain) {
        one.code &= !BY_REGISTER;
        one.src = 0;
        one.imm = imm;
    }
}

fn changes_nothing(one: Instruction) -> bool {
    // Arithmetic on 32 bits clears the others.
    one.class() == class::ALU64
        && one.code & BY_REGISTER == 0
        && match one.op() {
            op::ADD | op::SUB | op::OR | op::XOR | op::LSH | op::RSH | op::ARSH => one.imm == 0,
            op::AND => one.imm == -1,
            op::MUL => one.imm == 1,
            _ => false,
        }
}
