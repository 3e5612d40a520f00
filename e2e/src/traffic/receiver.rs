//! The socket behind the filter.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::socket::{setsockopt, sockopt};

use super::DRAIN;

/// Room for what arrives while the reader does not run.
const BUFFER: usize = 64 << 20;

/// What a socket heard.
#[derive(Debug, Default)]
pub struct Heard {
    count: AtomicU64,
    longest_gap_ns: AtomicU64,
}

impl Heard {
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Since this was asked last.
    pub fn longest_gap(&self) -> Duration {
        Duration::from_nanos(self.longest_gap_ns.swap(0, Ordering::Relaxed))
    }
}

/// Counts until `stop`, and then what is on its way yet.
pub fn receive(
    address: Ipv4Addr,
    port: u16,
    heard: &Heard,
    stop: &AtomicBool,
    ready: Sender<()>,
) -> anyhow::Result<()> {
    let socket =
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).with_context(|| format!("{address}:{port}"))?;
    setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).context("a large receive buffer: root is needed")?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    ready.send(())?;
    let (mut datagram, mut next, mut last) = ([0; 64], 0, Instant::now());
    let mut stopped_at = None;
    loop {
        match socket.recv(&mut datagram) {
            Ok(_) => {
                let number = u64::from_be_bytes(datagram[..8].try_into().expect("8 bytes"));
                // One sender, one queue: a number that comes again, or late, would be counted twice or never.
                anyhow::ensure!(number >= next, "datagram {number} after {next}: traffic is out of order");
                next = number + 1;
                let now = Instant::now();
                heard.longest_gap_ns.fetch_max((now - last).as_nanos() as u64, Ordering::Relaxed);
                last = now;
                heard.count.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error).context("receive"),
        }
        if stop.load(Ordering::Relaxed)
            && *stopped_at.get_or_insert_with(Instant::now) + DRAIN < Instant::now()
        {
            return Ok(());
        }
    }
}
