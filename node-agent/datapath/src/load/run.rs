//! `BPF_PROG_TEST_RUN`: frames through a program that need not be attached.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::bpf::call;

const PROG_TEST_RUN: libc::c_int = 10;
const LIVE_FRAMES: u32 = 1 << 1;

/// Result of a test run.
#[derive(Clone, Copy, Debug)]
pub struct TestRun {
    pub action: u32,
    /// Length of the frame as the program left it.
    pub size: usize,
    /// Of one run, in nanoseconds: the mean of all repeats.
    pub duration: u32,
}

/// `struct xdp_md`.
#[repr(C)]
#[derive(Default)]
struct Context {
    data: u32,
    data_end: u32,
    metadata: u32,
    ingress: u32,
    queue: u32,
    egress: u32,
}

#[repr(C)]
#[derive(Default)]
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
    flags: u32,
    cpu: u32,
    batch_size: u32,
    padding: u32,
}

/// Runs a frame of at least 14 bytes as if it came in on interface `ingress`, which must exist in this network
/// namespace; `None` for a program of tcx, whose interface is the loopback. `frame_out` may be empty.
pub fn test_run(
    program: BorrowedFd<'_>,
    frame: &[u8],
    frame_out: &mut [u8],
    repeat: u32,
    ingress: Option<u32>,
) -> io::Result<TestRun> {
    let context = ingress.map(|ingress| context(frame, ingress));
    run(program, context.as_ref(), frame, frame_out, repeat)
}

/// As [`test_run`], once, with a frame that begins with so many bytes of metadata, a multiple of four.
pub fn test_run_behind_metadata(
    program: BorrowedFd<'_>,
    metadata: u32,
    frame: &[u8],
    ingress: u32,
) -> io::Result<TestRun> {
    let context = Context { data: metadata, ..context(frame, ingress) };
    run(program, Some(&context), frame, &mut [], 1)
}

fn run(
    program: BorrowedFd<'_>,
    context: Option<&Context>,
    frame: &[u8],
    frame_out: &mut [u8],
    repeat: u32,
) -> io::Result<TestRun> {
    let mut attr = Attr {
        program: program.as_raw_fd() as u32,
        size_in: frame.len() as u32,
        size_out: frame_out.len() as u32,
        data_in: frame.as_ptr() as u64,
        data_out: if frame_out.is_empty() { 0 } else { frame_out.as_mut_ptr() as u64 },
        repeat,
        context_size_in: context.map_or(0, |_| size_of::<Context>() as u32),
        context_in: context.map_or(0, |context| std::ptr::from_ref(context) as u64),
        ..Attr::default()
    };
    call(PROG_TEST_RUN, &mut attr)?;
    Ok(TestRun { action: attr.action, size: attr.size_out as usize, duration: attr.duration })
}

/// Makes `count` real frames of which the program decides: `XDP_TX` sends one out of interface `egress`. A frame may come
/// back as the program and the receiver left it. Since Linux 5.18.
pub fn live_run(program: BorrowedFd<'_>, frame: &[u8], count: u32, egress: u32) -> io::Result<()> {
    let context = context(frame, egress);
    let mut attr = Attr {
        program: program.as_raw_fd() as u32,
        size_in: frame.len() as u32,
        data_in: frame.as_ptr() as u64,
        repeat: count,
        context_size_in: size_of::<Context>() as u32,
        context_in: std::ptr::from_ref(&context) as u64,
        flags: LIVE_FRAMES,
        ..Attr::default()
    };
    call(PROG_TEST_RUN, &mut attr).map(drop)
}

fn context(frame: &[u8], ingress: u32) -> Context {
    Context { data_end: frame.len() as u32, ingress, ..Context::default() }
}
