//! openraft's log on the writer. The log is short (it is cut by snapshots), so it is kept in memory as well: entries
//! can be read as soon as `append` returns, and readers never wait for the disk.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader, StorageIOError};

use super::machine::StoredSnapshot;
use super::tables::encode;
use super::writer::{Done, Op, Writer};
use crate::config::{Entry, LogId, SnapshotMeta, StorageError, TypeConfig, Vote};

#[derive(Default)]
pub struct Log {
    pub entries: BTreeMap<u64, Entry>,
    /// Encoded size of what was appended since the last purge, or of all that was loaded.
    pub bytes: usize,
    pub vote: Option<Vote>,
    pub purged: Option<LogId>,
}

#[derive(Clone)]
pub struct LogStore {
    writer: Writer,
    log: Arc<Mutex<Log>>,
}

impl LogStore {
    pub fn new(writer: Writer, log: Log) -> Self {
        LogStore { writer, log: Arc::new(Mutex::new(log)) }
    }

    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Keeps a snapshot that is to be installed. openraft cuts the log to it before it is, and a crash between the two would
    /// leave neither the entries nor what follows from them.
    ///
    /// # Errors
    /// It is of a later version, or cannot be written.
    pub async fn receive(&self, meta: SnapshotMeta, bytes: Bytes) -> io::Result<()> {
        let snapshot = StoredSnapshot { meta, bytes };
        snapshot.machine().map_err(io::Error::other)?;
        self.writer.write(Op::Snapshot(snapshot)).await
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        // No code that can panic runs under the lock.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let bounds = (range.start_bound().cloned(), range.end_bound().cloned());
        if is_empty(&bounds) {
            return Ok(Vec::new());
        }
        Ok(self.lock().entries.range(bounds).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let log = self.lock();
        let last = log.entries.last_key_value().map(|(_, entry)| entry.log_id);
        Ok(LogState { last_purged_log_id: log.purged, last_log_id: last.or(log.purged) })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.writer.write(Op::Vote(*vote)).await.map_err(|error| StorageIOError::write_vote(&error))?;
        self.lock().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.lock().vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let encoded: Vec<_> = entries.iter().map(|entry| (entry.log_id.index, encode(entry))).collect();
        {
            let mut log = self.lock();
            log.bytes += encoded.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
            log.entries.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
        }
        self.writer.send(Op::Append(encoded), Done::Flushed(callback));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.lock().entries.split_off(&log_id.index);
        let written = self.writer.write(Op::Truncate(log_id.index)).await;
        Ok(written.map_err(|error| StorageIOError::write_logs(&error))?)
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let written = self.writer.write(Op::Purge(log_id)).await;
        written.map_err(|error| StorageIOError::write_logs(&error))?;
        let mut log = self.lock();
        log.entries = log.entries.split_off(&(log_id.index + 1));
        log.purged = Some(log_id);
        log.bytes = 0;
        Ok(())
    }
}

/// `BTreeMap::range` panics on a range that ends before it starts.
fn is_empty(bounds: &(std::ops::Bound<u64>, std::ops::Bound<u64>)) -> bool {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    match *bounds {
        (Included(start), Included(end)) => start > end,
        (Included(start) | Excluded(start), Excluded(end)) => start >= end,
        (Excluded(start), Included(end)) => start >= end,
        (Unbounded, _) | (_, Unbounded) => false,
    }
}
