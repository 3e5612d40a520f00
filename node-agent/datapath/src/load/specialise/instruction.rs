//! What an instruction reads, writes and goes on to (RFC 9669).

use aya_obj::generated::bpf_insn;

pub const REGISTERS: usize = 11;
/// The register with the address of the frame's end.
pub const FRAME: u8 = 10;
/// Bytes of a register.
pub const SLOT: i32 = 8;

pub mod class {
    pub const LD: u8 = 0;
    pub const LDX: u8 = 1;
    pub const ST: u8 = 2;
    pub const STX: u8 = 3;
    pub const ALU: u8 = 4;
    pub const JMP: u8 = 5;
    pub const JMP32: u8 = 6;
    pub const ALU64: u8 = 7;
}

pub mod op {
    /// The bits that say which.
    pub const ALL: u8 = 0xf0;

    pub const ADD: u8 = 0x00;
    pub const SUB: u8 = 0x10;
    pub const MUL: u8 = 0x20;
    pub const OR: u8 = 0x40;
    pub const AND: u8 = 0x50;
    pub const LSH: u8 = 0x60;
    pub const RSH: u8 = 0x70;
    pub const NEG: u8 = 0x80;
    pub const XOR: u8 = 0xa0;
    pub const MOV: u8 = 0xb0;
    pub const ARSH: u8 = 0xc0;
    pub const END: u8 = 0xd0;

    pub const JA: u8 = 0x00;
    pub const JEQ: u8 = 0x10;
    pub const JGT: u8 = 0x20;
    pub const JGE: u8 = 0x30;
    pub const JSET: u8 = 0x40;
    pub const JNE: u8 = 0x50;
    pub const JSGT: u8 = 0x60;
    pub const JSGE: u8 = 0x70;
    pub const CALL: u8 = 0x80;
    pub const EXIT: u8 = 0x90;
    pub const JLT: u8 = 0xa0;
    pub const JLE: u8 = 0xb0;
    pub const JSLT: u8 = 0xc0;
    pub const JSLE: u8 = 0xd0;
}

/// The operand is a register.
pub const BY_REGISTER: u8 = 0x08;
const MODE: u8 = 0xe0;
const MODE_MEM: u8 = 0x60;
const MODE_ATOMIC: u8 = 0xc0;
const SIZE: u8 = 0x18;
/// 64 bits at once, in two slots.
const LDDW: u8 = 0x18;
/// What the number of a [`LDDW`] means.
pub const MAP_VALUE: u8 = 2;
const FUNCTION: u8 = 4;
/// What the number of a call means.
const LOCAL: u8 = 1;
const FETCH: i32 = 1;

/// Registers, as bits.
pub type Registers = u16;
const ARGUMENTS: Registers = 0b11_1110;
const CLOBBERED: Registers = 0b11_1111;

/// Of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instruction {
    pub code: u8,
    pub dst: u8,
    pub src: u8,
    pub off: i16,
    pub imm: i32,
}

impl From<&bpf_insn> for Instruction {
    fn from(one: &bpf_insn) -> Self {
        let (dst, src) = (one.dst_reg(), one.src_reg());
        Instruction { code: one.code, dst, src, off: one.off, imm: one.imm }
    }
}

impl From<Instruction> for bpf_insn {
    fn from(one: Instruction) -> Self {
        bpf_insn {
            code: one.code,
            _bitfield_align_1: [],
            _bitfield_1: bpf_insn::new_bitfield_1(one.dst, one.src),
            off: one.off,
            imm: one.imm,
        }
    }
}

impl Instruction {
    /// A jump to the next instruction.
    pub const NOTHING: Instruction =
        Instruction { code: class::JMP | op::JA, dst: 0, src: 0, off: 0, imm: 0 };

    pub fn class(self) -> u8 {
        self.code & 7
    }

    /// Of arithmetic and jumps.
    pub fn op(self) -> u8 {
        self.code & op::ALL
    }

    /// It takes two slots.
    pub fn is_wide(self) -> bool {
        self.code == LDDW
    }

    pub fn is_alu(self) -> bool {
        matches!(self.class(), class::ALU | class::ALU64)
    }

    /// Where it goes on depends on a comparison.
    pub fn is_branch(self) -> bool {
        matches!(self.class(), class::JMP | class::JMP32)
            && !matches!(self.op(), op::JA | op::CALL | op::EXIT)
    }

