//! The power goes off: only what was synced is there afterwards.

use std::sync::Arc;

use futures::future::join_all;
use openraft::CommittedLeaderId;

use super::{Op, Writer, start};
use crate::State;
use crate::config::{LogId, SnapshotMeta, Vote};
use crate::store;
use crate::store::disk::Disk;
use crate::store::machine::{Machine, StoredSnapshot};
use crate::store::snapshot;
use crate::store::tables::{self, Loaded, encode};
use crate::{Bytes, Command};

#[tokio::test]
async fn what_was_confirmed_survives_and_nothing_later_without_it() {
    for syncs in 0..12 {
        let disk = failing(syncs);
        let mut confirmed = 0;
        if let Ok((writer, stop)) = disk.start() {
            for index in 1..=6 {
                let vote = writer.write(Op::Vote(Vote::new(index, 1))).await;
                let appended = writer.write(append(index)).await;
                assert!(
                    vote.is_ok() || appended.is_err(),
                    "a later write passed a failed one ({syncs} syncs)"
                );
                match appended {
                    Ok(()) => confirmed = index,
                    Err(_) => break,
                }
            }
            stop.stop();
        }
        let Some(found) = disk.found() else {
            assert_eq!(confirmed, 0, "{syncs} syncs");
            continue;
        };
        let last = found.log.entries.last_key_value().map_or(0, |(index, _)| *index);
        assert!(last >= confirmed, "entry {confirmed} was confirmed, {last} is there after {syncs} syncs");
        let term = found.log.vote.map_or(0, |vote| vote.leader_id().term);
        assert!(term >= last, "entry {last} is there without the vote before it ({syncs} syncs)");
    }
}

#[tokio::test]
async fn position_and_data_are_one() {
    for syncs in 0..12 {
        let disk = failing(syncs);
        if let Ok((writer, stop)) = disk.start() {
            let mut machine = Machine::default();
            for index in 1..=6 {
                let (before, after) = step(&machine, index);
                if writer.write(Op::Apply { before, after: after.clone() }).await.is_err() {
                    break;
                }
                machine = after;
            }
            stop.stop();
        }
        let Some(found) = disk.found() else { continue };
        let at = found.machine.applied.map_or(0, |at| at.index);
        let blob = found.machine.state.blobs.get("at").map_or(0, |bytes| u64::from(bytes[0]));
        assert_eq!(at, blob, "after {syncs} syncs");
    }
}

#[tokio::test]
async fn an_installed_snapshot_leaves_no_key_of_before() {
    let disk = Disk::default();
    let (writer, stop) = disk.start().unwrap();
    let old =
        State::default().after(Command::PutBlob { key: "old".into(), bytes: Bytes::from_static(b"x") }, 1, 1);
    let old = Machine { applied: Some(at(1)), state: Arc::new(old), ..Machine::default() };
    writer.write(Op::Apply { before: Arc::default(), after: old }).await.unwrap();
    let new =
        State::default().after(Command::PutBlob { key: "new".into(), bytes: Bytes::from_static(b"y") }, 1, 2);
    let machine = Machine { applied: Some(at(9)), state: Arc::new(new.clone()), ..Machine::default() };
    let snapshot = StoredSnapshot { meta: Default::default(), bytes: encode(&new).into() };
    writer.write(Op::Install { machine, snapshot }).await.unwrap();
    stop.stop();
    let found = disk.found().unwrap();
    assert_eq!(*found.machine.state, new);
    assert_eq!(found.machine.applied, Some(at(9)));
    assert!(found.snapshot.is_some());
}

