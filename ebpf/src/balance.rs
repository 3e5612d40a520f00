//! The load balancer: VIP, ring slot, backend, tunnel. No state per flow: every node comes to the same backend.

mod encapsulate;
pub mod hash;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::bindings::xdp_md;
use sluice_abi::{Counted, HopState, NO_TARGET, NextHop, Stat, Vip, VipKey, features, kind};

use crate::constants::{balances, enabled};
use crate::count::{count, count_stat};
use crate::maps::{NEXT_HOPS, RING, TARGET_SLOTS, VIP_SLOTS, VIPS};
use crate::packet::{Packet, SPECIAL, protocol};

/// Set where the packet is for a VIP.
const FOR_VIP: u64 = 1 << 63;

/// Returns the verdict and the target for a packet to a VIP; see [`is_for_vip`], [`verdict`], [`target`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn balance(context: *mut xdp_md, packet: *mut Packet) -> u64 {
    // SAFETY: the caller's packet, or null in the verifier's eyes.
    let Some(packet) = (unsafe { packet.as_ref() }) else { return 0 };
    // Older kernels verify this function whether it is called or not.
    if !enabled(features::BALANCER) {
        return 0;
    }
    match vip(packet) {
        Some(vip) => choice(context, packet, vip),
        None => 0,
    }
}

#[inline(always)]
pub fn is_for_vip(choice: u64) -> bool {
    choice & FOR_VIP != 0
}

/// An XDP action.
#[inline(always)]
pub fn verdict(choice: u64) -> u32 {
    (choice >> 32) as u32 & 0xff
}

/// The chosen target, or `NO_TARGET`.
#[inline(always)]
pub fn target(choice: u64) -> u32 {
    choice as u32
}

/// Whole and sound packets only: the pieces of a datagram have no ports to choose a backend by.
#[inline(always)]
pub fn vip(packet: &Packet) -> Option<&'static Vip> {
    let carried = packet.protocol == protocol::TCP || packet.protocol == protocol::UDP;
    if !carried
        || packet.fragment != kind::WHOLE
        || packet.malformed != 0
        || packet.destination_port & SPECIAL != 0
    {
        return None;
    }
    let key = VipKey {
        address: packet.key(packet.destination)?,
        port: packet.destination_port as u16,
        protocol: packet.protocol as u8,
        reserved: 0,
    };
    // SAFETY: the table is not written to after the load.
    let vip = unsafe { VIPS.get(&key) }?;
    balances(vip.balancer).then_some(vip)
}

#[inline(always)]
fn choice(context: *mut xdp_md, packet: &Packet, vip: &Vip) -> u64 {
    let hash = hash::flow(packet);
    let target = RING.get(vip.ring + ((hash >> 32) as u32 & vip.mask)).map_or(NO_TARGET, |target| *target);
    if target == NO_TARGET {
        count_at_vip(packet, vip, Counted::Drop);
        return chosen(refuse(packet, Stat::NoBackend), NO_TARGET);
    }
    let verdict = match NEXT_HOPS.get(target) {
        Some(hop) => forward(context, packet, vip, target, hop, hash),
        None => refuse(packet, Stat::NoNextHop),
    };
    if let Some(slot) = TARGET_SLOTS.get(target) {
        count(packet, *slot, if verdict == XDP_DROP { Counted::Drop } else { Counted::Pass });
    }
    chosen(verdict, target)
}

#[inline(always)]
fn chosen(verdict: u32, target: u32) -> u64 {
    FOR_VIP | (verdict as u64) << 32 | target as u64
}

#[inline(always)]
fn forward(context: *mut xdp_md, packet: &Packet, vip: &Vip, target: u32, hop: &NextHop, hash: u64) -> u32 {
    if hop.state == HopState::Local as u8 {
        return XDP_PASS;
    }
    if hop.state != HopState::Resolved as u8 {
        return refuse(packet, Stat::NoNextHop);
    }
    if packet.hop_limit <= 1 {
        return refuse(packet, Stat::HopLimitExceeded);
    }
    if packet.end - packet.network + encapsulate::overhead(packet.family) > hop.mtu as u32 {
        count_at_vip(packet, vip, Counted::Oversize);
        return refuse(packet, Stat::Oversize);
    }
    match encapsulate::into_tunnel(context, packet, target, hop, hash) {
        Some(verdict) => {
            count_stat(packet, Stat::Transmitted);
            verdict
        }
        None => refuse(packet, Stat::NoNextHop),
    }
}

#[inline(always)]
fn count_at_vip(packet: &Packet, vip: &Vip, counted: Counted) {
    if let Some(slot) = VIP_SLOTS.get(vip.slot) {
        count(packet, *slot, counted);
    }
}

#[inline(always)]
fn refuse(packet: &Packet, stat: Stat) -> u32 {
    count_stat(packet, stat);
    XDP_DROP
}
