//! Counts what XDP fails at, whosever program it was: the kernel tells it to trace points and nobody else. A
//! packet that passes or is dropped meets none of this; transmitted ones do once for each bulk that the driver takes.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use sluice_abi::{ERRNOS, EXCEPTION_ACTIONS, EXCEPTION_FORWARD, EXCEPTION_REDIRECT, EXCEPTION_TRANSMIT};

use crate::maps::EXCEPTIONS;

/// Arguments: device, program, action.
#[raw_tracepoint(tracepoint = "xdp_exception")]
pub fn xdp_exception(context: RawTracePointContext) {
    count(EXCEPTION_ACTIONS, context.arg::<u32>(2), 1);
}

/// Arguments: device, sent, drops, error.
#[raw_tracepoint(tracepoint = "xdp_bulk_tx")]
pub fn xdp_bulk_tx(context: RawTracePointContext) {
    count(EXCEPTION_TRANSMIT, errno(context.arg(3)), context.arg::<i32>(2));
}

/// Arguments: device, target device, sent, drops, error.
#[raw_tracepoint(tracepoint = "xdp_devmap_xmit")]
pub fn xdp_devmap_xmit(context: RawTracePointContext) {
    count(EXCEPTION_FORWARD, errno(context.arg(4)), context.arg::<i32>(3));
}

/// Arguments: device, program, target, error, …
#[raw_tracepoint(tracepoint = "xdp_redirect_err")]
pub fn xdp_redirect_err(context: RawTracePointContext) {
    count(EXCEPTION_REDIRECT, errno(context.arg(3)), 1);
}

#[inline(always)]
fn errno(error: i32) -> u32 {
    if error < 0 { error.wrapping_neg() as u32 } else { 0 }
}

#[inline(always)]
fn count(first: u32, reason: u32, packets: i32) {
    if packets <= 0 {
        return;
    }
    let last = ERRNOS - 1;
    if let Some(counter) = EXCEPTIONS.get_ptr_mut(first + if reason < last { reason } else { last }) {
        // SAFETY: the element is this CPU's own while the program runs.
        unsafe { *counter += packets as u64 };
    }
}
