//! openraft's state machine on the writer. `apply` returns once data, position and membership are on disk in one
//! transaction, so a restart never goes back in time and no committed position has to be kept beside it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, StorageIOError};
use tokio::sync::watch;

use super::snapshot;
use super::tables::Error;
use super::writer::{Op, Writer};
use crate::config::{Entry, LogId, Membership, SnapshotMeta, StorageError, TypeConfig};
use crate::{Applied, State};

/// Taken and replaced as a whole.
#[derive(Clone, Default)]
pub struct Machine {
    pub applied: Option<LogId>,
    pub membership: Membership,
    pub state: Arc<State>,
}

/// An encoded [`State`].
#[derive(Clone)]
pub struct StoredSnapshot {
    pub meta: SnapshotMeta,
    pub bytes: Bytes,
}

pub struct StateMachine {
    writer: Writer,
    machine: Machine,
    snapshot: Arc<Mutex<Option<StoredSnapshot>>>,
    publish: watch::Sender<Arc<State>>,
}

impl StateMachine {
    pub fn new(
        writer: Writer,
        machine: Machine,
        snapshot: Option<StoredSnapshot>,
        publish: watch::Sender<Arc<State>>,
    ) -> Self {
        StateMachine { writer, machine, snapshot: Arc::new(Mutex::new(snapshot)), publish }
    }

    /// Only what is on disk is shown.
    fn take_over(&mut self, machine: Machine) {
        let state = machine.state.clone();
        self.machine = machine;
        self.publish.send_if_modified(|shown| {
            let changed = !Arc::ptr_eq(shown, &state);
            *shown = state;
            changed
        });
    }
}

impl StoredSnapshot {
    pub fn machine(&self) -> Result<Machine, Error> {
        let SnapshotMeta { last_log_id, last_membership, .. } = self.meta.clone();
        let state = Arc::new(snapshot::decode(&self.bytes)?);
        Ok(Machine { applied: last_log_id, membership: last_membership, state })
    }
}

impl Machine {
    /// `changed` is set if the state becomes another.
    fn apply(&mut self, entry: Entry, changed: &mut bool) -> Applied {
        let at = entry.log_id;
        self.applied = Some(at);
        let mut void = false;
        match entry.payload {
            EntryPayload::Blank => {}
            EntryPayload::Normal(command) => {
                let command = command.agreed_in(at.leader_id.term);
                let command = command.filter(|command| !command.is_void(&self.state));
                void = command.is_none();
                if let Some(command) = command {
                    // Cloned for the first entry of several: the others find it shared by nobody.
                    let mut state = Arc::unwrap_or_clone(std::mem::take(&mut self.state));
                    *changed |= state.apply(command, at.leader_id.term, at.index);
                    self.state = Arc::new(state);
                }
            }
            EntryPayload::Membership(membership) => self.membership = Membership::new(Some(at), membership),
        }
        Applied { epoch: self.state.epoch, void }
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        Ok((self.machine.applied, self.machine.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let (mut after, mut changed) = (self.machine.clone(), false);
        let applied = entries.into_iter().map(|entry| after.apply(entry, &mut changed)).collect();
        if !changed {
            // Readers are woken by another one only.
            after.state = self.machine.state.clone();
        }
        let op = Op::Apply { before: self.machine.state.clone(), after: after.clone() };
        let written = self.writer.write(op).await;
        written.map_err(|error| StorageIOError::write_state_machine(&error))?;
        self.take_over(after);
        Ok(applied)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            writer: self.writer.clone(),
            machine: self.machine.clone(),
            snapshot: self.snapshot.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Bytes>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Bytes>,
    ) -> Result<(), StorageError> {
        let failed = |error: &dyn std::fmt::Display| {
            StorageIOError::write_snapshot(Some(meta.signature()), &std::io::Error::other(error.to_string()))
        };
        let snapshot = StoredSnapshot { meta: meta.clone(), bytes: *snapshot };
        let mut machine = snapshot.machine().map_err(|error| failed(&error))?;
        // What came in between is not known.
        Arc::make_mut(&mut machine.state).step = self.machine.state.step.leap();
        let op = Op::Install { machine: machine.clone(), snapshot: snapshot.clone() };
        self.writer.write(op).await.map_err(|error| failed(&error))?;
        set(&self.snapshot, snapshot);
        self.take_over(machine);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let stored = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(stored.map(|stored| Snapshot { meta: stored.meta, snapshot: Box::new(stored.bytes) }))
    }
}

/// Holds its own view of the machine: `apply` goes on while it works.
pub struct SnapshotBuilder {
    writer: Writer,
    machine: Machine,
    snapshot: Arc<Mutex<Option<StoredSnapshot>>>,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let Machine { applied, membership, state } = self.machine.clone();
        let position =
            applied.map_or_else(|| "empty".to_owned(), |at| format!("{}-{}", at.leader_id.term, at.index));
        let meta = SnapshotMeta { last_log_id: applied, last_membership: membership, snapshot_id: position };
        let stored = StoredSnapshot { meta: meta.clone(), bytes: snapshot::encode(&state).into() };
        let written = self.writer.write(Op::Snapshot(stored.clone())).await;
        written.map_err(|error| StorageIOError::write_snapshot(Some(meta.signature()), &error))?;
        set(&self.snapshot, stored.clone());
        Ok(Snapshot { meta, snapshot: Box::new(stored.bytes) })
    }
}

fn set(shared: &Mutex<Option<StoredSnapshot>>, snapshot: StoredSnapshot) {
    *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
}
