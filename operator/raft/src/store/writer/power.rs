//! The power goes off: only what was synced is there afterwards.

use std::io;
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use openraft::CommittedLeaderId;
use redb::{Database, StorageBackend};

use super::{Op, Writer, start};
use crate::State;
use crate::config::{LogId, Vote};
use crate::store::machine::{Machine, StoredSnapshot};
use crate::store::tables::{self, Loaded, encode};
use crate::{Bytes, Command};

#[tokio::test]
async fn what_was_confirmed_survives_and_nothing_later_without_it() {
    for syncs in 0..12 {
        let disk = Disk::new(syncs);
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
        let Some(found) = disk.reboot() else {
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
        let disk = Disk::new(syncs);
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
        let Some(found) = disk.reboot() else { continue };
        let at = found.machine.applied.map_or(0, |at| at.index);
        let blob = found.machine.state.blobs.get("at").map_or(0, |bytes| u64::from(bytes[0]));
        assert_eq!(at, blob, "after {syncs} syncs");
    }
}

#[tokio::test]
async fn an_installed_snapshot_leaves_no_key_of_before() {
    let disk = Disk::new(usize::MAX);
    let (writer, stop) = disk.start().unwrap();
    let old =
        State::default().apply(Command::PutBlob { key: "old".into(), bytes: Bytes::from_static(b"x") }, 1, 1);
    let old = Machine { applied: Some(at(1)), state: Arc::new(old), ..Machine::default() };
    writer.write(Op::Apply { before: Arc::default(), after: old }).await.unwrap();
    let new =
        State::default().apply(Command::PutBlob { key: "new".into(), bytes: Bytes::from_static(b"y") }, 1, 2);
    let machine = Machine { applied: Some(at(9)), state: Arc::new(new.clone()), ..Machine::default() };
    let snapshot = StoredSnapshot { meta: Default::default(), bytes: encode(&new).into() };
    writer.write(Op::Install { machine, snapshot }).await.unwrap();
    stop.stop();
    let found = disk.reboot().unwrap();
    assert_eq!(*found.machine.state, new);
    assert_eq!(found.machine.applied, Some(at(9)));
    assert!(found.snapshot.is_some());
}

#[tokio::test]
async fn waiting_changes_share_a_sync_and_keep_their_order() {
    let disk = Disk::new(usize::MAX);
    let (writer, stop) = disk.start().unwrap();
    let before = disk.syncs();
    let (first, rest) = (writer.write(append(1)), (2..=100).map(|index| writer.write(append(index))));
    // Polled together, so that most are queued while the first is being synced.
    let all = join_all(std::iter::once(first).chain(rest)).await;
    assert!(all.iter().all(Result::is_ok));
    let used = disk.syncs() - before;
    assert!(used < 100, "{used} syncs for 100 appends");
    stop.stop();
    let found = disk.reboot().unwrap();
    assert_eq!(found.log.entries.keys().copied().collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
}

fn step(machine: &Machine, index: u64) -> (Arc<State>, Machine) {
    let bytes = Bytes::from(vec![u8::try_from(index).unwrap()]);
    let next = machine.state.apply(Command::PutBlob { key: "at".into(), bytes }, 1, index);
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

/// Fails for good once it has synced so many times after it was formatted.
#[derive(Clone, Debug)]
struct Disk(Arc<Mutex<Image>>);

#[derive(Debug, Default)]
struct Image {
    cached: Vec<u8>,
    synced: Vec<u8>,
    syncs: usize,
    fails_after: usize,
}

impl Disk {
    fn new(fails_after: usize) -> Disk {
        Disk(Arc::new(Mutex::new(Image { fails_after, ..Image::default() })))
    }

    fn start(&self) -> Result<(Writer, super::Stop), String> {
        let db = Database::builder().create_with_backend(self.clone()).map_err(|error| error.to_string())?;
        tables::load(&db, None).map_err(|error| error.to_string())?;
        Ok(start(db))
    }

    fn syncs(&self) -> usize {
        self.0.lock().unwrap().syncs
    }

    /// None where not even the formatting was synced.
    fn reboot(&self) -> Option<Loaded> {
        let synced = self.0.lock().unwrap().synced.clone();
        let image = Image { cached: synced.clone(), synced, syncs: 0, fails_after: usize::MAX };
        let disk = Disk(Arc::new(Mutex::new(image)));
        if disk.len().unwrap() == 0 {
            return None;
        }
        let db = Database::builder().create_with_backend(disk).ok()?;
        Some(tables::load(&db, None).unwrap())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().unwrap().cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let image = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let found = image.cached.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.lock().unwrap().cached.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut image = self.0.lock().unwrap();
        if image.syncs >= image.fails_after {
            return Err(io::Error::other("the power is off"));
        }
        image.syncs += 1;
        image.synced = image.cached.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut image = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let room = image.cached.get_mut(start..start + data.len());
        room.ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        Ok(())
    }
}
