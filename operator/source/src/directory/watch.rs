//! Following the directory with inotify.

use std::path::Path;
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
    tokio::spawn(follow(directory, watcher, events, sender));
    Ok(receiver)
}

async fn follow(
    mut directory: Directory,
    watcher: notify::RecommendedWatcher,
    mut events: mpsc::Receiver<()>,
    sender: watch::Sender<Arc<Desired>>,
) {
    // Dropping the watcher ends the events.
    let _watcher = watcher;
    loop {
        tokio::select! {
            () = sender.closed() => return,
            event = timeout(POLL, events.recv()) => {
                if let Ok(None) = event {
                    return;
                }
            }
        }
        gather(&mut events, QUIET).await;
        publish(&mut directory, &sender);
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
