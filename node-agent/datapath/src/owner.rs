//! Whose program is in the way. Another Sluice on this node and libxdp's dispatcher are recognised by their pins, which take
//! no privilege to read, as the names of programs do.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crate::bpf::{self, Kind};
use crate::error::Error;
use sluice_plan::Hook;

use crate::object::program;
use crate::query::Attached;

/// What libxdp calls the program that calls others.
const DISPATCHER: &str = "xdp_dispatcher";
/// Where libxdp pins unless its environment says otherwise.
const LIBXDP_BPFFS: &str = "/sys/fs/bpf";

/// Tells a program of another Sluice, and libxdp's dispatcher, from anybody else's.
pub fn name(error: Error, root: &Path, ifindex: u32) -> Error {
    let Error::ForeignProgram { interface, found } = error else { return error };
    if is_dispatcher(root, ifindex, &found) {
        return Error::Dispatcher { interface, found };
    }
    match pinned_beside(root, found.program_id) {
        None if found.name.as_deref() != Some(program(Hook::Xdp)) => {
            Error::ForeignProgram { interface, found }
        }
        pins => Error::OtherSluice { interface, found, pins },
    }
}

/// The pin of a dispatcher is named after its interface and program (libxdp, `xdp_mp_get_pin_path`).
fn is_dispatcher(root: &Path, ifindex: u32, found: &Attached) -> bool {
    let pin = format!("xdp/dispatch-{ifindex}-{}", found.program_id);
    let bpffs = [Some(Path::new(LIBXDP_BPFFS)), root.parent()];
    let is_pinned = bpffs.into_iter().flatten().any(|bpffs| bpffs.join(&pin).exists());
    is_pinned || found.name.as_deref() == Some(DISPATCHER)
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
