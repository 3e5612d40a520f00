//! Frames as they arrive at an interface, after its XDP program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pnet_datalink::{Channel, Config, DataLinkReceiver};

use crate::netns::Netns;

/// How often it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Ends with this value.
pub struct Capture {
    frames: Receiver<Vec<u8>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// From now on; frames that the namespace itself sends are seen too.
    pub fn start(netns: &Netns, interface: &str) -> anyhow::Result<Capture> {
        let (sender, frames) = mpsc::channel();
        let (opened, ready) = mpsc::channel();
        let (stop, interface) = (Arc::new(AtomicBool::new(false)), interface.to_owned());
        let stopped = stop.clone();
        let thread = netns.spawn(move || match open(&interface) {
            Err(error) => drop(opened.send(Err(error))),
            Ok(mut wire) => {
                let _ = opened.send(Ok(()));
                while !stopped.load(Ordering::Relaxed) {
                    // An error is the end of a wait.
                    if let Ok(frame) = wire.next()
                        && sender.send(frame.to_vec()).is_err()
                    {
                        return;
                    }
                }
            }
        });
        ready.recv().context("the capture ended")??;
        Ok(Capture { frames, stop, thread: Some(thread) })
    }

    /// The next frame that is one of the wanted.
    pub fn wait(&self, within: Duration, wanted: impl Fn(&[u8]) -> bool) -> anyhow::Result<Vec<u8>> {
        let end = Instant::now() + within;
        loop {
            let frame = self.frames.recv_timeout(end.saturating_duration_since(Instant::now()));
            let frame = frame.with_context(|| format!("no such frame within {within:?}"))?;
            if wanted(&frame) {
                return Ok(frame);
            }
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn open(interface: &str) -> anyhow::Result<Box<dyn DataLinkReceiver>> {
    let found = pnet_datalink::interfaces().into_iter().find(|known| known.name == interface);
    let found = found.with_context(|| format!("no interface {interface}"))?;
    let config = Config { read_timeout: Some(LOOK), read_buffer_size: 1 << 16, ..Config::default() };
    match pnet_datalink::channel(&found, config)? {
        Channel::Ethernet(_, receiver) => Ok(receiver),
        _ => bail!("{interface} is no Ethernet interface"),
    }
}
