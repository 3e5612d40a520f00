//! From a root to a leaf.

use sluice_abi::{MAX_DEPTH, features, leaf, word};

use crate::constants::enabled;
use crate::maps::{CHILDREN, NODES};
use crate::packet::Packet;

/// A power of two, so that a mask keeps an index within.
const WORDS: usize = 8;
const _: () = assert!(word::COUNT <= WORDS);

/// The leaf that the packet comes to.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn descend(packet: *mut Packet, root: u32) -> u32 {
    // SAFETY: the caller's packet, or null in the verifier's eyes.
    let Some(packet) = (unsafe { packet.as_ref() }) else { return leaf::EMPTY };
    if !enabled(features::LARGE) {
        return leaf::EMPTY;
    }
    let words: [u64; WORDS] = [
        packet.source[0],
        packet.source[1],
        packet.destination[0],
        packet.destination[1],
        packet.protocol as u64,
        packet.source_port as u64,
        packet.destination_port as u64,
        0,
    ];
    let mut child = root;
    let mut depth = 0;
    while depth < MAX_DEPTH {
        if leaf::is(child) {
            return child;
        }
        let node = NODES.get(child);
        // SAFETY: within the array.
        let value = unsafe { *words.as_ptr().add(node.word as usize & (WORDS - 1)) };
        let slice = value.wrapping_sub(node.low) >> (node.shift & 63);
        let last = node.last as u64;
        let slice = if slice < last { slice } else { last };
        child = *CHILDREN.get(node.children + slice as u32);
        depth += 1;
    }
    if leaf::is(child) { child } else { leaf::EMPTY }
}
