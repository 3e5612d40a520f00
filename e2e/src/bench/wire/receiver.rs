//! The other end of a cable: a namespace of its own, an address, a socket, and what stands before it.

use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use sluice_datapath::measure::attach;

use super::counters::{Counters, Counts};
use super::rows;
use crate::bench::frames::{DESTINATION, MAC};
use crate::netns::ip;
use crate::process::run;
use crate::room::{self, Room};

/// Room for a chunk of frames, each in a page.
const BUFFER: usize = 64 << 20;
/// How long frames may stay on their way.
const PATIENCE: Duration = Duration::from_millis(50);

pub struct Receiver {
    room: Room,
    /// Index of the cable's near end.
    pub egress: u32,
    counters: Counters,
    socket: UdpSocket,
    program: Option<OwnedFd>,
}

impl Receiver {
    /// At the end of a cable of that name.
    pub fn new(cable: &str) -> anyhow::Result<Receiver> {
        let room = Room::create()?;
        let mac: Vec<String> = MAC.iter().map(|byte| format!("{byte:02x}")).collect();
        room.connect(cable, &mac.join(":"))?;
        let (counters, socket) = room.inside(|| {
            ip(&["addr", "add", &format!("{}/32", Ipv4Addr::from(DESTINATION)), "dev", "eth0"])?;
            ip(&["route", "add", "default", "dev", "eth0"])?;
            for which in ["all", "eth0"] {
                std::fs::write(format!("/proc/sys/net/ipv4/conf/{which}/rp_filter"), "0")?;
            }
            // Without a program in the driver, only this makes a veth take frames in batches, as XDP hands them over.
            run("ethtool", &["-K", "eth0", "gro", "on"])?;
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, rows::PASSED))?;
            setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).context("a large receive buffer")?;
            Ok((Counters::open()?, socket))
        })?;
        Ok(Receiver { room, egress: room::index(cable)?, counters, socket, program: None })
    }

    /// With a program in the driver.
    pub fn with_program(self, program: BorrowedFd<'_>) -> anyhow::Result<Receiver> {
        let attached = self.room.inside(|| Ok(attach(program, room::index("eth0")?)?))?;
        Ok(Receiver { program: Some(attached), ..self })
    }

    /// With what a tool makes of its arguments.
    pub fn with_tool(self, tool: &str, arguments: &[&str]) -> anyhow::Result<Receiver> {
        self.room.inside(|| run(tool, arguments))?;
        Ok(self)
    }

    pub fn counts(&self) -> anyhow::Result<Counts> {
        self.counters.read()
    }

    /// Reads as many datagrams, unless that takes too long; how many there were.
    pub fn read(&self, wanted: u32) -> anyhow::Result<u64> {
        let (mut read, end) = (0, Instant::now() + PATIENCE);
        let mut datagram = [0; 128];
        while read < u64::from(wanted) && Instant::now() < end {
            match recv(self.socket.as_raw_fd(), &mut datagram, MsgFlags::MSG_DONTWAIT) {
                Ok(_) => read += 1,
                Err(Errno::EAGAIN | Errno::EINTR) => std::thread::yield_now(),
                Err(error) => return Err(error).context("receive"),
            }
        }
        Ok(read)
    }

    /// Reads what an interrupted cell has left.
    pub fn forget(&self) -> anyhow::Result<()> {
        let mut datagram = [0; 128];
        loop {
            match recv(self.socket.as_raw_fd(), &mut datagram, MsgFlags::MSG_DONTWAIT) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(error) => return Err(error).context("receive"),
            }
        }
    }

    /// Waits until the device has counted as many frames: the kernel may have put some off.
    pub fn settle(&self, frames: u64) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        while self.counters.device()? < frames && Instant::now() < end {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// A program that drops did so in the driver, every time that it ran.
    pub fn check_driver(&self) -> anyhow::Result<()> {
        if self.program.is_none() {
            return Ok(());
        }
        let text = self.room.inside(|| run("ethtool", &["-S", "eth0"]))?;
        let sum = |what: &str| -> u64 {
            let lines = text.lines().filter_map(|line| line.trim().split_once(": "));
            let ours = lines.filter(|(name, _)| name.starts_with("rx_queue") && name.ends_with(what));
            ours.filter_map(|(_, number)| number.parse::<u64>().ok()).sum()
        };
        let (seen, dropped) = (sum("xdp_packets"), sum("xdp_drops"));
        let reached = self.counts()?.received;
        ensure!(
            seen == dropped + reached,
            "of {seen} frames {dropped} were dropped, {reached} passed: {text}"
        );
        Ok(())
    }
}
