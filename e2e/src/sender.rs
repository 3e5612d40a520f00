//! Sends prepared frames on an interface, at a bounded rate and for a bounded time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pnet_datalink::{Channel, Config, DataLinkSender};

use crate::netns::Netns;

/// A flood in progress; ends with this value at the latest.
pub struct Sender {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Sender {
    /// Sends the frames that `frame` makes from their sequence numbers, `per_second` of them, `at_most` in all.
    pub fn start(
        netns: &Netns,
        interface: &str,
        per_second: u64,
        at_most: u64,
        frame: impl FnMut(u64, &mut [u8]) -> usize + Send + 'static,
    ) -> Sender {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted, interface) = (stop.clone(), sent.clone(), interface.to_owned());
        let thread = netns.spawn(move || {
            let mut wire = open(&interface)?;
            pace(&mut wire, per_second, at_most, &stopped, &counted, frame)
        });
        Sender { stop, sent, thread: Some(thread) }
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Stops and tells how many frames went out.
    pub fn stop(mut self) -> anyhow::Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.join()?;
        Ok(self.sent())
    }

    /// Waits until all frames are out.
    pub fn finish(mut self) -> anyhow::Result<u64> {
        self.join()?;
        Ok(self.sent())
    }

    fn join(&mut self) -> anyhow::Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => bail!("the sender panicked"),
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.join();
    }
}

fn open(interface: &str) -> anyhow::Result<Box<dyn DataLinkSender>> {
    let found = pnet_datalink::interfaces().into_iter().find(|known| known.name == interface);
    let found = found.with_context(|| format!("no interface {interface}"))?;
    match pnet_datalink::channel(&found, Config { write_buffer_size: 1 << 22, ..Config::default() })? {
        Channel::Ethernet(sender, _) => Ok(sender),
        _ => bail!("{interface} is no Ethernet interface"),
    }
}

/// Frames of one millisecond go out together: a finer clock costs more than it is worth.
fn pace(
    wire: &mut Box<dyn DataLinkSender>,
    per_second: u64,
    at_most: u64,
    stop: &AtomicBool,
    counted: &AtomicU64,
    mut frame: impl FnMut(u64, &mut [u8]) -> usize,
) -> anyhow::Result<()> {
    let mut buffer = vec![0; 2048];
    let (start, mut sent) = (Instant::now(), 0);
    while sent < at_most && !stop.load(Ordering::Relaxed) {
        let due = (start.elapsed().as_micros() as u64 * per_second / 1_000_000).min(at_most);
        if due <= sent {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        while sent < due && !stop.load(Ordering::Relaxed) {
            let length = frame(sent, &mut buffer);
            match wire.send_to(&buffer[..length], None) {
                Some(Ok(())) => sent += 1,
                // A full queue of the interface: the frame was not sent.
                Some(Err(error)) if error.raw_os_error() == Some(105) => std::thread::yield_now(),
                Some(Err(error)) => return Err(error).context("send a frame"),
                None => bail!("the interface cannot send"),
            }
            counted.store(sent, Ordering::Relaxed);
        }
    }
    Ok(())
}
