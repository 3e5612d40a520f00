//! The file: typed records under fixed names, several of them changed at once or not at all.

use std::fs;
use std::marker::PhantomData;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{Builder, Database, ReadableDatabase, TableDefinition, TableError, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

const RECORDS: TableDefinition<&str, &[u8]> = TableDefinition::new("records");
/// Plans are a few megabytes at most; the default of 1 GiB is for databases.
const CACHE_BYTES: usize = 4 << 20;

/// Name and type of one record.
pub struct Key<T> {
    name: &'static str,
    of: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    pub const fn new(name: &'static str) -> Key<T> {
        Key { name, of: PhantomData }
    }
}

/// One agent's state. Every write is on disk when it returns.
pub struct Store {
    path: PathBuf,
    /// `None` only while it is opened anew.
    database: Mutex<Option<Database>>,
}

impl Store {
    /// Opens `agent.redb` in `dir`, making both if need be (0700 and 0600: the file holds a private key). The whole
    /// file is verified, so that a damaged one is refused instead of believed.
    pub fn open(dir: &Path) -> Result<Store> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| Error::io(dir.to_owned(), source))?;
        let path = dir.join("agent.redb");
        let database = open(&path)?;
        Ok(Store { path, database: Mutex::new(Some(database)) })
    }

    /// `None` if it was never written. A record that does not decode is [`Error::Corrupt`].
    pub fn get<T: DeserializeOwned>(&self, key: Key<T>) -> Result<Option<T>> {
        self.with(|database| self.read(database, key.name))?
            .map(|bytes| {
                postcard::from_bytes(&bytes).map_err(|error| Error::Corrupt {
                    path: self.path.clone(),
                    detail: format!("record {}: {error}", key.name),
                })
            })
            .transpose()
    }

    pub fn put<T: Serialize>(&self, key: Key<T>, value: &T) -> Result<()> {
        self.update(|update| update.put(&key, value))
    }

    pub fn remove<T>(&self, key: Key<T>) -> Result<()> {
        self.update(|update| update.remove(&key))
    }

    /// All changes in one step: after a crash either every one is there or none.
    pub fn update(&self, change: impl Fn(&mut Update<'_>) -> Result<()>) -> Result<()> {
        self.with(|database| {
            let transaction = database.begin_write().map_err(|error| self.error(error))?;
            change(&mut Update { transaction: &transaction, path: &self.path })?;
            transaction.commit().map_err(|error| self.error(error))
        })
    }

    fn read(&self, database: &Database, name: &str) -> Result<Option<Vec<u8>>> {
        let transaction = database.begin_read().map_err(|error| self.error(error))?;
        let table = match transaction.open_table(RECORDS) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            other => other.map_err(|error| self.error(error))?,
        };
        let found = table.get(name).map_err(|error| self.error(error))?;
        Ok(found.map(|bytes| bytes.value().to_vec()))
    }

    /// After an I/O error (a full disk, say) redb refuses everything until it is opened again, so that is tried.
    pub(crate) fn with<T>(&self, work: impl Fn(&Database) -> Result<T>) -> Result<T> {
        let mut slot = self.lock();
        if let Some(database) = slot.as_ref() {
            match work(database) {
                Err(error) if error.is_stale() => {}
                result => return result,
            }
        }
        *slot = None;
        work(slot.insert(open(&self.path)?))
    }

    /// A panic elsewhere leaves no half-made state here: transactions that were not committed do not exist.
    fn lock(&self) -> MutexGuard<'_, Option<Database>> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn error(&self, error: impl Into<redb::Error>) -> Error {
        Error::of(&self.path, error)
    }
}

/// Changes that take effect together.
pub struct Update<'a> {
    transaction: &'a WriteTransaction,
    path: &'a Path,
}

impl Update<'_> {
    pub fn put<T: Serialize>(&mut self, key: &Key<T>, value: &T) -> Result<()> {
        let bytes = postcard::to_stdvec(value).expect("plain data into a growing buffer always encodes");
        let mut table = self.transaction.open_table(RECORDS).map_err(|error| Error::of(self.path, error))?;
        table.insert(key.name, bytes.as_slice()).map_err(|error| Error::of(self.path, error))?;
        Ok(())
    }

    pub fn remove<T>(&mut self, key: &Key<T>) -> Result<()> {
        let mut table = self.transaction.open_table(RECORDS).map_err(|error| Error::of(self.path, error))?;
        table.remove(key.name).map_err(|error| Error::of(self.path, error))?;
        Ok(())
    }
}

fn open(path: &Path) -> Result<Database> {
    // redb would make it readable for others.
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| Error::io(path.to_owned(), source))?;
    Builder::new()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .create(path)
        .map_err(|error| Error::of(path, error))
}
