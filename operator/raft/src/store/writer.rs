//! The one ordered writer. A later change is never durable before an earlier one: a vote that overtook an append, or
//! the other way round, can lose committed entries.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use openraft::storage::LogFlushed;
use redb::Database;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::machine::{Machine, StoredSnapshot};
use super::tables::{self, Error};
use crate::State;
use crate::config::{LogId, TypeConfig, Vote};

pub enum Op {
    Vote(Vote),
    Append(Vec<(u64, Vec<u8>)>),
    /// This index and all above.
    Truncate(u64),
    /// This position and all below.
    Purge(LogId),
    Apply {
        before: Arc<State>,
        after: Machine,
    },
    Snapshot(StoredSnapshot),
    Install {
        machine: Machine,
        snapshot: StoredSnapshot,
    },
    Stop,
}

pub enum Done {
    Flushed(LogFlushed<TypeConfig>),
    Written(oneshot::Sender<io::Result<()>>),
}

#[derive(Clone)]
pub struct Writer(UnboundedSender<(Op, Done)>);

impl Writer {
    /// Returns once it is on disk.
    pub async fn write(&self, op: Op) -> io::Result<()> {
        let (done, written) = oneshot::channel();
        self.send(op, Done::Written(done));
        written.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Queues it; `done` is told once it is on disk.
    pub fn send(&self, op: Op, done: Done) {
        if let Err(refused) = self.0.send((op, done)) {
            refused.0.1.tell(Err(&stopped()));
        }
    }
}

/// Ends the writer, so that the file is free again when this returns.
pub struct Stop {
    writer: Writer,
    /// None where it is a task.
    thread: Option<JoinHandle<()>>,
}

impl Stop {
    pub fn stop(self) {
        let (done, _) = oneshot::channel();
        self.writer.send(Op::Stop, Done::Written(done));
        if self.thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's writer panicked");
        }
    }
}

pub fn start(db: Database) -> (Writer, Stop) {
    let (queue, mut jobs) = unbounded_channel();
    let thread = thread::Builder::new().name("raft-writer".into());
    let run = move || {
        let mut store = Some(db);
        while let Some(first) = jobs.blocking_recv() {
            if !write(&mut store, &mut jobs, first) {
                return;
            }
        }
    };
    let thread = thread.spawn(run).expect("a thread can be started at start-up");
    let writer = Writer(queue);
    (writer.clone(), Stop { writer, thread: Some(thread) })
}

/// As a task that takes the disk's time.
#[cfg(feature = "simulation")]
pub fn start_simulated(db: Database, disk: super::disk::Disk) -> (Writer, Stop) {
    let (queue, mut jobs) = unbounded_channel();
    let run = async move {
        let mut store = Some(db);
        while let Some(first) = jobs.recv().await {
            tokio::time::sleep(disk.delay()).await;
            if !write(&mut store, &mut jobs, first) {
                return;
            }
        }
    };
    tokio::spawn(run);
    let writer = Writer(queue);
    (writer.clone(), Stop { writer, thread: None })
}

/// Group commit: whatever waits shares one fsync. False once the writer is to end.
fn write(store: &mut Option<Database>, jobs: &mut UnboundedReceiver<(Op, Done)>, first: (Op, Done)) -> bool {
    let mut group = vec![first];
    group.extend(std::iter::from_fn(|| jobs.try_recv().ok()).take(GROUP - 1));
    let stop = group.iter().position(|(op, _)| matches!(op, Op::Stop));
    let late = stop.map(|at| group.split_off(at)).unwrap_or_default();
    // After one failure the file may lack what later changes build on, so nothing more is written.
    let written = match store {
        Some(db) => commit(db, &group).map_err(io::Error::other),
        None => Err(stopped()),
    };
    if written.is_err() {
        *store = None;
    }
    for (_, done) in group {
        done.tell(match &written {
            Ok(()) => Ok(()),
            Err(error) => Err(error),
        });
    }
    if stop.is_some() {
        *store = None;
        late.into_iter().for_each(|(_, done)| done.tell(Err(&stopped())));
    }
    stop.is_none()
}

fn commit(db: &Database, group: &[(Op, Done)]) -> Result<(), Error> {
    if group.is_empty() {
        return Ok(());
    }
    let txn = db.begin_write()?;
    for (op, _) in group {
        match op {
            Op::Vote(vote) => tables::put_vote(&txn, vote)?,
            Op::Append(entries) => tables::append(&txn, entries)?,
            Op::Truncate(since) => tables::truncate(&txn, *since)?,
            Op::Purge(upto) => tables::purge(&txn, *upto)?,
            Op::Apply { before, after } => tables::put_machine(&txn, before, after)?,
            Op::Snapshot(snapshot) => tables::put_snapshot(&txn, snapshot)?,
            Op::Install { machine, snapshot } => {
                tables::clear_machine(&txn)?;
                tables::put_machine(&txn, &State::default(), machine)?;
                tables::put_snapshot(&txn, snapshot)?;
            }
            Op::Stop => {}
        }
    }
    txn.commit()?;
    Ok(())
}

impl Done {
    fn tell(self, result: Result<(), &io::Error>) {
        let result = result.map_err(|error| io::Error::new(error.kind(), error.to_string()));
        match self {
            Done::Flushed(callback) => callback.log_io_completed(result),
            // Whoever asked is gone; that the change was made is not lost with them.
            Done::Written(waiter) => drop(waiter.send(result)),
        }
    }
}

fn stopped() -> io::Error {
    io::Error::other("the store is closed")
}

/// Changes that share one commit, at most.
const GROUP: usize = 256;

#[cfg(test)]
#[cfg(feature = "simulation")]
mod power;
