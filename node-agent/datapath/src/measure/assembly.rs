//! The measuring programs, instruction by instruction: a compiler would add to what is subtracted from every measurement.

use std::os::fd::{AsRawFd, BorrowedFd};

use aya_obj::generated::bpf_insn;

use super::{Flows, Maps, RESTORED};

const LOAD_U32: u8 = 0x61;
const STORE_U16: u8 = 0x6b;
const STORE_U32: u8 = 0x63;
const STORE_CONSTANT_U32: u8 = 0x62;
const LOAD_MAP: u8 = 0x18;
const MOVE: u8 = 0xbf;
const MOVE_CONSTANT: u8 = 0xb7;
const ADD_CONSTANT: u8 = 0x07;
const SUBTRACT: u8 = 0x1f;
const SUBTRACT_CONSTANT: u8 = 0x17;
const MULTIPLY_CONSTANT_32: u8 = 0x24;
const MULTIPLY_CONSTANT: u8 = 0x27;
const SHIFT_RIGHT_CONSTANT: u8 = 0x77;
const XOR: u8 = 0xaf;
const XOR_CONSTANT: u8 = 0xa7;
const AND_CONSTANT: u8 = 0x57;
const OR_CONSTANT: u8 = 0x47;
const IF_EQUAL_CONSTANT: u8 = 0x15;
const IF_ABOVE: u8 = 0x2d;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

const LOOKUP_ELEMENT: i32 = 1;
const ADJUST_HEAD: i32 = 44;
const TAIL_CALL: i32 = 12;
const MAP_BY_DESCRIPTOR: u8 = 1;
const VALUE_BY_DESCRIPTOR: u8 = 2;

const XDP_ABORTED: i32 = 0;
const XDP_DROP: i32 = 1;
const XDP_PASS: i32 = 2;
const XDP_TX: i32 = 3;

/// Offsets in `struct xdp_md`.
const DATA: i16 = 0;
const DATA_END: i16 = 4;

/// Behind Ethernet, and behind an IPv4 header without options.
const SOURCE_ADDRESS: i16 = 14 + 12;
const SOURCE_PORT: i16 = 14 + 20;
const SOURCE_ADDRESS_V6: i16 = 14 + 8;
/// Of a 16-bit number in memory: its first byte is 64 to 95, which no special IPv4 address begins with.
const SPECIAL: i32 = 0xff1f;
const UNSPECIAL: i32 = 0x0040;
/// Odd, so that the product visits every number (2^32 divided by the golden ratio).
const SPREAD: i32 = 0x9e37_79b1_u32.cast_signed();

pub fn empty() -> Vec<bpf_insn> {
    always(XDP_DROP).to_vec()
}

pub fn pass() -> Vec<bpf_insn> {
    always(XDP_PASS).to_vec()
}

fn always(action: i32) -> [bpf_insn; 2] {
    [one(MOVE_CONSTANT, 0, 0, 0, action), one(EXIT, 0, 0, 0, 0)]
}

/// Drops IPv4 without options from the prefixes of a tree, whose keys are a length and an address.
pub fn trie(map: BorrowedFd<'_>) -> Vec<bpf_insn> {
    const KEY: i16 = -8;
    const IP_END: i32 = 14 + 20;
    vec![
        one(LOAD_U32, 2, 1, DATA, 0),
        one(LOAD_U32, 3, 1, DATA_END, 0),
        one(MOVE, 4, 2, 0, 0),
        one(ADD_CONSTANT, 4, 0, 0, IP_END),
        one(IF_ABOVE, 4, 3, 11, 0),
        one(LOAD_U32, 4, 2, SOURCE_ADDRESS, 0),
        one(STORE_U32, 10, 4, KEY + 4, 0),
        one(STORE_CONSTANT_U32, 10, 0, KEY, 32),
        one(LOAD_MAP, 1, MAP_BY_DESCRIPTOR, 0, map.as_raw_fd()),
        one(0, 0, 0, 0, 0),
        one(MOVE, 2, 10, 0, 0),
        one(ADD_CONSTANT, 2, 0, 0, KEY.into()),
        one(CALL, 0, 0, 0, LOOKUP_ELEMENT),
        one(IF_EQUAL_CONSTANT, 0, 0, 2, 0),
        one(MOVE_CONSTANT, 0, 0, 0, XDP_DROP),
        one(EXIT, 0, 0, 0, 0),
        one(MOVE_CONSTANT, 0, 0, 0, XDP_PASS),
        one(EXIT, 0, 0, 0, 0),
    ]
}

