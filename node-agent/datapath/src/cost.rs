//! What a packet costs a program on this machine, by the kernel's own clock.

use std::io;
use std::os::fd::BorrowedFd;

use sluice_plan::Hook;

use crate::load::test_run;
use crate::self_test::strangers;
use crate::test_run::STAGED;

/// Whatever else the machine does can only make a run longer: of so many the shortest counts.
const ROUNDS: usize = 5;
/// One after the other, so that tables are as warm as in a flood.
const REPEAT: u32 = 200;

/// Nanoseconds that a plain packet of a stranger takes, the dearest of TCP and UDP over IPv4 and IPv6. It counts nothing and
/// takes less than a millisecond.
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
