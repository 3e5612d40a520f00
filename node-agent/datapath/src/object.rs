//! The kernel program, compiled by `build.rs` from `ebpf/`.

/// ELF object with the XDP program [`PROGRAM`] and all of its maps, and [`MARK_PROGRAM`], which has none.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sluice.o"));

/// Programs of the trace points that they are named after; their only map is [`EXCEPTIONS_MAP`].
pub const TRACE_PROGRAMS: [&str; 4] = ["xdp_exception", "xdp_bulk_tx", "xdp_devmap_xmit", "xdp_redirect_err"];

/// No other program has it.
pub const EXCEPTIONS_MAP: &str = "EXCEPTIONS";

pub const PROGRAM: &str = "sluice_xdp";

/// For tcx ingress: gives packets the mark that the XDP program left for them.
pub const MARK_PROGRAM: &str = "sluice_mark";
