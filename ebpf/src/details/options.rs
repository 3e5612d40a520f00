//! IPv4 options (RFC 791) and IPv6 extension headers.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use sluice_abi::{ABSENT, dimension::*, features, ip_options, kind};

use super::Details;
use crate::classify::{opaque, special, used};
use crate::constants::enabled;
use crate::frame::{Context, Frame};
use crate::maps::DIRECT;
use crate::packet::Packet;
use crate::parse::extensions;

const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;
const NEXT_HEADER: usize = 6;
/// Bytes of options that a header can have, each of which may be an option of its own.
const MOST: u32 = 40;
/// Offsets of options are below it: 22 bytes of Ethernet and tags, and 60 of IPv4.
const MASK: u64 = 0x7f;
const END: u8 = 0;
const NO_OPERATION: u8 = 1;

const GO_ON: i64 = 0;
const STOP: i64 = 1;

#[inline(always)]
pub fn fill(row: &Details, frame: Frame, packet: &Packet) {
    if used::<IP_OPTIONS>() {
        row.and(if packet.family == kind::FAMILY_V4 {
            *DIRECT.get(DIRECT_IP_OPTIONS + options(frame.context(), packet.network, packet.transport))
        } else {
            special::<IP_OPTIONS>(ABSENT)
        });
    }
    if used::<EXTENSION_HEADERS>() {
        row.and(if packet.family == kind::FAMILY_V6 {
            *DIRECT.get(DIRECT_EXTENSION_HEADERS + headers(frame, packet))
        } else {
            special::<EXTENSION_HEADERS>(ABSENT)
        });
    }
}

/// Of the header between the two offsets, as `ip_options` counts them. A global function, or the ways through the
/// options would multiply with those through everything else.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn options(context: *mut Context, start: u32, end: u32) -> u32 {
    if !enabled(features::dimension(IP_OPTIONS)) || start + IPV4_HEADER >= end {
        return ip_options::NONE;
    }
    let start = start as u64;
    // Zero, which the verifier does not know: what begins as a known number it would follow through every value.
    let zero = opaque(start) ^ start;
    let mut walk = Walk { context, at: start + IPV4_HEADER as u64, end: end as u64, found: zero };
    // SAFETY: the callback's argument is the walk.
    unsafe { bpf_loop(MOST, step as *mut c_void, (&raw mut walk).cast(), 0) };
    ip_options::PRESENT + (walk.found as u32 & 0xff)
}

#[repr(C)]
struct Walk {
    context: *mut Context,
    at: u64,
    end: u64,
    /// Bits of `ip_options`.
    found: u64,
}

/// Looks at one option. A damaged one ends the walk, and counts.
unsafe extern "C" fn step(_number: u64, walk: *mut Walk) -> i64 {
    // SAFETY: `options` passes its walk.
    let walk = unsafe { &mut *walk };
    let frame = Frame::new(walk.context);
    if walk.at >= walk.end {
        return STOP;
    }
    let at = walk.at & MASK;
    // With the byte in front, for the verifier takes no check for a single one; and hidden, or the compiler puts the one
    // behind the check.
    let Some([_, kind]) = frame.read::<[u8; 2]>((opaque(at - 1) & MASK) as usize) else { return STOP };
    match kind {
        END => return STOP,
        NO_OPERATION => {
            walk.at = at + 1;
            return GO_ON;
        }
        _ => walk.found |= bit(kind) as u64,
    }
    let Some([_, length]) = frame.read::<[u8; 2]>(at as usize) else { return STOP };
    if length < 2 || at + 1 >= walk.end {
        return STOP;
    }
    walk.at = at + length as u64;
    GO_ON
}

#[inline(always)]
fn bit(kind: u8) -> u32 {
    match kind {
        7 => ip_options::RECORD_ROUTE,
        68 => ip_options::TIMESTAMP,
        130 => ip_options::SECURITY,
        131 => ip_options::LSRR,
        136 => ip_options::STREAM_ID,
        137 => ip_options::SSRR,
        148 => ip_options::ROUTER_ALERT,
        _ => ip_options::OTHER,
    }
}

/// The parser's walk again: it keeps no more than where it ended.
#[inline(always)]
fn headers(frame: Frame, packet: &Packet) -> u32 {
    let network = packet.network & 0x1f;
    let Some(start) = frame.read::<[u8; NEXT_HEADER + 1]>(network as usize) else { return 0 };
    let first = start[NEXT_HEADER] as u32;
    if !extensions::is_extension(first) {
        return 0;
    }
    extensions::headers(extensions::walk(frame.context(), network + IPV6_HEADER, packet.end, first))
}