/// openraft cuts the log to a snapshot that it has yet to install, and goes on with the entries after it.
#[tokio::test]
async fn a_snapshot_that_was_not_yet_installed_when_the_log_was_cut_to_it_is_installed_later() {
    for syncs in 0..12 {
        let disk = failing(syncs);
        let (old, new) = (step(&Machine::default(), 3), step(&Machine::default(), 20));
        let snapshot = StoredSnapshot {
            meta: SnapshotMeta { last_log_id: Some(at(20)), ..SnapshotMeta::default() },
            bytes: snapshot::encode(&new.1.state).into(),
        };
        let ops = [
            append(2),
            append(3),
            Op::Apply { before: old.0, after: old.1 },
            Op::Snapshot(snapshot.clone()),
            Op::Purge(at(20)),
            append(21),
            Op::Install { machine: new.1, snapshot },
        ];
        let mut confirmed = 0;
        if let Ok((writer, stop)) = disk.start() {
            for op in ops {
                let last = if let Op::Append(entries) = &op { entries[0].0 } else { confirmed };
                if writer.write(op).await.is_err() {
                    break;
                }
                confirmed = last;
            }
            stop.stop();
        }
        let Some(found) = disk.found() else { continue };
        let applied = found.machine.applied.map_or(0, |at| at.index);
        let purged = found.log.purged.map_or(0, |at| at.index);
        assert!(applied >= purged, "entries {applied} to {purged} are lost after {syncs} syncs");
        let blob = found.machine.state.blobs.get("at").map_or(0, |bytes| u64::from(bytes[0]));
        assert_eq!(applied, blob, "after {syncs} syncs");
        let last = found.log.entries.last_key_value().map_or(purged, |(index, _)| *index);
        assert!(last >= confirmed, "entry {confirmed} was confirmed, {last} is there after {syncs} syncs");
    }
}

#[tokio::test]
async fn a_snapshot_takes_the_place_of_entries_that_others_never_had() {
    let disk = Disk::default();
    let (writer, stop) = disk.start().unwrap();
    let (_, new) = step(&Machine::default(), 20);
    let agreed = LogId::new(CommittedLeaderId::new(2, 1), 20);
    let meta = SnapshotMeta { last_log_id: Some(agreed), ..SnapshotMeta::default() };
    for index in 1..=25 {
        writer.write(append(index)).await.unwrap();
    }
    let bytes = snapshot::encode(&new.state).into();
    writer.write(Op::Snapshot(StoredSnapshot { meta, bytes })).await.unwrap();
    stop.stop();
    let found = disk.found().unwrap();
    assert_eq!((found.machine.applied, found.log.purged), (Some(agreed), Some(agreed)));
    assert!(found.log.entries.is_empty(), "they are of another leader");
}

#[tokio::test]
async fn waiting_changes_share_a_sync_and_keep_their_order() {
    let disk = Disk::default();
    let (writer, stop) = disk.start().unwrap();
    let before = disk.syncs();
    let (first, rest) = (writer.write(append(1)), (2..=100).map(|index| writer.write(append(index))));
    // Polled together, so that most are queued while the first is being synced.
    let all = join_all(std::iter::once(first).chain(rest)).await;
    assert!(all.iter().all(Result::is_ok));
    let used = disk.syncs() - before;
    assert!(used < 100, "{used} syncs for 100 appends");
    stop.stop();
    let found = disk.found().unwrap();
    assert_eq!(found.log.entries.keys().copied().collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
}

fn step(machine: &Machine, index: u64) -> (Arc<State>, Machine) {
    let bytes = Bytes::from(vec![u8::try_from(index).unwrap()]);
    let next = machine.state.after(Command::PutBlob { key: "at".into(), bytes }, 1, index);
    let after = Machine { applied: Some(at(index)), state: Arc::new(next), ..machine.clone() };
    (machine.state.clone(), after)
}

fn append(index: u64) -> Op {
    let entry = crate::config::Entry { log_id: at(index), payload: openraft::EntryPayload::Blank };
    Op::Append(vec![(index, encode(&entry))])
}

fn at(index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(1, 1), index)
}

/// The machine that the disk is in.
trait Powered {
    fn start(&self) -> Result<(Writer, super::Stop), String>;
    /// None where not even the formatting was synced.
    fn found(&self) -> Option<Loaded>;
}

impl Powered for Disk {
    fn start(&self) -> Result<(Writer, super::Stop), String> {
        let db = self.open().map_err(|error| error.to_string())?;
        tables::load(&db, None).map_err(|error| error.to_string())?;
        Ok(start(db))
    }

    fn found(&self) -> Option<Loaded> {
        self.reboot();
        if self.is_empty() {
            return None;
        }
        let db = self.open().ok()?;
        Some(store::load(&db, None).unwrap())
    }
}

/// One that fails for good once it has synced so many times.
fn failing(after: usize) -> Disk {
    let disk = Disk::default();
    disk.fail_after(after);
    disk
}
