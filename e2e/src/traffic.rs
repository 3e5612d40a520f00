//! Steady numbered traffic of which half must pass a filter and half must not, and the count of every wrong verdict.
//!
//! The sender writes bursts that the kernel cuts into datagrams (UDP GSO); the receiver is an ordinary socket behind the
//! filter. A datagram that came although it must not is a leak. One that must come and did not is lost, unless a queue
//! says that it overflowed: then no verdict was wrong.

mod losses;
mod receiver;

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::socket::{setsockopt, sockopt};

use crate::netns::Netns;
use losses::overflows;
use receiver::{Heard, receive};

/// Payload: a sequence number and padding, so that frames have the shortest length.
const PAYLOAD: usize = 18;
/// Datagrams of one burst; few enough for the queue of a veth.
const BURST: usize = 32;
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

/// What became of all datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Per verdict.
    pub sent: u64,
    pub per_second: u64,
    /// Must pass and did.
    pub passed: u64,
    /// Must not pass and did.
    pub leaked: u64,
    /// Must pass, did not, and no queue says why.
    pub lost: u64,
    /// Told by the queues of interface and socket.
    pub overflowed: u64,
}

impl Tally {
    pub fn wrong(&self) -> u64 {
        self.leaked + self.lost
    }
}

/// Traffic in progress; ends with this value at the latest.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    passed: Arc<Heard>,
    leaked: Arc<Heard>,
    overflowed_before: u64,
    overflowed: Box<dyn Fn() -> anyhow::Result<u64> + Send>,
    started: Instant,
    sender: Option<JoinHandle<anyhow::Result<()>>>,
    receivers: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Traffic {
    /// Sends `per_second` datagrams, half to each port.
    pub fn start(route: Route<'_>, per_second: u64) -> anyhow::Result<Traffic> {
        let (from, to, interface) =
            (route.from.name().to_owned(), route.to.name().to_owned(), route.interface.to_owned());
        let overflowed = move || overflows(&from, &to, &interface);
        let overflowed_before = overflowed()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (passed, leaked) = (Arc::new(Heard::default()), Arc::new(Heard::default()));
        let mut receivers = Vec::new();
        for (port, heard) in [(route.passed, &passed), (route.dropped, &leaked)] {
            let (address, heard, stop) = (route.address, heard.clone(), stop.clone());
            let (ready, bound) = std::sync::mpsc::channel();
            receivers.push(route.to.spawn(move || receive(address, port, &heard, &stop, ready)));
            bound.recv().with_context(|| format!("no socket at {address}:{port}"))?;
        }
        let sent = Arc::new(AtomicU64::new(0));
        let sender = {
            let (sent, stop) = (sent.clone(), stop.clone());
            route.from.spawn({
                let (address, ports) = (route.address, [route.passed, route.dropped]);
                move || send(address, ports, per_second / 2, &sent, &stop)
            })
        };
        let overflowed = Box::new(overflowed);
        let started = Instant::now();
        let sender = Some(sender);
        Ok(Traffic { stop, sent, passed, leaked, overflowed_before, overflowed, started, sender, receivers })
    }

    /// The longest time without a passed datagram since this was asked last.
    pub fn longest_gap(&self) -> Duration {
        self.passed.longest_gap()
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
        let (wanted, end) = (self.passed() + datagrams, Instant::now() + within);
        while self.passed() < wanted {
            if Instant::now() > end {
                bail!("only {} of {wanted} datagrams passed within {within:?}", self.passed());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub fn stop(mut self) -> anyhow::Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        let took = self.started.elapsed();
        join(self.sender.take())?;
        for receiver in self.receivers.drain(..) {
            join(Some(receiver))?;
        }
        let (sent, passed, leaked) = (self.sent.load(Ordering::Relaxed), self.passed.count(), self.leaked());
        let overflowed = (self.overflowed)()?.saturating_sub(self.overflowed_before);
        let lost = sent.saturating_sub(passed).saturating_sub(overflowed);
        let per_second = (2 * sent * 1000).checked_div(took.as_millis() as u64).unwrap_or_default();
        Ok(Tally { sent, per_second, passed, leaked, lost, overflowed })
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = join(self.sender.take());
        for receiver in self.receivers.drain(..) {
            let _ = join(Some(receiver));
        }
    }
}

fn join(thread: Option<JoinHandle<anyhow::Result<()>>>) -> anyhow::Result<()> {
    match thread.map(JoinHandle::join) {
        None => Ok(()),
        Some(Ok(result)) => result,
        Some(Err(_)) => bail!("a thread of the traffic panicked"),
    }
}

/// Bursts to both ports in turn, `per_second` datagrams to each.
fn send(
    address: Ipv4Addr,
    ports: [u16; 2],
    per_second: u64,
    sent: &AtomicU64,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let mut sockets = Vec::new();
    for port in ports {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((address, port)).with_context(|| format!("no way to {address}"))?;
        setsockopt(&socket, sockopt::UdpGsoSegment, &(PAYLOAD as i32)).context("UDP GSO")?;
        sockets.push(socket);
    }
    let (start, mut burst) = (Instant::now(), [0; BURST * PAYLOAD]);
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = start.elapsed().as_micros() as u64 * per_second / 1_000_000;
        if due < number + BURST as u64 {
            std::thread::sleep(Duration::from_micros(100));
            continue;
        }
        for datagram in burst.chunks_mut(PAYLOAD) {
            datagram[..8].copy_from_slice(&number.to_be_bytes());
            number += 1;
        }
        // What the kernel refuses (no route while an interface is made anew) was not sent.
        let [passed, _dropped] = [&sockets[0], &sockets[1]].map(|socket| socket.send(&burst));
        if passed.is_ok() {
            sent.fetch_add(BURST as u64, Ordering::Relaxed);
        }
    }
    Ok(())
}
