//! The store over real files: restarts, a damaged file, a full disk.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking too")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use bytes::Bytes;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use sluice_plan::{Epoch, Failsafe, Hash, NodePlan, Schema};
use sluice_store::{BOOT, BootFacts, Error, IDENTITY, Identity, Key, PLAN, SETS, Store, StoredPlan};

fn plan(rate: u32) -> StoredPlan {
    let failsafe = Failsafe { packets_per_second: rate, ..Failsafe::default() };
    StoredPlan::new(
        Epoch { incarnation: 1, term: 2, index: u64::from(rate) },
        &NodePlan { failsafe, ..NodePlan::default() },
    )
}

#[test]
fn records_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let boot = BootFacts { boot_id: "b".into(), starts: 3 };
    {
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.get(PLAN).unwrap(), None);
        store.put(PLAN, &plan(1)).unwrap();
        store.put(BOOT, &boot).unwrap();
    }
    let store = Store::open(dir.path()).unwrap();
    let stored = store.get(PLAN).unwrap().expect("it was written");
    assert_eq!(stored.plan(Schema::NEWEST).expect("sound").failsafe.packets_per_second, 1);
    assert_eq!(store.get(BOOT).unwrap(), Some(boot));
    store.remove(BOOT).unwrap();
    assert_eq!(store.get(BOOT).unwrap(), None);
}

#[test]
fn an_update_is_whole_or_absent() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put(PLAN, &plan(1)).unwrap();
    let failed = store.update(|update| {
        update.put(&SETS, &[("bad".to_owned(), vec![7])].into())?;
        update.put(&PLAN, &plan(2))?;
        Err(Error::InUse { path: "why not".into() })
    });
    assert!(failed.is_err());
    assert_eq!(store.get(PLAN).unwrap(), Some(plan(1)));
    assert_eq!(store.get(SETS).unwrap(), None);
}

#[test]
fn the_key_is_for_the_owner_alone_and_stays_out_of_logs() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let store = Store::open(&state).unwrap();
    let identity = Identity {
        certificate: "c".into(),
        private_key: "secret".into(),
        authorities: "a".into(),
        not_after: 1,
    };
    store.put(IDENTITY, &identity).unwrap();
    assert!(!format!("{identity:?}").contains("secret"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("agent.redb"))), (0o700, 0o600));
}

#[test]
fn a_second_agent_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Store::open(dir.path()).unwrap();
    let error = Store::open(dir.path()).err().expect("the file is locked");
    assert!(matches!(error, Error::InUse { .. }), "{error}");
}

#[test]
fn a_damaged_file_is_refused_with_the_way_out() {
    for damage in [Damage::Garbage, Damage::FlippedPage] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.redb");
        Store::open(dir.path()).unwrap().put(PLAN, &plan(7)).unwrap();
        damage.apply(&path);
        let error = Store::open(dir.path()).err().expect("damage is found");
        assert!(matches!(error, Error::Corrupt { .. }), "{damage:?}: {error:?}");
        assert!(error.to_string().contains(&format!("mv {0} {0}.bad", path.display())), "{error}");
    }
}

#[test]
fn a_record_of_another_type_is_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put(Key::<u8>::new("plan"), &9).unwrap();
    assert!(matches!(store.get(PLAN), Err(Error::Corrupt { .. })));
}

#[test]
fn shards_stay_until_they_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let shard = |text: &'static str| (Hash::of(text.as_bytes()), Bytes::from_static(text.as_bytes()));
    let (one, two, three) = (shard("one"), shard("two"), shard("three"));
    let all = [one.0, two.0, three.0];
    assert_eq!(store.missing_shards(&all).unwrap(), all);
    assert_eq!(store.shards(&all).unwrap(), [None, None, None]);
    store.retain_shards(&BTreeSet::new()).unwrap();
    store.put_shards(&[one.clone(), two.clone()]).unwrap();
    assert_eq!(store.missing_shards(&all).unwrap(), [three.0]);
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.shards(&all).unwrap(), [Some(one.1), Some(two.1.clone()), None]);
    store.retain_shards(&[two.0].into()).unwrap();
    assert_eq!(store.shards(&all).unwrap(), [None, Some(two.1), None]);
}

#[test]
fn a_full_disk_is_named_and_the_store_recovers() {
    if std::env::var_os("SLUICE_SKIP_PRIVILEGED").is_some_and(|value| value == "1") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    unshare(CloneFlags::CLONE_NEWNS)
        .expect("a mount namespace needs root; SLUICE_SKIP_PRIVILEGED=1 skips this");
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some("size=8m")).unwrap();

    let store = Store::open(dir.path()).unwrap();
    store.put(PLAN, &plan(1)).unwrap();
    let others = dir.path().join("others");
    fs::write(&others, vec![0; 8 << 20]).expect_err("it fills the disk");
    let big = Key::<Vec<u8>>::new("big");
    let error = store.put(big, &vec![1; 4 << 20]).expect_err("it does not fit");
    assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
    fs::remove_file(&others).unwrap();
    store.put(PLAN, &plan(2)).expect("there is space again");
    drop(store);
    assert_eq!(Store::open(dir.path()).unwrap().get(PLAN).unwrap(), Some(plan(2)));
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Garbage,
    FlippedPage,
}

impl Damage {
    fn apply(self, path: &Path) {
        match self {
            Damage::Garbage => fs::write(path, vec![0x5a; 1 << 16]).unwrap(),
            Damage::FlippedPage => flip(path, &sluice_plan::encode(&plan(7))),
        }
    }
}

/// Changes one bit of `wanted` where the file holds it.
fn flip(path: &Path, wanted: &[u8]) {
    let bytes = fs::read(path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let mut hits = 0;
    for at in (0..bytes.len() - wanted.len()).filter(|at| bytes[*at..].starts_with(wanted)) {
        file.write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();
        hits += 1;
    }
    assert!(hits > 0, "the record is in the file");
}
