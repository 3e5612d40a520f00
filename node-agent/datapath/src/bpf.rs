//! The raw bpf(2) commands that aya does not offer: compare-and-swap on links, info by file descriptor, freezing,
//! elements as bytes and in batches. Layouts are those of `union bpf_attr` in `include/uapi/linux/bpf.h`; a kernel accepts a prefix.

mod info;
mod link;
mod map;

pub use info::{
    LINK_TYPE_TCX, MapInfo, PROG_TYPE_XDP, ProgramInfo, link_info, map_info, program_by_id, program_info,
};
pub use link::{
    ATTACH_TCX_EGRESS, ATTACH_TCX_INGRESS, LinkMode, TcxOrder, link_create, link_detach, link_update, query,
    raw_tracepoint_open, tcx_link_create,
};
pub use map::{
    MapShape, create_map, delete, freeze, holds, is_frozen, lookup, per_cpu_elements, read_all, update,
    update_batch, update_per_cpu, zero_per_cpu,
};

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const OBJ_PIN: libc::c_int = 6;
const OBJ_GET: libc::c_int = 7;

/// What a pinned object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Map,
    Program,
    Link,
}

#[repr(C)]
struct ObjectAttr {
    path: u64,
    fd: u32,
    flags: u32,
}

/// Opens a pinned object. Needs write access to the pin, no capability; `InvalidData` if it is of another kind.
pub fn get(path: &Path, kind: Kind) -> io::Result<OwnedFd> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    let fd = call_for_fd(OBJ_GET, &mut ObjectAttr { path: name.as_ptr() as u64, fd: 0, flags: 0 })?;
    if kind_of(&fd)? != Some(kind) {
        let found = format!("{} is no bpf {kind:?}", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, found));
    }
    Ok(fd)
}

/// Pins an object: it lives on after this process. bpffs refuses names with dots (`EPERM`).
pub fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = ObjectAttr { path: name.as_ptr() as u64, fd: object.as_raw_fd() as u32, flags: 0 };
    call(OBJ_PIN, &mut attr).map(drop)
}

/// Names the object among all of its kind on this machine, as long as it lives.
pub fn id(object: BorrowedFd<'_>, kind: Kind) -> io::Result<u32> {
    match kind {
        Kind::Map => map_info(object).map(|info| info.id),
        Kind::Program => program_info(object).map(|info| info.id),
        Kind::Link => link_info(object).map(|info| info.id),
    }
}

/// The info command fills whatever layout the object has, so the kind must be known before it is asked.
fn kind_of(fd: &OwnedFd) -> io::Result<Option<Kind>> {
    let target = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
    Ok(match target.to_str() {
        Some("anon_inode:bpf-map") => Some(Kind::Map),
        Some("anon_inode:bpf-prog") => Some(Kind::Program),
        Some("anon_inode:bpf_link" | "anon_inode:bpf-link") => Some(Kind::Link),
        _ => None,
    })
}

/// As [`call`], for a command that makes a descriptor.
pub fn call_for_fd<T>(command: libc::c_int, attr: &mut T) -> io::Result<OwnedFd> {
    let fd = call(command, attr)?;
    // SAFETY: the commands that use this return a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `attr` must be the `repr(C)` layout that `command` reads, and the memory its addresses name must be valid.
pub fn call<T>(command: libc::c_int, attr: &mut T) -> io::Result<RawFd> {
    // SAFETY: the kernel reads and writes at most `size_of::<T>()` bytes at `attr`, which is borrowed for the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as RawFd) }
}
