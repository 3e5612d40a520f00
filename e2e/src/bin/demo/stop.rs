//! Ctrl-C ends the demo at its next step, and what it made goes as usual.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn on_ctrl_c() -> anyhow::Result<Stop> {
        let asked = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let flag = asked.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                if tokio::signal::ctrl_c().await.is_ok() {
                    flag.store(true, Ordering::Relaxed);
                }
            });
        });
        Ok(Stop(asked))
    }

    /// # Errors
    /// It was asked for meanwhile.
    pub fn pause(&self, length: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            if self.0.load(Ordering::Relaxed) {
                anyhow::bail!("interrupted");
            }
            std::thread::sleep(Duration::from_millis(20).min(end.saturating_duration_since(Instant::now())));
        }
        Ok(())
    }
}
