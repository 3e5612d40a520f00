//! Steady numbered traffic of which half must pass a filter and half must not, and the count of every wrong verdict.
//!
//! The sender writes bursts that the kernel cuts into datagrams (UDP GSO); the receiver is an ordinary socket behind the
//! filter. A datagram that came although it must not is a leak. One that must come and did not is lost, unless a queue
//! says that it overflowed: then nobody knows which verdict it would have met. A queue before the sender's interface
//! holds it back instead, so that on Linux 6.16 or later there is none.

mod losses;
mod receiver;
mod sender;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::netns::Netns;
use crate::process::eventually;
use losses::{hold_back, interface_drops};
use receiver::{Heard, receive};
use sender::{Sent, send};

/// Payload: a sequence number and padding, so that frames have the shortest length.
const PAYLOAD: usize = 18;
/// What is on its way at the end arrives within this.
const DRAIN: Duration = Duration::from_millis(300);

/// Where traffic goes and what the filter makes of it.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    pub from: &'a Netns,
    pub to: &'a Netns,
    /// The sender's interface, whose queue may overflow.
    pub interface: &'a str,
    pub address: Ipv4Addr,
    /// UDP ports.
    pub passed: u16,
    pub dropped: u16,
}

/// What became of the datagrams that are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Per verdict.
    pub sent: u64,
    /// Of both verdicts, over the whole time.
    pub per_second: u64,
    /// Of both verdicts, over the time in which the sender had a processor or did not want one.
    pub per_second_running: u64,
    /// Must pass and did.
    pub passed: u64,
    /// Must not pass and did.
    pub leaked: u64,
    /// Must pass, did not, and no queue says why.
    pub lost: u64,
    /// Told by the queues of interface and socket: these met no verdict.
    pub overflowed: u64,
}

impl Tally {
    pub fn wrong(&self) -> u64 {
        self.leaked + self.lost
    }
}

/// What the threads of one traffic share.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Datagrams with lower numbers are not judged.
    judged_from: AtomicU64,
    /// Why a thread ended too soon.
    failed: OnceLock<String>,
}

impl Shared {
    fn note(&self, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        ended.inspect_err(|error| _ = self.failed.set(format!("{error:#}")))
    }
}

