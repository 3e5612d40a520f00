//! Which instructions somebody needs.

use super::instruction::{Code, FRAME, Registers, SLOT, class};

/// Those that are reached, and have an effect or a result that is read by one that is needed.
pub fn needed(code: &Code, reached: &[bool]) -> Vec<bool> {
    let spills = Spills::of(code, reached);
    let read = read_behind(code, reached, &spills);
    let mut needed: Vec<_> =
        (0..code.0.len()).map(|place| reached[place] && spills.is_needed(code, place, read[place])).collect();
    for place in 0..code.0.len() {
        if needed[place] && code.slots(place) == 2 {
            needed[place + 1] = true;
        }
    }
    needed
}

/// Registers and spilled words whose values are read behind an instruction before they are written.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Read {
    registers: Registers,
    /// Bit `n` is the word that begins `8 * (n + 1)` bytes below the frame's end.
    words: u64,
}

fn read_behind(code: &Code, reached: &[bool], spills: &Spills) -> Vec<Read> {
    let mut behind = vec![Read::default(); code.0.len()];
    loop {
        let mut settled = true;
        // Backwards, so that a program without loops takes one turn.
        for place in (0..code.0.len()).rev().filter(|place| reached[*place]) {
            let next = code.falls_through(place).then_some(place + code.slots(place));
            // What a function reads, the call of it does.
            let target = code.target(place).filter(|_| !code.calls(place));
            let mut read = Read::default();
            for next in next.into_iter().chain(target).filter(|next| *next < code.0.len()) {
                let before = spills.before(code, next, behind[next]);
                read.registers |= before.registers;
                read.words |= before.words;
            }
            settled &= behind[place] == read;
            behind[place] = read;
        }
        if settled {
            return behind;
        }
    }
}

/// What the compiler keeps in the frame because it is short of registers: words below all that anybody has the address of.
struct Spills {
    /// Of each instruction's function, how far below the frame's end the lowest such address is.
    addressed: Vec<i32>,
}

impl Spills {
    fn of(code: &Code, reached: &[bool]) -> Spills {
        let mut entries: Vec<usize> = vec![0, code.0.len()];
        entries.extend(
            (0..code.0.len()).filter(|place| code.calls(*place)).filter_map(|place| code.target(place)),
        );
        entries.sort_unstable();
        let mut addressed = vec![0; code.0.len()];
        for function in entries.windows(2) {
            let places = function[0]..function[1];
            let addresses = places.clone().filter(|place| reached[*place]).map(|place| address(code, place));
            let lowest = addresses.max().unwrap_or(0);
            addressed[places].fill(lowest);
        }
        Spills { addressed }
    }

    /// The word that an instruction reads or writes, if it is one of these.
    fn word(&self, code: &Code, place: usize) -> Option<u32> {
        let one = code.0[place];
        let is_frame = if one.class() == class::LDX { one.src } else { one.dst } == FRAME;
        let depth = -i32::from(one.off);
        let is_spill =
            one.is_word() && is_frame && depth % SLOT == 0 && depth >= self.addressed[place] + SLOT;
        is_spill.then(|| (depth / SLOT - 1) as u32).filter(|word| *word < u64::BITS)
    }

    fn is_needed(&self, code: &Code, place: usize, read: Read) -> bool {
        let one = code.0[place];
        match self.word(code, place) {
            Some(word) if one.class() != class::LDX => read.words >> word & 1 == 1,
            _ => one.has_effects() || one.is_jump() || one.writes() & read.registers != 0,
        }
    }

    /// What is read from an instruction on, of what is read behind it.
    fn before(&self, code: &Code, place: usize, behind: Read) -> Read {
        if !self.is_needed(code, place, behind) {
            return behind;
        }
        let one = code.0[place];
        let registers = behind.registers & !one.writes() | one.reads();
        let words = match self.word(code, place) {
            Some(word) if one.class() == class::LDX => behind.words | 1 << word,
            Some(word) => behind.words & !(1 << word),
            // Another width: all that it may touch.
            None if one.touches_frame() => u64::MAX,
            None => behind.words,
        };
        Read { registers, words }
    }
}

/// How far below the frame's end an address is that an instruction makes; the whole frame where that is not plain.
fn address(code: &Code, place: usize) -> i32 {
    const FRAME_SIZE: i32 = 512;
    let one = code.0[place];
    if one.copies(FRAME) {
        // The compiler goes on by the distance at once.
        return match code.0.get(place + 1) {
            Some(next) if next.adds_constant() && next.dst == one.dst && next.imm < 0 => -next.imm,
            _ => FRAME_SIZE,
        };
    }
    // As a number among others, or stored.
    let is_operand = one.operand() == Some(FRAME.into()) || (one.class() == class::STX && one.src == FRAME);
    if is_operand { FRAME_SIZE } else { 0 }
}
