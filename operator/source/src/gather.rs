//! Several causes become one reading.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// A source that never rests is read all the same.
const AT_MOST: Duration = Duration::from_millis(100);

/// Waits until nothing has happened for `quiet`, and no longer than that.
pub async fn gather(changes: &mut mpsc::Receiver<()>, quiet: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < AT_MOST {
        if !matches!(timeout(quiet, changes.recv()).await, Ok(Some(()))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_source_that_never_rests_is_read_all_the_same() {
        let (change, mut changes) = mpsc::channel(1);
        tokio::spawn(async move {
            while change.send(()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let begun = Instant::now();
        gather(&mut changes, Duration::from_millis(10)).await;
        assert!(begun.elapsed() < 2 * AT_MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_one_reading() {
        let (change, mut changes) = mpsc::channel(1);
        let burst = tokio::spawn(async move {
            for _ in 0..5 {
                change.send(()).await.expect("received");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            change
        });
        gather(&mut changes, Duration::from_millis(10)).await;
        let _open = burst.await.expect("the burst ends before the wait does");
        assert!(changes.try_recv().is_err(), "all of it was gathered");
    }
}
