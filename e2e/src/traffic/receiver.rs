//! The socket behind the filter.

use std::io::IoSliceMut;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

use super::losses::socket_drops;
use super::{DRAIN, Shared, favour_this_thread};

/// Room for what arrives while the reader does not run.
const BUFFER: usize = 64 << 20;

/// What a socket heard.
#[derive(Debug, Default)]
pub struct Heard {
    count: AtomicU64,
    judged: AtomicU64,
    overflowed: AtomicU64,
    longest_gap_ns: AtomicU64,
}

impl Heard {
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Those of them that are judged.
    pub fn judged(&self) -> u64 {
        self.judged.load(Ordering::Relaxed)
    }

    /// Datagrams that found no room; known at the end.
    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Since this was asked last.
    pub fn longest_gap(&self) -> Duration {
        Duration::from_nanos(self.longest_gap_ns.swap(0, Ordering::Relaxed))
    }
}

/// Counts until the end, and then what is on its way yet.
pub fn receive(port: u16, heard: &Heard, shared: &Shared, ready: Sender<()>) -> anyhow::Result<()> {
    favour_this_thread()?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).with_context(|| format!("port {port}"))?;
    setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).context("a large receive buffer: root is needed")?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    ready.send(())?;
    let (mut judged_from, mut next, mut last, mut stopped_at) = (0, 0, None, None);
    loop {
        if let Some((number, at)) = next_datagram(&socket)? {
            let from = shared.judged_from.load(Ordering::SeqCst);
            if judged_from != from {
                (judged_from, next) = (from, from);
                heard.judged.store(0, Ordering::Relaxed);
            }
            if number >= judged_from {
                // One sender, one queue: a number that comes again, or late, would be counted twice or never.
                anyhow::ensure!(number >= next, "datagram {number} after {next}: traffic is out of order");
                next = number + 1;
                heard.judged.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(last) = last.replace(at) {
                heard.longest_gap_ns.fetch_max(at.saturating_sub(last), Ordering::Relaxed);
            }
            heard.count.fetch_add(1, Ordering::Relaxed);
        }
        if shared.stop.load(Ordering::Relaxed)
            && *stopped_at.get_or_insert_with(Instant::now) + DRAIN < Instant::now()
        {
            heard.overflowed.store(socket_drops(port)?, Ordering::Relaxed);
            return Ok(());
        }
    }
}

/// Its number, and when the kernel received it in nanoseconds; `None` if there was none for a while.
fn next_datagram(socket: &UdpSocket) -> anyhow::Result<Option<(u64, u64)>> {
    let (mut datagram, mut control) = ([0; 64], cmsg_space!(TimeSpec));
    let mut parts = [IoSliceMut::new(&mut datagram)];
    let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty());
    let at = match received {
        Ok(message) => message.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(at) => Some(at),
            _ => None,
        }),
        Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
        Err(error) => return Err(error).context("receive"),
    };
    let at = Duration::from(at.context("the kernel gave no receive time")?);
    let number = u64::from_be_bytes(datagram[..8].try_into().expect("8 bytes"));
    Ok(Some((number, at.as_nanos() as u64)))
}
