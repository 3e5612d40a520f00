//! Real frames on a real wire, as many as the kernel can make on one CPU.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::maps::MapData;

use super::{RESTORED, assembly, load};
use crate::bpf::{self, LinkMode};
use crate::load::{LoadError, live_run, new_array};

/// What becomes of a frame that a generator has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Dropped where it was made: what making costs.
    Dropped,
    /// Out of the interface.
    Sent,
}

/// Writes each frame anew, with another IPv4 source and source port each time; the IPv4 header's checksum stays right,
/// if the halves of the frame's own source are each other's complement.
#[derive(Debug)]
pub struct Generator {
    program: OwnedFd,
    frame: Vec<u8>,
    _number: MapData,
}

impl Generator {
    /// Of a frame of IPv4 without options, of at least 64 bytes.
    pub fn new(frame: &[u8], fate: Fate) -> Result<Generator, LoadError> {
        if frame.len() < RESTORED {
            let problem = format!("{} bytes, at least {RESTORED} are needed", frame.len());
            return Err(LoadError::Object(format!("frame to generate: {problem}")));
        }
        let number = new_array("number", &[0; 8], 8)?;
        let program = load(&assembly::generator(frame, number.fd().as_fd(), fate == Fate::Sent))?;
        Ok(Generator { program, frame: frame.to_vec(), _number: number })
    }

    /// Makes `count` frames on the calling thread, and sends them out of `interface` of its network namespace.
    pub fn run(&self, count: u32, interface: u32) -> std::io::Result<()> {
        live_run(self.program.as_fd(), &self.frame, count, interface)
    }
}

/// Runs a program in the driver of an interface of this network namespace until the result is closed.
pub fn attach(program: BorrowedFd<'_>, interface: u32) -> std::io::Result<OwnedFd> {
    bpf::link_create(program, interface, LinkMode::Native)
}

/// A program that gives every packet to the network stack.
pub fn pass() -> Result<OwnedFd, LoadError> {
    load(&assembly::pass())
}