/// Register 2 holds the frame's start, 3 its end, 5 the address of the number of the frame.
pub fn generator(frame: &[u8], number: BorrowedFd<'_>, sends: bool) -> Vec<bpf_insn> {
    let mut written = restore(frame);
    written.extend([
        one(LOAD_MAP, 5, VALUE_BY_DESCRIPTOR, 0, number.as_raw_fd()),
        one(0, 0, 0, 0, 0),
        one(LOAD_U32, 4, 5, 0, 0),
        one(ADD_CONSTANT, 4, 0, 0, 1),
        one(STORE_U32, 5, 4, 0, 0),
        one(MULTIPLY_CONSTANT_32, 4, 0, 0, SPREAD),
        one(SHIFT_RIGHT_CONSTANT, 4, 0, 0, 16),
        one(AND_CONSTANT, 4, 0, 0, SPECIAL),
        one(OR_CONSTANT, 4, 0, 0, UNSPECIAL),
        one(STORE_U16, 2, 4, SOURCE_ADDRESS, 0),
        one(STORE_U16, 2, 4, SOURCE_PORT, 0),
        // A number and its complement add nothing to the header's checksum.
        one(XOR_CONSTANT, 4, 0, 0, 0xffff),
        one(STORE_U16, 2, 4, SOURCE_ADDRESS + 2, 0),
    ]);
    let mut code = vec![
        one(LOAD_U32, 2, 1, DATA, 0),
        one(LOAD_U32, 3, 1, DATA_END, 0),
        one(MOVE, 4, 2, 0, 0),
        one(ADD_CONSTANT, 4, 0, 0, RESTORED as i32),
        // Over the writing and the two instructions behind it.
        one(IF_ABOVE, 4, 3, written.len() as i16 + 2, 0),
    ];
    code.extend(written);
    code.extend(always(if sends { XDP_TX } else { XDP_DROP }));
    code.extend(always(XDP_ABORTED));
    code
}

/// Register 6 holds the context, 2 the frame's start, 3 its end.
pub fn wrapper(frame: &[u8], flows: &Flows, maps: &Maps) -> Vec<bpf_insn> {
    let mut code = vec![
        one(MOVE, 6, 1, 0, 0),
        one(LOAD_U32, 2, 6, DATA, 0),
        one(LOAD_U32, 3, 6, DATA_END, 0),
        // What the frame has grown by is taken off its head.
        one(MOVE, 4, 3, 0, 0),
        one(SUBTRACT, 4, 2, 0, 0),
        one(SUBTRACT_CONSTANT, 4, 0, 0, frame.len() as i32),
        one(IF_EQUAL_CONSTANT, 4, 0, 5, 0),
        one(MOVE, 1, 6, 0, 0),
        one(MOVE, 2, 4, 0, 0),
        one(CALL, 0, 0, 0, ADJUST_HEAD),
        one(LOAD_U32, 2, 6, DATA, 0),
        one(LOAD_U32, 3, 6, DATA_END, 0),
    ];
    let mut restored = restore(frame);
    restored.extend(vary(flows, maps.flows));
    code.extend([
        one(MOVE, 4, 2, 0, 0),
        one(ADD_CONSTANT, 4, 0, 0, super::SHORTEST as i32),
        // Over the restoring and the five instructions of the tail call.
        one(IF_ABOVE, 4, 3, restored.len() as i16 + 5, 0),
    ]);
    code.extend(restored);
    code.extend([
        one(MOVE, 1, 6, 0, 0),
        one(LOAD_MAP, 2, MAP_BY_DESCRIPTOR, 0, maps.chain),
        one(0, 0, 0, 0, 0),
        one(MOVE_CONSTANT, 3, 0, 0, 0),
        one(CALL, 0, 0, 0, TAIL_CALL),
        one(MOVE_CONSTANT, 0, 0, 0, XDP_ABORTED),
        one(EXIT, 0, 0, 0, 0),
    ]);
    code
}

