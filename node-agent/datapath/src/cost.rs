//! What a packet costs a program on this machine, by the kernel's own clock.

use std::io;
use std::os::fd::BorrowedFd;

use sluice_plan::Hook;

use crate::load::test_run;
use crate::self_test::strangers;
use crate::test_run::STAGED;

/// Whatever else the machine does can only make a run longer: of so many the shortest counts.
const ROUNDS: usize = 16;
/// With more, the kernel makes the program a branch of its XDP dispatcher for the time of the run (`bpf_prog_test_run_xdp`),
/// and alters code that live packets run through.
const REPEAT: u32 = 1;

/// Nanoseconds that a plain packet of a stranger takes, the dearest of TCP and UDP over IPv4 and IPv6; to read the clock is
/// part of it. It counts nothing.
pub fn ns_per_packet(program: BorrowedFd<'_>, hook: Hook) -> io::Result<u32> {
    let ingress = (hook == Hook::Xdp).then_some(STAGED);
    let mut dearest = 0;
    for frame in strangers() {
        let mut shortest = u32::MAX;
        for _ in 0..ROUNDS {
            shortest = shortest.min(test_run(program, &frame, &mut [], REPEAT, ingress)?.duration);
        }
        dearest = dearest.max(shortest);
    }
    Ok(dearest)
}
