//! Elements of maps as bytes: many in one call, and types that are not aya's to know.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use bytemuck::Pod;

use super::call;

const MAP_LOOKUP_ELEM: libc::c_long = 1;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const MAP_FREEZE: libc::c_long = 22;
const MAP_UPDATE_BATCH: libc::c_long = 26;

#[repr(C)]
struct ElementAttr {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

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
    call(MAP_UPDATE_BATCH, &mut attr).map(drop)
}

/// Writes one element of an array that is not per CPU; `value` has the map's value size.
pub fn update(map: BorrowedFd<'_>, index: u32, value: &[u8]) -> io::Result<()> {
    call(MAP_UPDATE_ELEM, &mut element(map, &index, value.as_ptr() as u64)).map(drop)
}

/// Reads one element of an array that is not per CPU; `value` has the map's value size.
pub fn lookup(map: BorrowedFd<'_>, index: u32, value: &mut [u8]) -> io::Result<()> {
    call(MAP_LOOKUP_ELEM, &mut element(map, &index, value.as_mut_ptr() as u64)).map(drop)
}

/// Reads one element of a per-CPU array, a value for each possible CPU. `T` is the map's value and a multiple of 8
/// bytes long, which is the kernel's stride.
pub fn lookup_per_cpu<T: Pod>(map: BorrowedFd<'_>, index: u32) -> io::Result<Vec<T>> {
    const { assert!(size_of::<T>().is_multiple_of(8)) };
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
    let mut values = vec![T::zeroed(); cpus];
    lookup(map, index, bytemuck::cast_slice_mut(&mut values))?;
    Ok(values)
}

/// From now on nobody in user space can change the map.
pub fn freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    call(MAP_FREEZE, &mut (map.as_raw_fd() as u32)).map(drop)
}

fn element(map: BorrowedFd<'_>, index: &u32, value: u64) -> ElementAttr {
    ElementAttr {
        map: map.as_raw_fd() as u32,
        padding: 0,
        key: std::ptr::from_ref(index) as u64,
        value,
        flags: 0,
    }
}
