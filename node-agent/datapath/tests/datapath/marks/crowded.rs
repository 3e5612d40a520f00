//! Frames whose metadata leaves no room for more, as if a driver gave none.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use sluice_datapath::test_run::XdpAction;

/// Of the 256 bytes in front of a frame the kernel needs 40 for itself: the rest is less than a mark takes.
const METADATA: u32 = 256 - 40 - 8;
const PROG_TEST_RUN: libc::c_int = 10;

/// `struct xdp_md`.
#[repr(C)]
struct Context {
    data: u32,
    data_end: u32,
    metadata: u32,
    ingress: u32,
    queue: u32,
    egress: u32,
}

/// As `union bpf_attr` has it for the command.
#[repr(C)]
struct Attr {
    program: u32,
    action: u32,
    size_in: u32,
    size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_size_in: u32,
    context_size_out: u32,
    context_in: u64,
    context_out: u64,
}

/// Runs a frame through an XDP program, as if it came in on the interface.
pub fn run(program: BorrowedFd<'_>, frame: &[u8], ingress: u32) -> XdpAction {
    let bytes = [&[0; METADATA as usize][..], frame].concat();
    let size = bytes.len() as u32;
    let context = Context { data: METADATA, data_end: size, metadata: 0, ingress, queue: 0, egress: 0 };
    let mut attr = Attr {
        program: program.as_raw_fd() as u32,
        action: 0,
        size_in: size,
        size_out: 0,
        data_in: bytes.as_ptr() as u64,
        data_out: 0,
        repeat: 1,
        duration: 0,
        context_size_in: size_of::<Context>() as u32,
        context_size_out: 0,
        context_in: &raw const context as u64,
        context_out: 0,
    };
    // SAFETY: the kernel reads the frame and the context, which live longer than the call, and writes within `attr`.
    let result = unsafe { libc::syscall(libc::SYS_bpf, PROG_TEST_RUN, &raw mut attr, size_of::<Attr>()) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    attr.action.try_into().unwrap()
}
