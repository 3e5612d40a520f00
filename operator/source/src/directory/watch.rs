//! Following the directory with inotify.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecursiveMode, Watcher};
use sluice_index::{Desired, Problem};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::scan::Directory;
use crate::gather::gather;

/// An editor's burst (write, rename, chmod) becomes one reading.
const QUIET: Duration = Duration::from_millis(10);
/// Readings are also made without an event: a file system may not have any (NFS).
const POLL: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error(
        "the policy directory {path} cannot be read: {source}: create it or name another with --source dir:PATH"
    )]
    Read { path: String, source: std::io::Error },
    #[error("the policy directory {path} cannot be watched: {source}")]
    Watch { path: String, source: notify::Error },
}

/// Reads the directory once and follows it until the receiver is gone.
pub async fn watch(path: &Path) -> Result<watch::Receiver<Arc<Desired>>, WatchError> {
    let shown = path.display().to_string();
    let (event, events) = mpsc::channel(1);
    let mut watcher = notify::recommended_watcher(move |found: notify::Result<notify::Event>| {
        if found.is_ok_and(|found| !matches!(found.kind, EventKind::Access(_))) {
            // Full means that a reading is due already.
            let _ = event.try_send(());
        }
    })
    .map_err(|source| WatchError::Watch { path: shown.clone(), source })?;
    watcher
        .watch(path, RecursiveMode::NonRecursive)
        .map_err(|source| WatchError::Watch { path: shown.clone(), source })?;
    let mut directory = Directory::new(path);
    let first = directory.read().map_err(|source| WatchError::Read { path: shown, source })?;
    let (sender, receiver) = watch::channel(Arc::new(first));
    let followed = Followed { directory, watcher, folders: BTreeSet::new() };
    tokio::spawn(followed.follow(events, sender));
    Ok(receiver)
}

/// The directory, and those folders in which files lie that address sets name.
struct Followed {
    directory: Directory,
    /// Dropping it ends the events.
    watcher: notify::RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
}

impl Followed {
    async fn follow(mut self, mut events: mpsc::Receiver<()>, sender: watch::Sender<Arc<Desired>>) {
        loop {
            // What changed before a folder was followed must not wait for the next change.
            while self.follow_folders() {
                publish(&mut self.directory, &sender);
            }
            tokio::select! {
                () = sender.closed() => return,
                event = timeout(POLL, events.recv()) => {
                    if let Ok(None) = event {
                        return;
                    }
                }
            }
            gather(&mut events, QUIET).await;
            publish(&mut self.directory, &sender);
        }
    }

    /// True if one was not followed before. One that cannot be, because it is not there yet, is read every so often all
    /// the same.
    fn follow_folders(&mut self) -> bool {
        let wanted = self.directory.list_folders();
        for old in self.folders.difference(&wanted) {
            let _ = self.watcher.unwatch(old);
        }
        self.folders.retain(|folder| wanted.contains(folder));
        let before = self.folders.len();
        for new in wanted {
            if !self.folders.contains(&new) && self.watcher.watch(&new, RecursiveMode::NonRecursive).is_ok() {
                self.folders.insert(new);
            }
        }
        self.folders.len() > before
    }
}

fn publish(directory: &mut Directory, sender: &watch::Sender<Arc<Desired>>) {
    match directory.read() {
        Ok(desired) => sender.send_if_modified(|current| {
            let changed = **current != desired;
            if changed {
                *current = Arc::new(desired);
            }
            changed
        }),
        // A directory that vanished says nothing about its policies: the last good state stays.
        Err(error) => sender.send_if_modified(|current| {
            let message = format!("the policy directory cannot be read: {error}");
            let problem = Problem { place: "source".to_owned(), message };
            let changed = !current.problems.contains(&problem);
            if changed {
                let mut held = (**current).clone();
                held.problems.push(problem);
                *current = Arc::new(held);
            }
            changed
        }),
    };
}
