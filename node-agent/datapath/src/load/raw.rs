//! bpf(2) as the loader needs it. Layouts are those of `union bpf_attr` in `include/uapi/linux/bpf.h`; a kernel takes
//! a prefix, so each command has the part that it reads.

mod element;
mod program;

pub use element::{freeze, lookup, lookup_per_cpu, update, update_batch};
pub use program::{ProgramFacts, ProgramRequest, TestRun, load_btf, load_xdp, program_facts, test_run};

use std::io;

fn call<T>(command: libc::c_long, attr: &mut T) -> io::Result<i32> {
    // SAFETY: `attr` is the prefix of `union bpf_attr` that `command` reads, and the kernel is told its size; what it
    // points to is borrowed by the caller for the length of the call and has the sizes that it says.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}
