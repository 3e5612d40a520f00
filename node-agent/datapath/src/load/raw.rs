//! bpf(2) for what aya lacks: many elements in one call, and elements whose types are not aya's.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

const MAP_LOOKUP_ELEM: libc::c_long = 1;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const MAP_UPDATE_BATCH: libc::c_long = 26;

/// `union bpf_attr`, the part of the element commands.
#[repr(C)]
struct ElementAttr {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// `union bpf_attr`, the part of the batch commands.
#[repr(C)]
#[derive(Default)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// Writes `count` elements; `keys` and `values` hold them one after another. Since Linux 5.6.
pub fn update_batch(map: BorrowedFd<'_>, keys: &[u8], values: &[u8], count: usize) -> io::Result<()> {
    if count == 0 {
        return Ok(());
    }
    let mut attr = BatchAttr {
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count: count as u32,
        map: map.as_raw_fd() as u32,
        ..BatchAttr::default()
    };
    call(MAP_UPDATE_BATCH, &mut attr)
}

/// Writes one element of an array that is not per CPU; `value` has the map's value size.
pub fn update(map: BorrowedFd<'_>, index: u32, value: &[u8]) -> io::Result<()> {
    call(MAP_UPDATE_ELEM, &mut element(map, &index, value.as_ptr() as u64))
}

/// Reads one element of an array that is not per CPU; `value` has the map's value size.
pub fn lookup(map: BorrowedFd<'_>, index: u32, value: &mut [u8]) -> io::Result<()> {
    call(MAP_LOOKUP_ELEM, &mut element(map, &index, value.as_mut_ptr() as u64))
}

fn element(map: BorrowedFd<'_>, index: &u32, value: u64) -> ElementAttr {
    ElementAttr { map: map.as_raw_fd() as u32, padding: 0, key: index as *const u32 as u64, value, flags: 0 }
}

fn call<T>(command: libc::c_long, attr: &mut T) -> io::Result<()> {
    // SAFETY: `attr` is the prefix of `union bpf_attr` that `command` reads, and the kernel is told its size; what it
    // points to is borrowed by the caller for the length of the call and has the map's sizes.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr as *mut T, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
