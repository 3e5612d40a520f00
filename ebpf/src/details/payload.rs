//! Patterns of bytes at fixed places: which of the plan's hold, as a word with a bit for each.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use sluice_abi::{
    MAX_PATTERNS, PATTERN_BYTES, PATTERNS_OF_GROUP, Pattern, PatternLayer, dimension::*, features, kind,
};

use super::Details;
use crate::classify::{opaque, used};
use crate::constants::{dimension, enabled};
use crate::frame::{Context, Frame, OFFSET_MASK};
use crate::maps::{DIRECT, PATTERNS};
use crate::packet::{Packet, SPECIAL, protocol};

/// Of TCP and DCCP: the header's length in words of four bytes is in the upper or the whole byte there.
const TCP_LENGTH: u32 = 12;
const DCCP_LENGTH: u32 = 4;
/// No packet begins or ends there.
const NOWHERE: u32 = 0;

const GO_ON: i64 = 0;
const STOP: i64 = 1;

#[inline(always)]
pub fn fill(row: &Details, frame: Frame, packet: &Packet) {
    if !enabled(features::PAYLOADS) {
        return;
    }
    let held = held(frame.context(), (&raw const *packet).cast_mut());
    let later = if packet.is_later() { PAYLOAD_LATER } else { 0 };
    macro_rules! group {
        ($($group:literal)*) => { $(
            if used::<{ PAYLOADS + $group }>() {
                let bits = held >> ($group * PATTERNS_OF_GROUP) & (PAYLOAD_LATER - 1);
                row.and(*DIRECT.get(payload_group($group) + later + bits));
            }
        )* };
    }
    const { assert!(PAYLOAD_GROUPS == 4) };
    group!(0 1 2 3);
}

/// A global function, or the ways through the packet's layers would multiply with those through everything else.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn held(context: *mut Context, packet: *mut Packet) -> u32 {
    // SAFETY: the caller's packet, or null in the verifier's eyes.
    let Some(packet) = (unsafe { packet.as_ref() }) else { return 0 };
    if !enabled(features::PAYLOADS) {
        return 0;
    }
    let frame = Frame::new(context);
    let has_ip = packet.family != kind::FAMILY_NONE;
    let (network, length) = (packet.network as u64, packet.length as u64);
    // Zero, which the verifier does not know: what begins as a known number it would follow through every value.
    let zero = opaque(length) ^ length;
    let mut walk = Walk {
        context,
        starts: [zero, network, transport(packet).into(), payload(frame, packet).into()],
        length,
        end: if has_ip { packet.end.into() } else { length },
        found: zero,
    };
    // SAFETY: the callback's argument is the walk.
    unsafe { bpf_loop(dimension::<PAYLOADS>().intervals, step as *mut c_void, (&raw mut walk).cast(), 0) };
    walk.found as u32
}

#[repr(C)]
struct Walk {
    context: *mut Context,
    /// Of the layers; `NOWHERE` where the packet has none, but for the first.
    starts: [u64; 4],
    /// Where the frame ends.
    length: u64,
    /// Where the IP packet ends.
    end: u64,
    found: u64,
}

/// Looks at one pattern.
unsafe extern "C" fn step(number: u64, walk: *mut Walk) -> i64 {
    // SAFETY: `held` passes its walk.
    let walk = unsafe { &mut *walk };
    if number >= MAX_PATTERNS as u64 {
        return STOP;
    }
    let Some(pattern) = PATTERNS.get(number as u32) else { return STOP };
    let [frame, network, transport, payload] = walk.starts;
    let is_frame = pattern.layer == PatternLayer::L2 as u32;
    let start = if is_frame {
        frame
    } else if pattern.layer == PatternLayer::L3 as u32 {
        network
    } else if pattern.layer == PatternLayer::L4 as u32 {
        transport
    } else {
        payload
    };
    let end = if is_frame { walk.length } else { walk.end };
    let at = start + pattern.offset as u64;
    if (!is_frame && start == NOWHERE.into()) || at + pattern.length as u64 > end {
        return GO_ON;
    }
    if holds(Frame::new(walk.context), pattern, at as u32) {
        walk.found |= 1 << number;
    }
    GO_ON
}

#[inline(always)]
fn holds(frame: Frame, pattern: &Pattern, at: u32) -> bool {
    const { assert!(PATTERN_BYTES == 16) };
    let mut bytes = [0u64; 2];
    // Says it again, as the verifier asks: at least one byte and at most all.
    let length = (opaque(pattern.length as u64 - 1) & (PATTERN_BYTES as u64 - 1)) as u32 + 1;
    frame.load(at, (&raw mut bytes).cast(), length)
        && (bytes[0] & pattern.mask[0]) ^ pattern.value[0] | (bytes[1] & pattern.mask[1]) ^ pattern.value[1]
            == 0
}

/// Where the upper-layer header begins.
#[inline(always)]
fn transport(packet: &Packet) -> u32 {
    if packet.is_later() { NOWHERE } else { packet.transport }
}

/// Where what the upper layer carries begins; nowhere behind a header that is not whole.
#[inline(always)]
fn payload(frame: Frame, packet: &Packet) -> u32 {
    let start = transport(packet);
    if start == NOWHERE {
        return NOWHERE;
    }
    let is_v6 = packet.family == kind::FAMILY_V6;
    let (field, length) = match packet.protocol {
        protocol::TCP => (packet.tcp_flags, (byte(frame, start + TCP_LENGTH) >> 4) * 4),
        protocol::UDP | protocol::UDP_LITE => (packet.source_port, 8),
        protocol::SCTP => (packet.source_port, 12),
        protocol::DCCP => (packet.source_port, dccp(byte(frame, start + DCCP_LENGTH))),
        protocol::ICMP if !is_v6 => (packet.icmp, 8),
        protocol::ICMPV6 if is_v6 => (packet.icmp, 8),
        _ => (0, 0),
    };
    if field & SPECIAL != 0 || length == UNSOUND { NOWHERE } else { start + length }
}

/// A header that says to be shorter than the shortest.
const UNSOUND: u32 = u32::MAX;

#[inline(always)]
fn dccp(words: u32) -> u32 {
    if words < 3 { UNSOUND } else { words * 4 }
}

/// Zero where the frame's first buffer ends before; the header that it is of is then not whole. With the byte behind, for
/// the verifier takes no check for a single one.
#[inline(always)]
fn byte(frame: Frame, at: u32) -> u32 {
    frame.read::<[u8; 2]>(at as usize & OFFSET_MASK).map_or(0, |[byte, _]| byte as u32)
}
