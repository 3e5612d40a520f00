//! What can go wrong with the file, and what to do about it.

use std::io;
use std::path::PathBuf;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no space for {}: free some on that file system; what the kernel enforces now goes on, but a restart \
             would bring back the state written last", path.display())]
    DiskFull { path: PathBuf },
    #[error("{} is damaged ({detail}): move it away (`mv {0} {0}.bad`) and start the agent again; it asks the \
             operator for its plan (outside a cluster with a new join token of `kubectl sluice join NODE`), and counters \
             begin at 0", path.display())]
    Corrupt { path: PathBuf, detail: String },
    #[error("{} is in use by another agent: stop that one, or give this one its own --state directory",
            path.display())]
    InUse { path: PathBuf },
    #[error("{} was written by another version (file format {version}): start that version once, or move the file \
             away", path.display())]
    OtherVersion { path: PathBuf, version: u8 },
    #[error("{}: {source}; the state directory must be writable for the agent", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Database { path: PathBuf, source: Box<redb::Error> },
}

impl Error {
    pub(crate) fn of(path: &std::path::Path, error: impl Into<redb::Error>) -> Error {
        let path = path.to_owned();
        match error.into() {
            redb::Error::Io(source) => Error::io(path, source),
            redb::Error::Corrupted(detail) => Error::Corrupt { path, detail },
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Error::InUse { path },
            redb::Error::UpgradeRequired(version) => Error::OtherVersion { path, version },
            source => Error::Database { path, source: Box::new(source) },
        }
    }

    pub(crate) fn io(path: PathBuf, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull { path },
            // What redb says of a file that does not start like one of its own.
            io::ErrorKind::InvalidData => Error::Corrupt { path, detail: source.to_string() },
            _ => Error::Io { path, source },
        }
    }

    /// The database went down with an earlier I/O error and must be opened anew.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self, Error::Database { source, .. } if matches!(**source, redb::Error::PreviousIo))
    }
}
