//! The kernel program, compiled by `build.rs` from `ebpf/`.

/// ELF object with the XDP program [`PROGRAM`] and all of its maps.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sluice.o"));

/// Name of the one program in [`OBJECT`].
pub const PROGRAM: &str = "sluice_xdp";
