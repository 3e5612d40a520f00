//! The hash of a flow. The same on every node, so that a flow that moves to another node stays on its backend, and the
//! same in `operator/balance/src/flow.rs`, which foretells it.

use crate::mix::mix;
use crate::packet::Packet;

/// The second multiplier of MurmurHash3's 64-bit finaliser (Appleby, public domain).
const SECOND: u64 = 0xc4ce_b9fe_1a85_ec53;

/// Addresses, ports and protocol; the high half is the better one.
#[inline(always)]
pub fn flow(packet: &Packet) -> u64 {
    let ports =
        (packet.source_port as u64) << 32 | (packet.destination_port as u64) << 16 | packet.protocol as u64;
    let mut hash = mix(ports, packet.source[1]);
    hash = mix(hash, packet.source[0]);
    hash = mix(hash, packet.destination[1]);
    hash = mix(hash, packet.destination[0]);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(SECOND);
    hash ^ hash >> 33
}