    pub fn is_jump(self) -> bool {
        self.code == class::JMP | op::JA
    }

    pub fn is_call(self) -> bool {
        self.code == class::JMP | op::CALL
    }

    pub fn is_exit(self) -> bool {
        self.code == class::JMP | op::EXIT
    }

    /// From memory, without a sign.
    pub fn is_load(self) -> bool {
        self.class() == class::LDX && self.code & MODE == MODE_MEM
    }

    pub fn loaded_bytes(self) -> usize {
        match self.code & SIZE {
            0x00 => 4,
            0x08 => 2,
            0x10 => 1,
            _ => 8,
        }
    }

    /// It moves a whole register from memory or to it, without arithmetic.
    pub fn is_word(self) -> bool {
        matches!(self.class(), class::LDX | class::ST | class::STX)
            && self.code & MODE == MODE_MEM
            && self.loaded_bytes() == 8
    }

    pub fn touches_frame(self) -> bool {
        match self.class() {
            class::LDX => self.src == FRAME,
            class::ST | class::STX => self.dst == FRAME,
            _ => false,
        }
    }

    /// Moves this register, whole, to another.
    pub fn copies(self, register: u8) -> bool {
        self.code == class::ALU64 | op::MOV | BY_REGISTER && self.src == register && self.off == 0
    }

    pub fn adds_constant(self) -> bool {
        self.code == class::ALU64 | op::ADD
    }

    /// The register that arithmetic or a comparison takes its right side from.
    pub fn operand(self) -> Option<usize> {
        let takes = (self.is_alu() && !matches!(self.op(), op::NEG | op::END)) || self.is_branch();
        (takes && self.code & BY_REGISTER != 0).then(|| usize::from(self.src))
    }

    pub fn reads(self) -> Registers {
        let (dst, src) = (1 << self.dst, 1 << self.src);
        match self.class() {
            class::LD => 0,
            class::LDX => src,
            class::ST => dst,
            // A compare-and-exchange takes one side from register 0.
            class::STX if self.code & MODE == MODE_ATOMIC => dst | src | 1,
            class::STX => dst | src,
            _ if self.is_call() => ARGUMENTS,
            _ if self.is_exit() => 1,
            _ if self.is_jump() => 0,
            _ => {
                let left = if self.is_alu() && self.op() == op::MOV { 0 } else { dst };
                left | self.operand().map_or(0, |register| 1 << register)
            }
        }
    }

    pub fn writes(self) -> Registers {
        let (dst, src) = (1 << self.dst, 1 << self.src);
        match self.class() {
            class::LD | class::LDX | class::ALU | class::ALU64 => dst,
            // That it may fetch into either is enough to know nothing of them.
            class::STX if self.code & MODE == MODE_ATOMIC && self.imm & FETCH != 0 => src | 1,
            _ if self.is_call() => CLOBBERED,
            _ => 0,
        }
    }

    /// Something else than its registers and where it goes on.
    pub fn has_effects(self) -> bool {
        !(self.is_alu() || self.is_wide() || self.class() == class::LDX || self.is_jump())
    }
}

/// A whole program, its functions one behind the other.
pub struct Code(pub Vec<Instruction>);

impl Code {
    pub fn slots(&self, place: usize) -> usize {
        1 + usize::from(self.0[place].is_wide())
    }

    /// Where an instruction names another: where a jump or a branch goes, the function that is called or pointed to.
    pub fn target(&self, place: usize) -> Option<usize> {
        let one = self.0[place];
        let distance = if one.is_jump() || one.is_branch() {
            isize::from(one.off)
        } else if (one.is_call() && one.src == LOCAL) || (one.is_wide() && one.src == FUNCTION) {
            one.imm as isize
        } else {
            return None;
        };
        place.checked_add_signed(1 + distance)
    }

    pub fn retarget(&mut self, place: usize, distance: i64) {
        let one = &mut self.0[place];
        // Code only becomes shorter, so that what could be named before can be named now.
        if one.is_jump() || one.is_branch() {
            one.off = distance as i16;
        } else {
            one.imm = distance as i32;
        }
    }

    /// Whether it names a function.
    pub fn calls(&self, place: usize) -> bool {
        self.0[place].is_call() || self.0[place].is_wide()
    }

    /// Whether the instruction behind it is reached from it.
    pub fn falls_through(&self, place: usize) -> bool {
        !(self.0[place].is_jump() || self.0[place].is_exit())
    }
}