/// Traffic in progress; ends with this value at the latest.
pub struct Traffic {
    shared: Arc<Shared>,
    sent: Arc<Sent>,
    passed: Arc<Heard>,
    leaked: Arc<Heard>,
    /// The sender's namespace and interface.
    queue: (String, String),
    overflowed_before: u64,
    judged_since: Instant,
    sender: Option<JoinHandle<anyhow::Result<()>>>,
    receivers: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Traffic {
    /// Sends `per_second` datagrams, half to each port.
    pub fn start(route: Route<'_>, per_second: u64) -> anyhow::Result<Traffic> {
        let queue = (route.from.name().to_owned(), route.interface.to_owned());
        hold_back(&queue.0, &queue.1)?;
        let shared = Arc::new(Shared::default());
        let (passed, leaked) = (Arc::new(Heard::default()), Arc::new(Heard::default()));
        let mut receivers = Vec::new();
        for (port, heard) in [(route.passed, &passed), (route.dropped, &leaked)] {
            let (heard, shared) = (heard.clone(), shared.clone());
            let (ready, bound) = std::sync::mpsc::channel();
            receivers.push(route.to.spawn(move || shared.note(receive(port, &heard, &shared, ready))));
            bound.recv().with_context(|| format!("no socket at port {port}"))?;
        }
        let sent = Arc::new(Sent::default());
        let sender = {
            let (sent, shared, address) = (sent.clone(), shared.clone(), route.address);
            let ports = [route.passed, route.dropped];
            route.from.spawn(move || shared.note(send(address, ports, per_second / 2, &sent, &shared)))
        };
        let (overflowed_before, judged_since) = (interface_drops(&queue.0, &queue.1)?, Instant::now());
        let sender = Some(sender);
        Ok(Traffic {
            shared,
            sent,
            passed,
            leaked,
            queue,
            overflowed_before,
            judged_since,
            sender,
            receivers,
        })
    }

    /// Judges nothing that arrives from now on until [`Traffic::judge_from_now`].
    pub fn judge_nothing(&self) {
        self.shared.judged_from.store(u64::MAX, Ordering::SeqCst);
    }

    /// Judges only what is sent from now on.
    pub fn judge_from_now(&mut self) -> anyhow::Result<()> {
        hold_back(&self.queue.0, &self.queue.1)?;
        self.overflowed_before = interface_drops(&self.queue.0, &self.queue.1)?;
        self.sent.judge_from_now.store(true, Ordering::Relaxed);
        let heard = || Ok((!self.sent.judge_from_now.load(Ordering::Relaxed)).then_some(()));
        eventually(Duration::from_secs(5), heard).context("the sender hangs")?;
        self.judged_since = Instant::now();
        Ok(())
    }

    /// The longest time between two passed datagrams since this was asked last, by the kernel's receive times.
    pub fn longest_gap(&self) -> Duration {
        self.passed.longest_gap()
    }

    /// The longest time in which nothing was sent since this was asked last: no fault of the filter.
    pub fn longest_pause(&self) -> Duration {
        self.sent.longest_pause()
    }

    /// Datagrams so far that must not have passed.
    pub fn leaked(&self) -> u64 {
        self.leaked.count()
    }

    /// Datagrams so far that must have passed.
    pub fn passed(&self) -> u64 {
        self.passed.count()
    }

    /// Waits until so many more datagrams have passed.
    pub fn flow(&self, datagrams: u64, within: Duration) -> anyhow::Result<()> {
        let (before, end) = (self.passed(), Instant::now() + within);
        while self.passed() < before + datagrams {
            if let Some(reason) = self.shared.failed.get() {
                bail!("the traffic ended: {reason}");
            }
            if Instant::now() > end {
                let passed = self.passed() - before;
                bail!("only {passed} of {datagrams} datagrams passed within {within:?}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub fn stop(mut self) -> anyhow::Result<Tally> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let took = self.judged_since.elapsed();
        self.join()?;
        let judged_from = self.shared.judged_from.load(Ordering::Relaxed);
        let sent = self.sent.number.load(Ordering::Relaxed).saturating_sub(judged_from);
        let (passed, leaked) = (self.passed.judged(), self.leaked.judged());
        anyhow::ensure!(passed <= sent, "{passed} datagrams came of {sent} sent");
        let queues = interface_drops(&self.queue.0, &self.queue.1)?.saturating_sub(self.overflowed_before);
        let overflowed = queues + self.passed.overflowed() + self.leaked.overflowed();
        let lost = sent.saturating_sub(passed).saturating_sub(overflowed);
        let rate =
            |over: Duration| (2 * sent * 1000).checked_div(over.as_millis() as u64).unwrap_or_default();
        let (per_second, running) = (rate(took), rate(took.saturating_sub(self.sent.waited())));
        Ok(Tally { sent, per_second, per_second_running: running, passed, leaked, lost, overflowed })
    }

    fn join(&mut self) -> anyhow::Result<()> {
        for thread in self.sender.take().into_iter().chain(self.receivers.drain(..)) {
            thread.join().map_err(|_| anyhow::anyhow!("a thread of the traffic panicked"))??;
        }
        Ok(())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = self.join();
    }
}

/// The threads of the traffic go before what they watch: on a busy machine it is that which must not be starved.
fn favour_this_thread() -> anyhow::Result<()> {
    let thread = nix::unistd::gettid().to_string();
    let status = std::process::Command::new("renice").args(["-n", "-15", "-p", &thread]).output()?.status;
    anyhow::ensure!(status.success(), "renice: root is needed");
    Ok(())
}
