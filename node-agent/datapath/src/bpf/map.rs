//! Whole maps as bytes, one element at a time for small changes, and freezing.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::{MapInfo, call, call_for_fd, map_info};

const MAP_CREATE: libc::c_int = 0;
const LOOKUP_ELEM: libc::c_int = 1;
const UPDATE_ELEM: libc::c_int = 2;
const DELETE_ELEM: libc::c_int = 3;
const MAP_FREEZE: libc::c_int = 22;
const LOOKUP_BATCH: libc::c_int = 24;
const UPDATE_BATCH: libc::c_int = 26;

/// What a map is to be; numbers are those of the kernel.
pub struct MapShape {
    pub kind: u32,
    pub key: u32,
    pub value: u32,
    pub entries: u32,
    pub flags: u32,
}

#[repr(C)]
struct CreateAttr {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
    flags: u32,
    inner: u32,
    numa_node: u32,
    name: [u8; 16],
}

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

/// `inner`: for a map of maps, one like those that it will hold.
pub fn create_map(name: &str, shape: &MapShape, inner: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    let mut attr = CreateAttr {
        kind: shape.kind,
        key: shape.key,
        value: shape.value,
        entries: shape.entries,
        flags: shape.flags,
        inner: inner.map_or(0, |inner| inner.as_raw_fd() as u32),
        numa_node: 0,
        name: [0; 16],
    };
    attr.name.iter_mut().take(15).zip(name.bytes()).for_each(|(to, from)| *to = from);
    call_for_fd(MAP_CREATE, &mut attr)
}

/// Sets one value of a map that is not per CPU.
pub fn update(map: BorrowedFd<'_>, key: &[u8], value: &[u8]) -> io::Result<()> {
    let info = map_info(map)?;
    check_len(key.len(), info.key_size)?;
    check_len(value.len(), info.value_size)?;
    element(UPDATE_ELEM, map, key, value.as_ptr() as u64)
}

/// Sets `count` elements; `keys` and `values` hold them one after another.
pub fn update_batch(map: BorrowedFd<'_>, keys: &[u8], values: &[u8], count: u32) -> io::Result<()> {
    if count == 0 {
        return Ok(());
    }
    let info = map_info(map)?;
    check_len(keys.len(), info.key_size * count)?;
    check_len(values.len(), info.value_size * count)?;
    let mut attr = BatchAttr {
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count,
        map: map.as_raw_fd() as u32,
        ..BatchAttr::default()
    };
    call(UPDATE_BATCH, &mut attr).map(drop)
}

/// Reads one value of a map that is not per CPU.
pub fn lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> io::Result<()> {
    let info = map_info(map)?;
    check_len(key.len(), info.key_size)?;
    check_len(value.len(), info.value_size)?;
    element(LOOKUP_ELEM, map, key, value.as_mut_ptr() as u64)
}

/// Sets the values of all CPUs of some elements of a per-CPU array to zero.
pub fn zero_per_cpu(map: BorrowedFd<'_>, indices: &[u32], cpus: usize) -> io::Result<()> {
    /// Bounds the values, which are as many as there are CPUs.
    const AT_ONCE: usize = 1024;
    let info = map_info(map)?;
    check_len(size_of::<u32>(), info.key_size)?;
    let stride = (info.value_size as usize).next_multiple_of(8) * cpus;
    let zeros = vec![0u8; stride * AT_ONCE.min(indices.len())];
    for indices in indices.chunks(AT_ONCE) {
        let mut attr = BatchAttr {
            keys: indices.as_ptr() as u64,
            values: zeros.as_ptr() as u64,
            count: indices.len() as u32,
            map: map.as_raw_fd() as u32,
            ..BatchAttr::default()
        };
        call(UPDATE_BATCH, &mut attr)?;
    }
    Ok(())
}

/// Sets elements of a map that is per CPU, each on all CPUs to the same value; `keys` are one after another.
pub fn update_per_cpu(map: BorrowedFd<'_>, keys: &[u8], value: &[u8], cpus: usize) -> io::Result<()> {
    let info = map_info(map)?;
    check_len(value.len(), info.value_size)?;
    let count = keys.len() / info.key_size as usize;
    check_len(keys.len(), info.key_size * count as u32)?;
    let mut one = value.to_vec();
    one.resize(value.len().next_multiple_of(8), 0);
    let values = one.repeat(cpus * count);
    let mut attr = BatchAttr {
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count: count as u32,
        map: map.as_raw_fd() as u32,
        ..BatchAttr::default()
    };
    call(UPDATE_BATCH, &mut attr).map(drop)
}

