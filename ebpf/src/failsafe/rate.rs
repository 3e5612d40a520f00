//! How many failsafe packets a source may send: a token bucket per hash of the source. The state is a fixed array, so
//! a flood with forged sources costs no memory and evicts nobody.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use sluice_abi::FAILSAFE_BUCKETS;

use crate::constants::failsafe_rate;
use crate::maps::BUCKETS;
use crate::mix::mix;
use crate::packet::Packet;

const SECOND: u64 = 1_000_000_000;

/// Takes a token; false if there is none.
#[inline(always)]
pub fn take(packet: &Packet) -> bool {
    let (rate, burst) = failsafe_rate();
    let Some(interval) = SECOND.checked_div(rate as u64) else { return false };
    let index = (mix(mix(0, packet.source[0]), packet.source[1]) as u32) % FAILSAFE_BUCKETS;
    let Some(bucket) = BUCKETS.get_ptr_mut(packet.staged * FAILSAFE_BUCKETS + index) else { return false };
    // Milliseconds of resolution do: they are less than what a bucket saves up.
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    // SAFETY: an aligned word of the map. CPUs that race for one bucket may lose a packet's worth of it, which a
    // limit of this kind can bear; a lock in the path of every packet of a flood it could not.
    let full_at = unsafe { (&raw mut (*bucket).full_at).read_volatile() };
    let from = if full_at > now { full_at } else { now };
    let next = from + interval;
    if next - now > interval * burst as u64 {
        return false;
    }
    // SAFETY: as above.
    unsafe { (&raw mut (*bucket).full_at).write_volatile(next) };
    true
}
