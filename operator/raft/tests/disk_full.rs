//! A disk that runs full, on a small file system of its own.
#![allow(clippy::unwrap_used, reason = "a helper's panic is the test's failure")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use sluice_raft::{Bytes, Command, Options, Peers, ProposeError, Raft, Transport, Unreached, found_or_join};

#[test]
fn a_full_disk_ends_agreement_and_leaves_the_last_state() {
    on_a_small_disk(fill_and_free);
}

#[test]
fn a_store_that_could_not_be_made_is_made_under_the_name_that_it_is_given() {
    on_a_small_disk(join_again);
}

fn on_a_small_disk<F: Future<Output = ()>>(run: impl FnOnce(PathBuf) -> F + Send + 'static) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    // The mount is this thread's, and is gone with it.
    let entered = thread::spawn(move || {
        enter(&path)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(path));
        Ok::<_, nix::Error>(())
    });
    match entered.join().unwrap() {
        Ok(()) => {}
        Err(error) if std::env::var_os("SLUICE_SKIP_PRIVILEGED").is_some_and(|skip| skip == "1") => {
            eprintln!("skipped: no mount namespace: {error}");
        }
        Err(error) => {
            panic!("needs CAP_SYS_ADMIN to mount a small tmpfs ({error}); SLUICE_SKIP_PRIVILEGED=1 skips it")
        }
    }
}

async fn fill_and_free(dir: PathBuf) {
    let (raft, _) = open(&dir).await;
    let kept = raft.propose(plan("kept")).await.unwrap().epoch;
    let ballast = dir.join("ballast");
    fill(&ballast);
    raft.shutdown().await;

    let (raft, failed) = open(&dir).await;
    assert_eq!(raft.state().borrow().epoch, kept, "readable on a disk that is full already");
    let reason = loop {
        match raft.propose(plan(&"x".repeat(1 << 20))).await {
            Ok(_) => continue,
            Err(ProposeError::Stopped(reason)) => break reason,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(reason.contains("No space left"), "{reason}");
    let told =
        tokio::task::spawn_blocking(move || failed.recv_timeout(Duration::from_secs(20))).await.unwrap();
    assert!(told.unwrap().contains("No space left"));
    let last = raft.state().borrow().clone();
    assert!(last.epoch >= kept);
    raft.shutdown().await;

    fs::remove_file(&ballast).unwrap();
    let (raft, _) = open(&dir).await;
    assert_eq!(*raft.state().borrow(), last, "what was shown is what is on disk");
    assert!(raft.propose(plan("after")).await.unwrap().epoch > last.epoch);
    raft.shutdown().await;
}

async fn join_again(mount: PathBuf) {
    let peers = |own: &str, other| Peers {
        own: own.to_owned(),
        all: vec!["first".to_owned(), "second".to_owned()],
        transport: Arc::new(To(other)),
    };
    let options = |peers| Options { peers: Some(peers), ..Options::new(drop) };
    let founded = tempfile::tempdir().unwrap();
    let first = Raft::open(founded.path(), options(peers("first", None))).await.unwrap();
    let (dir, peers) = (mount.join("second"), peers("second", Some(first.clone())));
    let ballast = mount.join("ballast");
    fill(&ballast);
    let refused = found_or_join(&dir, &peers).await.unwrap_err();
    assert!(refused.to_string().contains("No space left"), "{refused}");

    fs::remove_file(&ballast).unwrap();
    found_or_join(&dir, &peers).await.unwrap();
    let second = Raft::open(&dir, options(peers)).await.unwrap();
    assert_eq!(second.identity().cluster_id, first.identity().cluster_id, "it founded a cluster of its own");
    second.shutdown().await;
    first.shutdown().await;
}

/// The other replica, if it is there.
struct To(Option<Raft>);

impl Transport for To {
    fn call(&self, address: &str, request: Bytes) -> BoxFuture<'static, Result<Bytes, Unreached>> {
        let (raft, unreached) = (self.0.clone(), Unreached(address.to_owned()));
        async move { Ok(raft.ok_or(unreached)?.answer(&request).await) }.boxed()
    }
}

fn enter(dir: &Path) -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), Some("size=8m"))
}

fn fill(ballast: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}

async fn open(dir: &Path) -> (Raft, mpsc::Receiver<String>) {
    let (tell, told) = mpsc::channel();
    let raft = Raft::open(dir, Options::new(move |reason| drop(tell.send(reason)))).await.unwrap();
    (raft, told)
}

fn plan(text: &str) -> Command {
    Command::PutPlans {
        classes: [("edge".into(), Bytes::copy_from_slice(text.as_bytes()))].into(),
        node_class: [("edge-1".to_owned(), "edge".into())].into(),
        rings: Bytes::new(),
        blobs: Default::default(),
    }
}
