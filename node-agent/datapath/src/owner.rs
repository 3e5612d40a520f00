//! Whose program is in the way. Another Sluice on this node is recognised by its pins, which takes no privilege to read.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crate::bpf::{self, Kind};
use crate::error::Error;
use sluice_plan::Hook;

use crate::object::program;

/// Tells a program of another Sluice from anybody else's.
pub fn name(error: Error, root: &Path) -> Error {
    let Error::ForeignProgram { interface, found } = error else { return error };
    match pinned_beside(root, found.program_id) {
        None if found.name.as_deref() != Some(program(Hook::Xdp)) => {
            Error::ForeignProgram { interface, found }
        }
        pins => Error::OtherSluice { interface, found, pins },
    }
}

/// The directory of pins beside `root` that holds a link to this program.
fn pinned_beside(root: &Path, program_id: u32) -> Option<PathBuf> {
    let beside = fs::read_dir(root.parent()?).ok()?.flatten().map(|entry| entry.path());
    beside.filter(|other| other != root).find(|other| holds_link_to(other, program_id))
}

fn holds_link_to(root: &Path, program_id: u32) -> bool {
    let pins = fs::read_dir(root.join("links")).into_iter().flatten().flatten();
    let links = pins.filter_map(|pin| bpf::get(&pin.path(), Kind::Link).ok());
    links.filter_map(|link| bpf::link_info(link.as_fd()).ok()).any(|link| link.program_id == program_id)
}
