//! `BPF_OBJ_GET_INFO_BY_FD`: what an object is, asked of a descriptor that we hold, which needs no `CAP_SYS_ADMIN`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::{call, call_for_fd};

const PROG_GET_FD_BY_ID: libc::c_int = 13;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
/// A program may use at most this many maps (`MAX_USED_MAPS`).
const MAX_USED_MAPS: usize = 64;

#[repr(C)]
struct InfoAttr {
    fd: u32,
    len: u32,
    info: u64,
}

pub const PROG_TYPE_XDP: u32 = 6;
pub const LINK_TYPE_TCX: u32 = 11;

/// `struct bpf_link_info` of an XDP or tcx link; a longer union arm would only be cut off.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkInfo {
    pub kind: u32,
    pub id: u32,
    pub program_id: u32,
    reserved: u32,
    /// 0 once the interface is gone.
    pub ifindex: u32,
    /// Of tcx.
    pub attach_type: u32,
    padding: [u32; 10],
}

#[repr(C)]
#[derive(Default)]
struct RawProgramInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_len: u32,
    xlated_len: u32,
    jited: u64,
    xlated: u64,
    load_time: u64,
    uid: u32,
    map_count: u32,
    map_ids: u64,
    name: [u8; 16],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    pub kind: u32,
    pub id: u32,
    /// The kernel's hash over the instructions; it does not cover `.rodata`.
    pub tag: [u8; 8],
    pub map_ids: Vec<u32>,
    pub name: String,
}

/// `struct bpf_map_info`, first part.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapInfo {
    pub kind: u32,
    pub id: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub flags: u32,
    pub name: [u8; 16],
}

pub fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    info(link)
}

pub fn map_info(map: BorrowedFd<'_>) -> io::Result<MapInfo> {
    info(map)
}

pub fn program_info(program: BorrowedFd<'_>) -> io::Result<ProgramInfo> {
    let mut map_ids = vec![0u32; MAX_USED_MAPS];
    let mut raw = RawProgramInfo {
        map_count: map_ids.len() as u32,
        map_ids: map_ids.as_mut_ptr() as u64,
        ..RawProgramInfo::default()
    };
    fill(program, &mut raw)?;
    map_ids.truncate(raw.map_count as usize);
    let name = raw.name.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(ProgramInfo {
        kind: raw.kind,
        id: raw.id,
        tag: raw.tag,
        map_ids,
        name: String::from_utf8_lossy(name).into_owned(),
    })
}

/// Opens any program of the machine; needs `CAP_SYS_ADMIN`, which the agent does without.
pub fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct ById {
        id: u32,
        next_id: u32,
        flags: u32,
    }
    call_for_fd(PROG_GET_FD_BY_ID, &mut ById { id, next_id: 0, flags: 0 })
}

fn info<T: Default>(object: BorrowedFd<'_>) -> io::Result<T> {
    let mut info = T::default();
    fill(object, &mut info)?;
    Ok(info)
}

fn fill<T>(object: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    let mut attr = InfoAttr {
        fd: object.as_raw_fd() as u32,
        len: size_of::<T>() as u32,
        info: std::ptr::from_mut(info) as u64,
    };
    call(OBJ_GET_INFO_BY_FD, &mut attr).map(drop)
}
