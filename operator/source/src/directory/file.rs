//! One file.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use sluice_index::Problem;

/// Of a reading: another means read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

impl Stamp {
    /// `None` for a file that is not there.
    pub fn of(file: &Path) -> Option<Stamp> {
        let metadata = fs::metadata(file).ok()?;
        Some(Stamp { modified: metadata.modified().ok(), bytes: metadata.len(), inode: metadata.ino() })
    }
}

/// The whole of a regular file with at most so many bytes.
pub fn read_bytes(file: &Path, limit: u64) -> Result<Vec<u8>, Problem> {
    let problem = |message: String| Problem { place: file.display().to_string(), message };
    let metadata = fs::metadata(file).map_err(|error| problem(read_failure(file, &error)))?;
    if metadata.len() > limit {
        let (found, limit) = (metadata.len() >> 20, limit >> 20);
        return Err(problem(format!(
            "the file has {found} MiB, more than the {limit} MiB allowed: split it"
        )));
    }
    if !metadata.is_file() {
        return Err(problem("not a regular file: put a file or a link to one here".to_owned()));
    }
    fs::read(file).map_err(|error| problem(read_failure(file, &error)))
}

pub fn read_text(file: &Path, limit: u64) -> Result<String, Problem> {
    let problem = |message: String| Problem { place: file.display().to_string(), message };
    let bytes = read_bytes(file, limit)?;
    String::from_utf8(bytes).map_err(|error| problem(format!("not UTF-8 text: {error}: save it as UTF-8")))
}

fn read_failure(file: &Path, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(40) => "a symbolic link that leads back to itself: point it at a file".to_owned(),
        _ if error.kind() == io::ErrorKind::NotFound && file.is_symlink() => {
            "a symbolic link to nothing: point it at a file".to_owned()
        }
        _ if error.kind() == io::ErrorKind::NotFound => {
            "there is no such file: make it, or remove its name".to_owned()
        }
        _ => format!("cannot be read: {error}"),
    }
}
