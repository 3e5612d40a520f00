//! The layout of the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use openraft::{BasicNode, CommittedLeaderId, EntryPayload, Membership};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::log::Log;
use super::machine::{Machine, StoredSnapshot};
use crate::config::{Entry, LogId, SnapshotMeta, Vote};
use crate::state::{Plan, SetManifest};
use crate::{ClassKey, Command, Identity, ReadBlobs, State, Step};

pub const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const CLASSES: TableDefinition<&str, &[u8]> = TableDefinition::new("classes");
const NODES: TableDefinition<&str, &str> = TableDefinition::new("nodes");
const BLOBS: TableDefinition<&str, &[u8]> = TableDefinition::new("blobs");
/// Files of versions without address sets have neither of these.
const SETS: TableDefinition<&str, &[u8]> = TableDefinition::new("sets");
const CLASS_SETS: TableDefinition<&str, &[u8]> = TableDefinition::new("class-sets");

/// Of the file's layout and of what its tables and log entries hold. A version that writes what the one before cannot read
/// counts it up; files of the first versions do not say it and are 1.
const FORMAT: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("its format is {found}, this version reads {FORMAT}")]
    Later { found: u32 },
    #[error(transparent)]
    Redb(Box<redb::Error>),
    #[error("{key} does not decode: {source}")]
    Decode { key: String, source: postcard::Error },
}

impl<E: Into<redb::Error>> From<E> for Error {
    fn from(error: E) -> Self {
        Error::Redb(Box::new(error.into()))
    }
}

pub struct Loaded {
    pub identity: Identity,
    pub log: Log,
    pub machine: Machine,
    pub snapshot: Option<StoredSnapshot>,
}

/// Reads the file; a new one is given its identity first.
pub fn load(db: &Database, expected: Option<&Identity>) -> Result<Loaded, Error> {
    let identity = identify(db, expected)?;
    let txn = db.begin_read()?;
    let meta = txn.open_table(META)?;
    let get = |key: &'static str| meta.get(key).map(|found| found.map(|value| value.value().to_vec()));
    let mut entries = BTreeMap::new();
    let mut bytes = 0;
    for item in txn.open_table(LOG)?.iter()? {
        let (index, value) = item?;
        bytes += value.value().len();
        let entry: Entry = decode(&format!("log entry {}", index.value()), value.value())?;
        entries.insert(index.value(), entry);
    }
    let state = State {
        epoch: decode_or(get("epoch")?, "epoch", State::default().epoch)?,
        rings: get("rings")?.unwrap_or_default().into(),
        classes: Arc::new(plans(strings(&txn, CLASSES)?, &strings(&txn, CLASS_SETS)?)?),
        node_class: Arc::new(nodes(&txn.open_table(NODES)?)?),
        blobs: Arc::new(strings(&txn, BLOBS)?),
        sets: Arc::new(
            strings(&txn, SETS)?.into_iter().map(|(name, bytes)| (name, SetManifest::new(bytes))).collect(),
        ),
        step: Step::default(),
        read: ReadBlobs::default(),
    };
    Ok(Loaded {
        identity,
        log: Log {
            entries,
            bytes,
            vote: decode_or(get("vote")?, "vote", None)?,
            purged: decode_or(get("purged")?, "purged", None)?,
        },
        machine: Machine {
            applied: decode_or(get("applied")?, "applied", None)?,
            membership: decode_or(get("membership")?, "membership", Default::default())?,
            state: Arc::new(state),
        },
        snapshot: match (get("snapshot-meta")?, get("snapshot")?) {
            (Some(meta), Some(bytes)) => {
                Some(StoredSnapshot { meta: decode("snapshot-meta", &meta)?, bytes: bytes.into() })
            }
            _ => None,
        },
    })
}

pub fn put_vote(txn: &WriteTransaction, vote: &Vote) -> Result<(), Error> {
    put(txn, "vote", &Some(vote))
}

pub fn append(txn: &WriteTransaction, entries: &[(u64, Vec<u8>)]) -> Result<(), Error> {
    let mut log = txn.open_table(LOG)?;
    for (index, bytes) in entries {
        log.insert(index, bytes.as_slice())?;
    }
    Ok(())
}

pub fn truncate(txn: &WriteTransaction, since: u64) -> Result<(), Error> {
    txn.open_table(LOG)?.retain_in(since.., |_, _| false)?;
    Ok(())
}

pub fn purge(txn: &WriteTransaction, upto: LogId) -> Result<(), Error> {
    txn.open_table(LOG)?.retain_in(..=upto.index, |_, _| false)?;
    put(txn, "purged", &Some(upto))
}

