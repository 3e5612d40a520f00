//! One family of a set in the kernel: a map that nobody can change any more.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sluice_abi::SET_BLOCK;

use super::layout::Layout;
use crate::bpf::{self, MapShape};

const BPF_F_RDONLY_PROG: u32 = 1 << 7;
/// As many blocks as the set takes: without it all maps of a map have as many elements.
const BPF_F_INNER_MAP: u32 = 1 << 12;

const MAP_TYPE_ARRAY: u32 = 2;

#[derive(Debug)]
pub struct Blocks {
    map: OwnedFd,
    id: u32,
    bytes: u64,
}

impl Blocks {
    /// Makes, fills and freezes the map, and reads all of it back.
    ///
    /// # Errors
    /// Also `InvalidData` where the kernel gives back other bytes.
    pub fn make(layout: &Layout) -> io::Result<Blocks> {
        let map = new(layout.blocks())?;
        let keys: Vec<u32> = (0..layout.blocks()).collect();
        bpf::update_batch(map.as_fd(), bytemuck::cast_slice(&keys), layout.bytes(), layout.blocks())?;
        // From now on nobody can change it: not user space, for it is frozen, and no program by its flags.
        bpf::freeze(map.as_fd())?;
        let id = bpf::map_info(map.as_fd())?.id;
        let blocks = Blocks { map, id, bytes: layout.bytes().len() as u64 };
        if !blocks.holds(layout)? {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel holds other bytes"));
        }
        Ok(blocks)
    }

    /// Reads the whole map.
    pub fn holds(&self, layout: &Layout) -> io::Result<bool> {
        Ok(self.bytes == layout.bytes().len() as u64 && bpf::holds(self.fd(), layout.bytes())?)
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    /// What it takes up in the kernel.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
impl Blocks {
    /// As a kernel would have it that does not keep a frozen map from being changed.
    pub fn make_open(layout: &Layout) -> io::Result<Blocks> {
        let map = new(layout.blocks())?;
        let keys: Vec<u32> = (0..layout.blocks()).collect();
        bpf::update_batch(map.as_fd(), bytemuck::cast_slice(&keys), layout.bytes(), layout.blocks())?;
        let id = bpf::map_info(map.as_fd())?.id;
        Ok(Blocks { map, id, bytes: layout.bytes().len() as u64 })
    }
}

/// The map of all sets: one of `Blocks` at each place, or none.
pub fn new_places(name: &str, places: u32) -> io::Result<OwnedFd> {
    const MAP_TYPE_ARRAY_OF_MAPS: u32 = 12;
    let like = new(1)?;
    let number = size_of::<u32>() as u32;
    let shape =
        MapShape { kind: MAP_TYPE_ARRAY_OF_MAPS, key: number, value: number, entries: places, flags: 0 };
    bpf::create_map(name, &shape, Some(like.as_fd()))
}

fn new(blocks: u32) -> io::Result<OwnedFd> {
    let flags = BPF_F_RDONLY_PROG | BPF_F_INNER_MAP;
    let shape = MapShape {
        kind: MAP_TYPE_ARRAY,
        key: size_of::<u32>() as u32,
        value: SET_BLOCK as u32,
        entries: blocks,
        flags,
    };
    bpf::create_map("set", &shape, None)
}