fn restore(frame: &[u8]) -> Vec<bpf_insn> {
    let words = frame[..RESTORED].chunks_exact(4).zip((0..).step_by(4));
    let restored = words.map(|(word, offset)| {
        let word = i32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        one(STORE_CONSTANT_U32, 2, 0, offset, word)
    });
    restored.collect()
}

/// Register 4 gets the number of the frame, spread over 32 bits, where flows vary.
fn vary(flows: &Flows, table: Option<i32>) -> Vec<bpf_insn> {
    let number = [
        one(LOAD_U32, 4, 2, RESTORED as i16, 0),
        one(ADD_CONSTANT, 4, 0, 0, 1),
        one(STORE_U32, 2, 4, RESTORED as i16, 0),
        one(MULTIPLY_CONSTANT_32, 4, 0, 0, SPREAD),
    ];
    match (flows, table) {
        (Flows::Many, _) => {
            let stores = [one(STORE_U32, 2, 4, SOURCE_ADDRESS, 0), one(STORE_U16, 2, 4, SOURCE_PORT, 0)];
            number.into_iter().chain(stores).collect()
        }
        (Flows::Some(flows), Some(table)) => {
            let words = [(0, SOURCE_ADDRESS), (4, SOURCE_PORT)];
            number.into_iter().chain(look_up(flows.len(), table, &words)).collect()
        }
        (Flows::SomeV6(sources), Some(table)) => {
            let words = [0, 4, 8, 12].map(|word| (word, SOURCE_ADDRESS_V6 + word));
            number.into_iter().chain(look_up(sources.len(), table, &words)).collect()
        }
        _ => Vec::new(),
    }
}

/// The flow at `register 4 / 2^32` of the table, after another round of mixing: words of it, and where they go.
fn look_up(flows: usize, table: i32, words: &[(i16, i16)]) -> Vec<bpf_insn> {
    let mut code = vec![
        one(MOVE, 5, 4, 0, 0),
        one(SHIFT_RIGHT_CONSTANT, 5, 0, 0, 15),
        one(XOR, 4, 5, 0, 0),
        one(MULTIPLY_CONSTANT_32, 4, 0, 0, SPREAD),
        one(MULTIPLY_CONSTANT, 4, 0, 0, flows as i32),
        one(SHIFT_RIGHT_CONSTANT, 4, 0, 0, 32),
        one(STORE_U32, 10, 4, -4, 0),
        one(MOVE, 7, 2, 0, 0),
        one(LOAD_MAP, 1, MAP_BY_DESCRIPTOR, 0, table),
        one(0, 0, 0, 0, 0),
        one(MOVE, 2, 10, 0, 0),
        one(ADD_CONSTANT, 2, 0, 0, -4),
        one(CALL, 0, 0, 0, LOOKUP_ELEMENT),
        one(IF_EQUAL_CONSTANT, 0, 0, 2 * words.len() as i16, 0),
    ];
    for (from, to) in words {
        code.extend([one(LOAD_U32, 4, 0, *from, 0), one(STORE_U32, 7, 4, *to, 0)]);
    }
    code
}

fn one(code: u8, destination: u8, source: u8, offset: i16, constant: i32) -> bpf_insn {
    bpf_insn {
        code,
        _bitfield_align_1: [],
        _bitfield_1: bpf_insn::new_bitfield_1(destination, source),
        off: offset,
        imm: constant,
    }
}
