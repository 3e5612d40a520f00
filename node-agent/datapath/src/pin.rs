//! Pins: names in the bpf file system that keep objects when this process ends. Anybody with the rights can remove one,
//! or put another object in its place.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use crate::bpf::{self, Kind};
use crate::error::{Context, Result};

/// Whether this object is pinned there, and no other.
pub fn is_of(path: &Path, object: BorrowedFd<'_>, kind: Kind) -> bool {
    let there = || {
        let found = bpf::get(path, kind)?;
        Ok::<_, io::Error>(bpf::id(found.as_fd(), kind)? == bpf::id(object, kind)?)
    };
    there().unwrap_or(false)
}

/// Pins the object there, if it is not. Directories are made anew where somebody removed them.
pub fn ensure(path: &Path, object: BorrowedFd<'_>, kind: Kind) -> Result<()> {
    if is_of(path, object, kind) {
        return Ok(());
    }
    remove(path)?;
    let dir = path.parent().unwrap_or(path);
    let pinned = fs::create_dir_all(dir).and_then(|()| bpf::pin(object, path));
    pinned.context(|| format!("pinning at {}", path.display()))
}

/// It may be gone already.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).context(|| format!("removing the pin {}", path.display()))
        }
        _ => Ok(()),
    }
}
