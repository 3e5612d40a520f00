//! Reads the packet once, layer by layer. Fields of intact layers count even where a later layer is broken.

mod ethernet;
pub mod extensions;
mod ipv4;
mod ipv6;
mod plain;
mod transport;

pub use ethernet::is_tag;
pub use plain::read as plain;
#[cfg(not(feature = "tc"))]
pub use {ipv4::Ipv4, ipv6::Ipv6};

use core::ptr::read_volatile;

use crate::frame::{Context, Frame};
use crate::packet::{Packet, ether_type};

/// A layer that is cut off or contradicts itself; nothing behind it can be read.
struct Broken;

#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn parse(context: *mut Context, packet: *mut Packet) -> u32 {
    // SAFETY: the caller's packet, or null in the verifier's eyes.
    let Some(packet) = (unsafe { packet.as_mut() }) else { return 0 };
    let frame = Frame::new(context);
    packet.length = frame.length();
    if layers(frame, packet).is_err() {
        packet.malformed = 1;
    }
    packet.malformed
}

#[inline(always)]
fn layers(frame: Frame, packet: &mut Packet) -> Result<(), Broken> {
    ethernet::read(frame, packet)?;
    match packet.ether_type {
        ether_type::IPV4 => ipv4::read(frame, packet)?,
        ether_type::IPV6 => ipv6::read(frame, packet)?,
        _ => return Ok(()),
    }
    transport::read(frame, packet)
}

/// Reads a number back from the packet. The verifier forgets its value on the way, so it walks what follows once
/// instead of once for every number of VLAN tags or options.
#[inline(always)]
fn forget(number: &u32) -> u32 {
    // SAFETY: a reference.
    unsafe { read_volatile(number) }
}
