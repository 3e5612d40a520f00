//! One file, one writer: the log, the vote, the state and its snapshot live in `raft.redb`, and a single thread
//! writes them in the order in which they were asked for. Reads are answered from memory.

#[cfg(feature = "simulation")]
pub mod disk;
mod log;
mod machine;
mod snapshot;
mod tables;
mod writer;

#[cfg(test)]
mod suite;

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, DatabaseError};
use tokio::sync::watch;

pub use log::LogStore;
pub use machine::StateMachine;
use tables::Loaded;
pub use writer::Stop;

use crate::files::sync_parent;
use crate::{Identity, OpenError, State};

/// What openraft runs on, and what is read beside it.
pub struct Store {
    pub log: LogStore,
    pub machine: StateMachine,
    pub state: watch::Receiver<Arc<State>>,
    pub stop: Stop,
    pub identity: Identity,
}

pub const FILE: &str = "raft.redb";
/// Directory of a file that is being made.
const BEGUN: &str = "begun";

/// Where a store is.
pub enum Place<'a> {
    Directory(&'a Path),
    #[cfg(feature = "simulation")]
    Simulated(disk::Disk),
}

/// Reads everything into memory and starts the writer. A file that has no identity yet is given the expected or a new
/// one.
pub fn open(place: &Place, expected: Option<&Identity>) -> Result<Store, OpenError> {
    let (db, loaded) = read(place, expected)?;
    let (writer, stop) = match place {
        Place::Directory(_) => writer::start(db),
        #[cfg(feature = "simulation")]
        Place::Simulated(disk) => writer::start_simulated(db, disk.clone()),
    };
    let (publish, state) = watch::channel(loaded.machine.state.clone());
    Ok(Store {
        log: LogStore::new(writer.clone(), loaded.log),
        machine: StateMachine::new(writer, loaded.machine, loaded.snapshot, publish),
        state,
        stop,
        identity: loaded.identity,
    })
}

fn read(place: &Place, expected: Option<&Identity>) -> Result<(Database, Loaded), OpenError> {
    let path = place.path();
    let db = place.open()?;
    let loaded = load(&db, expected).map_err(|error| unreadable(&path, &error))?;
    let identity = &loaded.identity;
    if let Some(found) = expected.filter(|expected| *expected != identity) {
        return Err(OpenError::ForeignIdentity {
            dir: path.with_file_name(""),
            found: found.to_string(),
            expected: identity.to_string(),
        });
    }
    Ok((db, loaded))
}

/// Reads the file, and finishes what a crash interrupted.
fn load(db: &Database, expected: Option<&Identity>) -> Result<Loaded, tables::Error> {
    let loaded = tables::load(db, expected)?;
    if tables::install_received(db, &loaded)? { tables::load(db, expected) } else { Ok(loaded) }
}

impl Place<'_> {
    /// Of its file, for messages.
    fn path(&self) -> PathBuf {
        match self {
            Place::Directory(dir) => dir.join(FILE),
            #[cfg(feature = "simulation")]
            Place::Simulated(_) => PathBuf::from(FILE),
        }
    }

    fn open(&self) -> Result<Database, OpenError> {
        let path = self.path();
        let opened = match self {
            Place::Directory(_) => {
                make_private(&path).map_err(|source| OpenError::Io { path: path.clone(), source })?;
                Database::builder().set_cache_size(CACHE_BYTES).create(&path)
            }
            #[cfg(feature = "simulation")]
            Place::Simulated(disk) => {
                return disk.open().map_err(|error| OpenError::Start(error.to_string()));
            }
        };
        let db = opened.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path: path.clone() },
            DatabaseError::Storage(redb::StorageError::Io(source))
                if source.kind() != io::ErrorKind::InvalidData =>
            {
                OpenError::Io { path: path.clone(), source }
            }
            other => OpenError::Damaged { path: path.clone(), reason: other.to_string() },
        })?;
        sync_parent(&path).map_err(|source| OpenError::Io { path: path.clone(), source })?;
        Ok(db)
    }
}

/// Makes the file of a replica that was given its identity: all of it, or nothing where it fails. Half a file would be taken
/// for a replica's, and have no name.
pub fn make(place: &Place, identity: &Identity) -> Result<(), OpenError> {
    match place {
        Place::Directory(dir) => {
            let (begun, path) = (dir.join(BEGUN), place.path());
            let failed = |source| OpenError::Io { path: path.clone(), source };
            make_empty(&begun).map_err(failed)?;
            read(&Place::Directory(&begun), Some(identity))?;
            fs::rename(begun.join(FILE), &path).map_err(failed)?;
            fs::remove_dir(&begun).and_then(|()| sync_parent(&path)).map_err(failed)
        }
        #[cfg(feature = "simulation")]
        Place::Simulated(_) => read(place, Some(identity)).map(drop),
    }
}

/// Makes the replica that was `former` the only one of a new cluster, if it is not that yet.
pub fn stand_alone(place: &Place, former: &Identity, own: &str) -> Result<Identity, OpenError> {
    let db = place.open()?;
    load(&db, Some(former))
        .and_then(|_| tables::stand_alone(&db, former, own))
        .map_err(|error| unreadable(&place.path(), &error))
}

fn unreadable(path: &Path, error: &tables::Error) -> OpenError {
    let (path, reason) = (path.to_owned(), error.to_string());
    match error {
        tables::Error::Later { .. } => OpenError::Later { path, reason },
        _ => OpenError::Damaged { path, reason },
    }
}

/// Whatever an earlier attempt left there.
fn make_empty(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir(dir),
    }
}

/// The key that signs plans is in it; versions before made a file that everybody could read.
fn make_private(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

/// Everything is in our own memory already; redb's cache only serves the pages that a commit touches.
const CACHE_BYTES: usize = 8 << 20;