/// Writes what differs; data, position and membership are one transaction's.
pub fn put_machine(txn: &WriteTransaction, before: &State, after: &Machine) -> Result<(), Error> {
    put(txn, "applied", &after.applied)?;
    put(txn, "membership", &after.membership)?;
    let state = &after.state;
    put(txn, "epoch", &state.epoch)?;
    if before.rings != state.rings {
        txn.open_table(META)?.insert("rings", &*state.rings)?;
    }
    // Most commands change one of these, and it may be large.
    if !Arc::ptr_eq(&before.classes, &state.classes) {
        let plans = |state: &State| -> BTreeMap<String, Bytes> {
            state.classes.iter().map(|(key, plan)| (key.0.clone(), plan.bytes.clone())).collect()
        };
        put_strings(txn, CLASSES, &plans(before), &plans(state))?;
        put_strings(txn, CLASS_SETS, &class_sets(before), &class_sets(state))?;
    }
    if !Arc::ptr_eq(&before.blobs, &state.blobs) {
        put_strings(txn, BLOBS, &before.blobs, &state.blobs)?;
    }
    if !Arc::ptr_eq(&before.sets, &state.sets) {
        let sets = |state: &State| -> BTreeMap<String, Bytes> {
            state.sets.iter().map(|(name, set)| (name.clone(), set.bytes.clone())).collect()
        };
        put_strings(txn, SETS, &sets(before), &sets(state))?;
    }
    if !Arc::ptr_eq(&before.node_class, &state.node_class) {
        put_nodes(txn, &before.node_class, &state.node_class)?;
    }
    Ok(())
}

/// Forgets the machine's data, so that no key of it outlives the snapshot that replaces it.
pub fn clear_machine(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(CLASSES)?.retain(|_, _| false)?;
    txn.open_table(NODES)?.retain(|_, _| false)?;
    for table in [BLOBS, SETS, CLASS_SETS] {
        txn.open_table(table)?.retain(|_, _| false)?;
    }
    let mut meta = txn.open_table(META)?;
    for key in ["epoch", "rings", "applied", "membership"] {
        meta.remove(key)?;
    }
    Ok(())
}

/// Puts a snapshot in force that was received and is ahead of the machine, as far as that was not done.
pub fn install_received(db: &Database, found: &Loaded) -> Result<bool, Error> {
    let Some(snapshot) = &found.snapshot else { return Ok(false) };
    let Some(last) = snapshot.meta.last_log_id.filter(|last| Some(*last) > found.machine.applied) else {
        return Ok(false);
    };
    let txn = db.begin_write()?;
    // What follows an entry that was not agreed on was not either.
    if found.log.entries.get(&last.index).is_some_and(|entry| entry.log_id != last) {
        truncate(&txn, 0)?;
    }
    purge(&txn, last)?;
    clear_machine(&txn)?;
    put_machine(&txn, &State::default(), &snapshot.machine()?)?;
    txn.commit()?;
    Ok(true)
}

/// Agrees alone, after all that is in the log: that nobody else is a member, and on a higher incarnation.
pub fn stand_alone(db: &Database, former: &Identity, own: &str) -> Result<Identity, Error> {
    let Loaded { identity, log, machine, .. } = load(db, Some(former))?;
    if identity != *former {
        return Ok(identity);
    }
    // A node id of its own needs no other here: nobody of the new cluster ever knew the old one.
    let identity = Identity { node_id: former.node_id, ..Identity::new_cluster() };
    let (id, term) = (identity.node_id, log.vote.map_or(0, |vote| vote.leader_id.term) + 1);
    let last =
        log.entries.last_key_value().map(|(_, entry)| entry.log_id).or(log.purged).max(machine.applied);
    let next = last.map_or(0, |last| last.index + 1);
    let only = Membership::new(vec![[id].into()], BTreeMap::from([(id, BasicNode::new(own))]));
    let agreed = [
        EntryPayload::Membership(only),
        EntryPayload::Normal(Command::Recover { seen_incarnation: machine.state.epoch.incarnation }),
    ];
    let entry = |(index, payload)| {
        let log_id = LogId::new(CommittedLeaderId::new(term, id), index);
        (index, encode(&Entry { log_id, payload }))
    };
    let entries: Vec<_> = (next..).zip(agreed).map(entry).collect();
    let txn = db.begin_write()?;
    append(&txn, &entries)?;
    put_vote(&txn, &Vote::new(term, id))?;
    put(&txn, "identity", &identity)?;
    txn.commit()?;
    Ok(identity)
}

/// A later one stays: it may be what the log was cut to.
pub fn put_snapshot(txn: &WriteTransaction, snapshot: &StoredSnapshot) -> Result<(), Error> {
    let stored = txn.open_table(META)?.get("snapshot-meta")?.map(|value| value.value().to_vec());
    let stored: SnapshotMeta = decode_or(stored, "snapshot-meta", SnapshotMeta::default())?;
    if stored.last_log_id > snapshot.meta.last_log_id {
        return Ok(());
    }
    put(txn, "snapshot-meta", &snapshot.meta)?;
    txn.open_table(META)?.insert("snapshot", &*snapshot.bytes)?;
    Ok(())
}

pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("plain data into a growing buffer always encodes")
}

pub fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Error> {
    postcard::from_bytes(bytes).map_err(|source| Error::Decode { key: key.to_owned(), source })
}

/// Writes only into a new file: one that is full, or on a full disk, must stay readable.
fn identify(db: &Database, expected: Option<&Identity>) -> Result<Identity, Error> {
    let txn = db.begin_read()?;
    match txn.open_table(META) {
        Ok(meta) => {
            let format = meta.get("format")?.map(|value| value.value().to_vec());
            let found = decode_or(format, "format", FORMAT)?;
            if found > FORMAT {
                return Err(Error::Later { found });
            }
            let stored = meta.get("identity")?.map(|value| value.value().to_vec());
            return decode("identity", &stored.unwrap_or_default());
        }
        Err(TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let identity = expected.cloned().unwrap_or_else(Identity::new_cluster);
    let txn = db.begin_write()?;
    put(&txn, "format", &FORMAT)?;
    put(&txn, "identity", &identity)?;
    txn.open_table(LOG)?;
    txn.open_table(CLASSES)?;
    txn.open_table(NODES)?;
    txn.open_table(BLOBS)?;
    txn.commit()?;
    Ok(identity)
}

fn decode_or<T: DeserializeOwned>(bytes: Option<Vec<u8>>, key: &str, absent: T) -> Result<T, Error> {
    bytes.map_or(Ok(absent), |bytes| decode(key, &bytes))
}

fn put<T: Serialize>(txn: &WriteTransaction, key: &str, value: &T) -> Result<(), Error> {
    txn.open_table(META)?.insert(key, encode(value).as_slice())?;
    Ok(())
}

fn put_strings(
    txn: &WriteTransaction,
    definition: TableDefinition<&str, &[u8]>,
    before: &BTreeMap<String, Bytes>,
    after: &BTreeMap<String, Bytes>,
) -> Result<(), Error> {
    let mut table = txn.open_table(definition)?;
    // Both are sorted: one walk beside each other, not a search for each key.
    let mut former = before.iter().peekable();
    for (key, bytes) in after {
        while let Some((gone, _)) = former.next_if(|(other, _)| *other < key) {
            table.remove(gone.as_str())?;
        }
        let known = former.next_if(|(other, _)| *other == key);
        if known.is_none_or(|(_, known)| known != bytes) {
            table.insert(key.as_str(), &**bytes)?;
        }
    }
    for (gone, _) in former {
        table.remove(gone.as_str())?;
    }
    Ok(())
}

fn put_nodes(
    txn: &WriteTransaction,
    before: &BTreeMap<String, ClassKey>,
    after: &BTreeMap<String, ClassKey>,
) -> Result<(), Error> {
    let mut table = txn.open_table(NODES)?;
    for node in before.keys().filter(|node| !after.contains_key(*node)) {
        table.remove(node.as_str())?;
    }
    for (node, class) in after.iter().filter(|(node, class)| before.get(*node) != Some(*class)) {
        table.insert(node.as_str(), class.0.as_str())?;
    }
    Ok(())
}

/// Nothing where the table is not there.
fn strings(
    txn: &ReadTransaction,
    definition: TableDefinition<&'static str, &'static [u8]>,
) -> Result<BTreeMap<String, Bytes>, Error> {
    let table = match txn.open_table(definition) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
        opened => opened?,
    };
    let mut all = BTreeMap::new();
    for item in table.iter()? {
        let (key, value) = item?;
        all.insert(key.value().to_owned(), Bytes::copy_from_slice(value.value()));
    }
    Ok(all)
}

fn plans(
    classes: BTreeMap<String, Bytes>,
    sets: &BTreeMap<String, Bytes>,
) -> Result<BTreeMap<ClassKey, Plan>, Error> {
    let plan = |(key, bytes): (String, Bytes)| {
        let sets = sets.get(&key).map_or(Ok(Vec::new()), |names| decode(&format!("sets of {key}"), names))?;
        Ok((ClassKey(key), Plan { sets, ..Plan::new(bytes) }))
    };
    classes.into_iter().map(plan).collect()
}

fn class_sets(state: &State) -> BTreeMap<String, Bytes> {
    let used = state.classes.iter().filter(|(_, plan)| !plan.sets.is_empty());
    used.map(|(key, plan)| (key.0.clone(), encode(&plan.sets).into())).collect()
}

fn nodes(
    table: &impl ReadableTable<&'static str, &'static str>,
) -> Result<BTreeMap<String, ClassKey>, Error> {
    let mut all = BTreeMap::new();
    for item in table.iter()? {
        let (node, class) = item?;
        all.insert(node.value().to_owned(), ClassKey(class.value().to_owned()));
    }
    Ok(all)
}