/// Missing keys are `NotFound`.
pub fn delete(map: BorrowedFd<'_>, key: &[u8]) -> io::Result<()> {
    check_len(key.len(), map_info(map)?.key_size)?;
    element(DELETE_ELEM, map, key, 0)
}

/// From now on nobody in user space can change the map.
pub fn freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    let mut fd = map.as_raw_fd() as u32;
    call(MAP_FREEZE, &mut fd).map(drop)
}

/// Freezing twice is `EBUSY`, so it is asked before.
pub fn is_frozen(map: BorrowedFd<'_>) -> io::Result<bool> {
    let info = std::fs::read_to_string(format!("/proc/thread-self/fdinfo/{}", map.as_raw_fd()))?;
    Ok(info.lines().any(|line| line.strip_prefix("frozen:").is_some_and(|value| value.trim() == "1")))
}

/// A key and its value.
pub type Element = (Vec<u8>, Vec<u8>);

/// Every element, in the kernel's order.
pub fn read_all(map: BorrowedFd<'_>) -> io::Result<Vec<Element>> {
    let info = map_info(map)?;
    let (keys, values) = read_range(map, &info, 0, info.max_entries, info.value_size as usize)?;
    let elements = keys
        .chunks_exact(info.key_size as usize)
        .zip(values.chunks_exact(info.value_size as usize))
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect();
    Ok(elements)
}

/// Whether these are the values of an array, one after another.
pub fn holds(map: BorrowedFd<'_>, values: &[u8]) -> io::Result<bool> {
    /// Elements that are read at once, so that what is read stays in the cache until it is compared.
    const AT_ONCE: u32 = 64;
    let info = map_info(map)?;
    check_len(values.len(), info.value_size * info.max_entries)?;
    let stride = info.value_size as usize;
    for (first, expected) in (0..).step_by(AT_ONCE as usize).zip(values.chunks(AT_ONCE as usize * stride)) {
        let count = (expected.len() / stride) as u32;
        if read_range(map, &info, first, count, stride)?.1 != expected {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `count` elements of a per-CPU array from `first` on; each value is one `value_size` block (rounded up to 8) per
/// possible CPU.
pub fn per_cpu_elements(
    map: BorrowedFd<'_>,
    first: u32,
    count: u32,
    cpus: usize,
) -> io::Result<Vec<Vec<u8>>> {
    let info = map_info(map)?;
    let stride = (info.value_size as usize).next_multiple_of(8) * cpus;
    let (_, values) = read_range(map, &info, first, count, stride)?;
    Ok(values.chunks_exact(stride).map(<[u8]>::to_vec).collect())
}

/// One batched look-up of `count` elements behind `first` (arrays), or of the whole map (hashes, `first` = 0).
fn read_range(
    map: BorrowedFd<'_>,
    info: &MapInfo,
    first: u32,
    count: u32,
    stride: usize,
) -> io::Result<(Vec<u8>, Vec<u8>)> {
    if count == 0 {
        return Ok((Vec::new(), Vec::new()));
    }
    let mut keys = vec![0u8; count as usize * info.key_size as usize];
    let mut values = vec![0u8; count as usize * stride];
    // Arrays go on behind the given key, hashes keep a bucket number there; both fit 8 bytes or the key.
    let before = first.wrapping_sub(1).to_ne_bytes();
    let mut position = vec![0u8; (info.key_size as usize).max(8)];
    let mut attr = BatchAttr {
        in_batch: if first == 0 { 0 } else { before.as_ptr() as u64 },
        out_batch: position.as_mut_ptr() as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count,
        map: map.as_raw_fd() as u32,
        ..BatchAttr::default()
    };
    match call(LOOKUP_BATCH, &mut attr) {
        // `ENOENT` is the end of the map: what was there has been read.
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => return Err(error),
        _ => {}
    }
    keys.truncate(attr.count as usize * info.key_size as usize);
    values.truncate(attr.count as usize * stride);
    Ok((keys, values))
}

/// The kernel reads as many bytes as the map says, whatever the slice holds.
fn check_len(found: usize, wanted: u32) -> io::Result<()> {
    if found == wanted as usize {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{found} bytes where the map has {wanted}")))
}

fn element(command: libc::c_int, map: BorrowedFd<'_>, key: &[u8], value: u64) -> io::Result<()> {
    let mut attr =
        ElementAttr { map: map.as_raw_fd() as u32, padding: 0, key: key.as_ptr() as u64, value, flags: 0 };
    call(command, &mut attr).map(drop)
}
