//! Bursts at a steady rate.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::Pid;

use super::{PAYLOAD, Shared, favour_this_thread};

/// Datagrams of one burst; few enough for the queue of a veth.
const BURST: usize = 32;

/// What was sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// Number of the next datagram, the same for both verdicts.
    pub number: AtomicU64,
    /// Taken back once the next datagram is the first that is judged.
    pub judge_from_now: AtomicBool,
    longest_pause_ns: AtomicU64,
    /// Ready to run, but without a processor, since judging began.
    waited_ns: AtomicU64,
}

impl Sent {
    /// Since this was asked last.
    pub fn longest_pause(&self) -> Duration {
        Duration::from_nanos(self.longest_pause_ns.swap(0, Ordering::Relaxed))
    }

    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited_ns.load(Ordering::Relaxed))
    }
}

/// Bursts to both ports in turn, `per_second` datagrams to each; after a pause it catches up.
pub fn send(
    address: Ipv4Addr,
    ports: [u16; 2],
    per_second: u64,
    sent: &Sent,
    shared: &Shared,
) -> anyhow::Result<()> {
    favour_this_thread()?;
    stay_on_this_cpu()?;
    let [passed, dropped] = [open(address, ports[0])?, open(address, ports[1])?];
    let (start, mut burst) = (Instant::now(), [0; BURST * PAYLOAD]);
    let (mut number, mut refused, mut last, mut waited_before) = (0, 0, start, waited_ns()?);
    while !shared.stop.load(Ordering::Relaxed) {
        if sent.judge_from_now.load(Ordering::Relaxed) {
            waited_before = waited_ns()?;
            shared.judged_from.store(number, Ordering::SeqCst);
            sent.judge_from_now.store(false, Ordering::SeqCst);
        }
        let due = start.elapsed().as_micros() as u64 * per_second / 1_000_000;
        if due < number + refused + BURST as u64 {
            std::thread::sleep(Duration::from_micros(100));
            continue;
        }
        for (datagram, number) in burst.chunks_mut(PAYLOAD).zip(number..) {
            datagram[..8].copy_from_slice(&number.to_be_bytes());
        }
        // What the kernel refuses (no route while an interface is made anew) was not sent.
        if passed.send(&burst).is_err() {
            refused += BURST as u64;
            continue;
        }
        dropped.send(&burst).ok();
        number += BURST as u64;
        sent.number.store(number, Ordering::Relaxed);
        let now = Instant::now();
        sent.longest_pause_ns.fetch_max((now - last).as_nanos() as u64, Ordering::Relaxed);
        last = now;
    }
    sent.waited_ns.store(waited_ns()? - waited_before, Ordering::Relaxed);
    Ok(())
}

/// A veth without a program queues packets where they were sent: those of a thread that moves to another processor can
/// overtake each other, and the receiver takes that for a fault.
fn stay_on_this_cpu() -> anyhow::Result<()> {
    let mut here = CpuSet::new();
    here.set(sched_getcpu()?)?;
    sched_setaffinity(Pid::from_raw(0), &here).context("staying on one processor")
}

fn open(address: Ipv4Addr, port: u16) -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((address, port)).with_context(|| format!("no way to {address}"))?;
    setsockopt(&socket, sockopt::UdpGsoSegment, &(PAYLOAD as i32)).context("UDP GSO")?;
    Ok(socket)
}

/// How long this thread was ready to run and had no processor.
fn waited_ns() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let waited = text.split_whitespace().nth(1).and_then(|waited| waited.parse().ok());
    waited.with_context(|| format!("schedstat: {text}"))
}
