//! Shards of address sets, by the hash of their bytes.

use std::collections::BTreeSet;

use bytes::Bytes;
use redb::{ReadOnlyTable, ReadableDatabase, TableDefinition, TableError};
use sluice_plan::Hash;

use crate::error::Result;
use crate::store::Store;

const SHARDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("shards");

impl Store {
    /// Those of `hashes` that are not there.
    pub fn missing_shards(&self, hashes: &[Hash]) -> Result<Vec<Hash>> {
        let mut missing = Vec::new();
        self.each_shard(hashes, |hash, bytes| {
            if bytes.is_none() {
                missing.push(hash);
            }
        })?;
        Ok(missing)
    }

    /// The bytes of each of `hashes`, in their order, `None` where one is not there.
    pub fn shards(&self, hashes: &[Hash]) -> Result<Vec<Option<Bytes>>> {
        let mut found = Vec::with_capacity(hashes.len());
        self.each_shard(hashes, |_, bytes| found.push(bytes.map(Bytes::copy_from_slice)))?;
        Ok(found)
    }

    pub fn put_shards(&self, shards: &[(Hash, Bytes)]) -> Result<()> {
        self.with(|database| {
            let transaction = database.begin_write().map_err(|error| self.error(error))?;
            {
                let mut table = transaction.open_table(SHARDS).map_err(|error| self.error(error))?;
                for (hash, bytes) in shards {
                    table.insert(hash.0.as_slice(), &**bytes).map_err(|error| self.error(error))?;
                }
            }
            transaction.commit().map_err(|error| self.error(error))
        })
    }

    /// Forgets all others.
    pub fn retain_shards(&self, used: &BTreeSet<Hash>) -> Result<()> {
        let is_used = |hash: &[u8]| Hash::from_slice(hash).is_some_and(|hash| used.contains(&hash));
        self.with(|database| {
            let transaction = database.begin_write().map_err(|error| self.error(error))?;
            {
                let mut table = transaction.open_table(SHARDS).map_err(|error| self.error(error))?;
                table.retain(|hash, _| is_used(hash)).map_err(|error| self.error(error))?;
            }
            transaction.commit().map_err(|error| self.error(error))
        })
    }

    fn each_shard(&self, hashes: &[Hash], mut each: impl FnMut(Hash, Option<&[u8]>)) -> Result<()> {
        let table = self.with(|database| self.open_shards(database))?;
        for &hash in hashes {
            let found = match &table {
                Some(table) => table.get(hash.0.as_slice()).map_err(|error| self.error(error))?,
                None => None,
            };
            each(hash, found.as_ref().map(|bytes| bytes.value()));
        }
        Ok(())
    }

    /// `None` in a file that never had any.
    fn open_shards(
        &self,
        database: &redb::Database,
    ) -> Result<Option<ReadOnlyTable<&'static [u8], &'static [u8]>>> {
        let transaction = database.begin_read().map_err(|error| self.error(error))?;
        match transaction.open_table(SHARDS) {
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            opened => opened.map(Some).map_err(|error| self.error(error)),
        }
    }
}
