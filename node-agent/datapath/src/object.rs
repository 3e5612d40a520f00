//! The kernel programs, compiled by `build.rs` from `ebpf/`.

use sluice_plan::Hook;

/// ELF object with the XDP program and all of its maps, and [`MARK_PROGRAM`], which has none.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sluice.o"));

/// The same for tcx.
static TC_OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sluice_tc.o"));

/// Programs of the trace points that they are named after; their only map is [`EXCEPTIONS_MAP`].
pub const TRACE_PROGRAMS: [&str; 4] = ["xdp_exception", "xdp_bulk_tx", "xdp_devmap_xmit", "xdp_redirect_err"];

/// No other program has it.
pub const EXCEPTIONS_MAP: &str = "EXCEPTIONS";

/// For tcx ingress: gives packets the mark that the XDP program left for them.
pub const MARK_PROGRAM: &str = "sluice_mark";

pub fn object(hook: Hook) -> &'static [u8] {
    if hook == Hook::Xdp { OBJECT } else { TC_OBJECT }
}

pub fn program(hook: Hook) -> &'static str {
    if hook == Hook::Xdp { "sluice_xdp" } else { "sluice_tc" }
}
