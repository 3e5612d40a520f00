//! The kernel program, compiled by `build.rs` from `ebpf/`.

/// ELF object with the XDP program [`PROGRAM`] and all of its maps, and [`MARK_PROGRAM`], which has none.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sluice.o"));

pub const PROGRAM: &str = "sluice_xdp";

/// For tcx ingress: gives packets the mark that the XDP program left for them.
pub const MARK_PROGRAM: &str = "sluice_mark";
