//! What an operator in directory mode writes in place of calls to an API server: status files, each replaced whole.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use notify::event::{ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::time::{Instant, sleep};

pub struct Writes {
    count: Arc<AtomicUsize>,
    _watcher: RecommendedWatcher,
}

impl Writes {
    pub fn watch(status: &Path) -> anyhow::Result<Writes> {
        std::fs::create_dir_all(status)?;
        let count = Arc::<AtomicUsize>::default();
        let counted = count.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| event.kind == EventKind::Modify(ModifyKind::Name(RenameMode::To))) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        watcher.watch(status, RecursiveMode::NonRecursive)?;
        Ok(Writes { count, _watcher: watcher })
    }

    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until nothing was written for so long.
    pub async fn quiet(&self, silence: Duration, within: Duration) -> anyhow::Result<()> {
        let (until, mut last) = (Instant::now() + within, (self.count(), Instant::now()));
        while last.1.elapsed() < silence {
            anyhow::ensure!(Instant::now() < until, "status is still written after {within:?}");
            sleep(Duration::from_millis(100)).await;
            if self.count() != last.0 {
                last = (self.count(), Instant::now());
            }
        }
        Ok(())
    }
}
