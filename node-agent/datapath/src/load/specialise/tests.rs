use super::instruction::{Instruction, MAP_VALUE, class, op};
use super::*;

const MAP: i32 = 7;
/// A number of 32 bits, one of 64, and a short one.
const BYTES: [u8; 16] = [5, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

/// Loads of 64, 32 and 16 bits.
const WIDE: u8 = 0x79;
const WORD: u8 = 0x61;
const HALF: u8 = 0x69;
const STORE: u8 = 0x7b;

fn one(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Instruction {
    Instruction { code, dst, src, off, imm }
}

fn address(dst: u8, at: i32) -> [Instruction; 2] {
    [one(0x18, dst, MAP_VALUE, 0, MAP), one(0, 0, 0, 0, at)]
}

fn load(code: u8, dst: u8, src: u8, off: i16) -> Instruction {
    one(code, dst, src, off, 0)
}

fn number(dst: u8, imm: i32) -> Instruction {
    one(class::ALU | op::MOV, dst, 0, 0, imm)
}

fn branch(operation: u8, dst: u8, imm: i32, off: i16) -> Instruction {
    one(class::JMP | operation, dst, 0, off, imm)
}

fn jump(off: i16) -> Instruction {
    one(class::JMP | op::JA, 0, 0, off, 0)
}

fn call(imm: i32) -> Instruction {
    one(class::JMP | op::CALL, 0, 1, 0, imm)
}

fn exit() -> Instruction {
    one(class::JMP | op::EXIT, 0, 0, 0, 0)
}

fn specialised(code: &[&[Instruction]]) -> Vec<Instruction> {
    let mut code = Code(code.concat());
    let reached = values::fold(&mut code, &Constants { map: MAP, bytes: &BYTES });
    let needed = live::needed(&code, &reached);
    compact::compact(code, needed).instructions
}

#[test]
fn a_constant_becomes_a_number_and_nobody_loads_it() {
    let code = specialised(&[&address(1, 0), &[load(WORD, 0, 1, 4), exit()]]);
    assert_eq!(code, [number(0, 0xffff), exit()]);
}

#[test]
fn a_number_that_fits_no_instruction_is_still_loaded() {
    let code = [&address(1, 8)[..], &[load(WIDE, 0, 1, 0), exit()]].concat();
    assert_eq!(specialised(&[&code]), code);
}

#[test]
fn a_decided_branch_is_gone_with_what_it_leads_around() {
    let rest = [number(0, 1), exit(), number(0, 2), exit()];
    let decided =
        |imm| specialised(&[&address(1, 0), &[load(WORD, 1, 1, 0), branch(op::JEQ, 1, imm, 2)], &rest]);
    assert_eq!(decided(5), [number(0, 2), exit()]);
    assert_eq!(decided(6), [number(0, 1), exit()]);
}

#[test]
fn what_is_known_on_one_way_only_is_not_known_where_ways_meet() {
    let packet = load(WORD, 2, 1, 0);
    let code = [packet, number(0, 1), branch(op::JEQ, 2, 7, 1), number(0, 2), exit()];
    assert_eq!(specialised(&[&code]), code);
}

#[test]
fn a_loop_that_counts_is_left_alone() {
    let add = one(class::ALU64 | op::ADD, 2, 0, 0, 1);
    let code = [number(2, 0), number(0, 0), add, branch(op::JLT, 2, 9, -2), exit()];
    assert_eq!(specialised(&[&code]), code);
}

#[test]
fn a_known_operand_becomes_part_of_the_instruction() {
    let and = |code, src, imm| one(code, 0, src, 0, imm);
    let by_register = and(class::ALU64 | op::AND | 8, 2, 0);
    let code =
        specialised(&[&address(2, 0), &[load(HALF, 2, 2, 0), load(WIDE, 0, 1, 0), by_register, exit()]]);
    assert_eq!(code, [load(WIDE, 0, 1, 0), and(class::ALU64 | op::AND, 0, 5), exit()]);
}

#[test]
fn arithmetic_is_that_of_the_kernel() {
    for (code, left, right, expected) in [
        // The number of 32 bits has no sign here, and their sum fits no instruction.
        (class::ALU64 | op::ADD, -1, 1, None),
        (class::ALU64 | op::ADD, 2, 1, Some(3)),
        (class::ALU | op::ADD, -1, 2, Some(1)),
        (class::ALU | op::SUB, 0, 1, Some(-1)),
        (class::ALU64 | op::LSH, 1, 31, Some(i32::MIN)),
        (class::ALU | op::ARSH, i32::MIN, 31, Some(-1)),
        (class::ALU | op::RSH, i32::MIN, 31, Some(1)),
        (class::ALU64 | op::MUL, 3, 5, Some(15)),
        (class::ALU64 | op::XOR, 6, 5, Some(3)),
        // Division has rules of its own, and is not folded.
        (class::ALU64 | 0x30, 6, 5, None),
    ] {
        let arithmetic = one(code, 0, 0, 0, right);
        let found = specialised(&[&[number(0, left), arithmetic, exit()]]);
        let whole = vec![number(0, left), arithmetic, exit()];
        let expected = expected.map_or(whole, |expected| vec![number(0, expected), exit()]);
        assert_eq!(found, expected, "{left} {code:#x} {right}");
    }
}

#[test]
fn comparisons_know_signs_and_widths() {
    let taken = |class: u8, operation, left, right| {
        let code = [
            number(1, left),
            one(class | operation, 1, 0, 2, right),
            number(0, 0),
            exit(),
            number(0, 1),
            exit(),
        ];
        specialised(&[&code]) == [number(0, 1), exit()]
    };
    // -1 in 32 bits is a large number in 64, while the other side's sign is extended.
    assert!(!taken(class::JMP, op::JEQ, -1, -1));
    assert!(taken(class::JMP32, op::JEQ, -1, -1));
    assert!(taken(class::JMP32, op::JSLT, -1, 0));
    assert!(!taken(class::JMP, op::JSLT, -1, 0));
    assert!(taken(class::JMP, op::JSET, 6, 2));
    assert!(taken(class::JMP, op::JGT, 3, 2));
    assert!(!taken(class::JMP, op::JGT, 3, -2));
}

#[test]
fn a_store_stays_and_what_it_stores_too() {
    let store = one(STORE, 1, 2, -8, 0);
    let code = [load(WIDE, 2, 1, 0), store, number(0, 0), exit()];
    assert_eq!(specialised(&[&code]), code);
}

#[test]
fn a_call_forgets_its_registers_and_functions_move_together() {
    let constant = [address(6, 0).as_slice(), &[load(WORD, 6, 6, 0)]].concat();
    let main =
        [constant.as_slice(), &[number(1, 1), call(3), branch(op::JEQ, 6, 5, 1), call(3), exit()]].concat();
    // The second call is not reached, but its function is.
    let function = [number(0, 3), exit()];
    let found = specialised(&[&main, &function]);
    assert_eq!(found, [number(1, 1), call(1), exit(), number(0, 3), exit()]);
}

#[test]
fn a_function_that_nobody_calls_is_gone() {
    let mut function = Function {
        address: 0,
        name: "main".into(),
        section_index: object::SectionIndex(0),
        section_offset: 0,
        instructions: Vec::new(),
        func_info: Default::default(),
        line_info: Default::default(),
        func_info_rec_size: 8,
        line_info_rec_size: 16,
    };
    let code = [
        &address(1, 0)[..],
        &[load(WORD, 1, 1, 0), branch(op::JEQ, 1, 5, 1), call(2), number(0, 1), exit(), number(0, 2), exit()],
    ]
    .concat();
    function.instructions = code.into_iter().map(Into::into).collect();
    let info = |insn_off, type_id| aya_obj::generated::bpf_func_info { insn_off, type_id };
    function.func_info.func_info = vec![info(0, 1), info(7, 2)];
    specialise(&mut function, &Constants { map: MAP, bytes: &BYTES });
    let left: Vec<Instruction> = function.instructions.iter().map(Into::into).collect();
    assert_eq!(left, [number(0, 1), exit()]);
    let functions: Vec<_> =
        function.func_info.func_info.iter().map(|one| (one.insn_off, one.type_id)).collect();
    assert_eq!((functions, function.func_info.num_info), (vec![(0, 1)], 1));
}

#[test]
fn jumps_that_have_become_idle_are_gone_together() {
    let code =
        [load(WORD, 2, 1, 0), branch(op::JEQ, 2, 0, 2), number(0, 1), jump(1), jump(0), number(0, 2), exit()];
    let found = specialised(&[&code]);
    // Nobody reads the first number; without it the branch leads to the next instruction either way.
    assert_eq!(found, [load(WORD, 2, 1, 0), branch(op::JEQ, 2, 0, 0), number(0, 2), exit()]);
}

#[test]
fn a_way_over_jumps_alone_is_one_jump() {
    let read = load(WORD, 2, 1, 0);
    // To the third instruction, from there to the last but one.
    let code = [
        read,
        branch(op::JEQ, 2, 0, 2),
        number(0, 1),
        exit(),
        jump(0),
        jump(1),
        exit(),
        number(0, 2),
        exit(),
    ];
    let found = specialised(&[&code]);
    assert_eq!(found, [read, branch(op::JEQ, 2, 0, 2), number(0, 1), exit(), number(0, 2), exit()]);
    // A loop without an end is left to the verifier.
    let endless = [read, branch(op::JEQ, 2, 0, 2), number(0, 1), exit(), jump(-1)];
    assert_eq!(specialised(&[&endless]), endless);
}

#[test]
fn a_number_on_the_left_becomes_part_of_the_comparison() {
    let read = load(WORD, 2, 1, 0);
    let by_register = one(class::JMP | op::JGT | 8, 3, 2, 2, 0);
    let rest = [number(0, 1), exit(), number(0, 2), exit()];
    // Is 9 above what was read?
    let found = specialised(&[&[read, number(3, 9), by_register], &rest]);
    assert_eq!(found, [[read, branch(op::JLT, 2, 9, 2)].as_slice(), &rest].concat());
}

#[test]
fn a_spill_that_nobody_reads_back_is_gone() {
    let spill = |src, off| one(STORE, 10, src, off, 0);
    let back = |dst, off| load(WIDE, dst, 10, off);
    let read = load(WIDE, 2, 1, 0);
    let code = [read, spill(2, -16), number(0, 0), exit()];
    assert_eq!(specialised(&[&code]), [number(0, 0), exit()]);
    let code = [read, spill(2, -16), back(0, -16), exit()];
    assert_eq!(specialised(&[&code]), code);
    // Written over before it is read.
    let code = [read, spill(2, -16), number(3, 1), spill(3, -16), back(0, -16), exit()];
    assert_eq!(specialised(&[&code]), code[2..]);
    // Half of it is read.
    let code = [read, spill(2, -16), load(WORD, 0, 10, -12), exit()];
    assert_eq!(specialised(&[&code]), code);
}

#[test]
fn what_somebody_has_the_address_of_is_no_spill() {
    let address = [one(class::ALU64 | op::MOV | 8, 1, 10, 0, 0), one(class::ALU64 | op::ADD, 1, 0, 0, -16)];
    let helper = one(class::JMP | op::CALL, 0, 0, 0, 1);
    let stores = [-8, -16, -24].map(|off| one(STORE, 10, 2, off, 0));
    let read = load(WIDE, 2, 1, 0);
    let code = [[read].as_slice(), &stores, &address, &[helper, number(0, 0), exit()]].concat();
    // Only what lies below the address can be nobody's.
    let expected = [[read].as_slice(), &stores[..2], &address, &[helper, number(0, 0), exit()]].concat();
    assert_eq!(specialised(&[&code]), expected);
}
