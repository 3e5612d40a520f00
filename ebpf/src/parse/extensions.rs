//! IPv6 extension headers (RFC 8200 section 4), at most eight. A global function: inlined, the ways through eight
//! headers would multiply with those through everything behind them.

use sluice_abi::{dimension, extension_headers, features, kind};

use crate::constants::enabled;

use crate::frame::{Context, Frame, OFFSET_MASK};
use crate::packet::UNKNOWN_PROTOCOL;

const MOST: usize = 8;
const FRAGMENT: u32 = 44;
const AUTHENTICATION: u32 = 51;
const BROKEN: u64 = 1 << 63;
const HEADERS: u32 = 40;

/// Hop-by-Hop, Routing, Fragment, AH, Destination Options, Mobility, HIP, Shim6.
#[inline(always)]
pub fn is_extension(number: u32) -> bool {
    matches!(number, 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140)
}

#[derive(Clone, Copy)]
#[repr(C, packed)]
struct Extension {
    next: u8,
    length: u8,
}

#[derive(Clone, Copy)]
#[repr(C, packed)]
struct Fragment {
    next: u8,
    reserved: u8,
    offset_more: u16,
    identification: u32,
}

/// Walks the chain that begins with header `number` at `offset`; the packet ends at `end`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn walk(context: *mut Context, offset: u32, end: u32, number: u32) -> u64 {
    let frame = Frame::new(context);
    let mut offset = offset & 0x7f;
    let mut number = number;
    let mut fragment = kind::WHOLE;
    let mut headers = 0;
    for _ in 0..MOST {
        if !is_extension(number) {
            return packed(number, offset, fragment) | noted(headers);
        }
        let Some(next) = frame.read::<Extension>(offset as usize & OFFSET_MASK) else {
            return broken(fragment) | noted(headers);
        };
        let length = match number {
            FRAGMENT => 8,
            AUTHENTICATION => (next.length as u32 + 2) * 4,
            _ => (next.length as u32 + 1) * 8,
        };
        if offset + length > end {
            return broken(fragment) | noted(headers);
        }
        if enabled(features::dimension(dimension::EXTENSION_HEADERS)) {
            headers |= bit(number);
        }
        if number == FRAGMENT {
            let Some(header) = frame.read::<Fragment>(offset as usize & OFFSET_MASK) else {
                return broken(fragment) | noted(headers);
            };
            let field = u16::from_be(header.offset_more);
            match (field >> 3, field & 1) {
                // Atomic (RFC 6946): a packet of its own.
                (0, 0) => {}
                (0, _) => fragment = kind::FIRST,
                (1, _) => return later(next.next, kind::LATER_TINY) | noted(headers),
                _ => return later(next.next, kind::LATER) | noted(headers),
            }
        }
        number = next.next as u32;
        offset += length;
    }
    let end = if is_extension(number) { broken(fragment) } else { packed(number, offset, fragment) };
    end | noted(headers)
}

#[inline(always)]
pub fn protocol(chain: u64) -> u32 {
    (chain & 0x1ff) as u32
}

#[inline(always)]
pub fn offset(chain: u64) -> u32 {
    (chain >> 16 & OFFSET_MASK as u64) as u32
}

#[inline(always)]
pub fn fragment(chain: u64) -> u32 {
    (chain >> 32 & 7) as u32
}

/// The headers that were whole, as bits of `extension_headers`, where the plan asks for them.
#[inline(always)]
pub fn headers(chain: u64) -> u32 {
    (chain >> HEADERS) as u32 & 0xff
}

#[inline(always)]
fn noted(headers: u32) -> u64 {
    (headers as u64) << HEADERS
}

#[inline(always)]
fn bit(number: u32) -> u32 {
    match number {
        0 => extension_headers::HOP_BY_HOP,
        43 => extension_headers::ROUTING,
        FRAGMENT => extension_headers::FRAGMENT,
        AUTHENTICATION => extension_headers::AUTHENTICATION,
        60 => extension_headers::DESTINATION_OPTIONS,
        135 => extension_headers::MOBILITY,
        139 => extension_headers::HIP,
        _ => extension_headers::SHIM6,
    }
}

#[inline(always)]
pub fn is_broken(chain: u64) -> bool {
    chain & BROKEN != 0
}

/// The upper-layer header is in the first fragment; so is its number if extension headers are fragmented too.
#[inline(always)]
fn later(next: u8, fragment: u32) -> u64 {
    let number = if is_extension(next as u32) { UNKNOWN_PROTOCOL } else { next as u32 };
    packed(number, 0, fragment)
}

#[inline(always)]
fn broken(fragment: u32) -> u64 {
    packed(UNKNOWN_PROTOCOL, 0, fragment) | BROKEN
}

#[inline(always)]
fn packed(number: u32, offset: u32, fragment: u32) -> u64 {
    number as u64 | (offset as u64) << 16 | (fragment as u64) << 32
}
