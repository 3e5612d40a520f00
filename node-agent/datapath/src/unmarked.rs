//! Interfaces whose driver leaves no room for a mark: their packets pass without it.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use sluice_abi::Stat;

use crate::bpf::LinkMode;
use crate::counters::read_stat;
use crate::error::Result;

/// An XDP program where it runs: another one, or the same at another place, may find room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    pub program_id: u32,
    pub mode: LinkMode,
}

#[derive(Debug)]
pub struct Unmarked {
    /// Packets that were counted on each CPU.
    counted: Vec<u64>,
    /// By interface index.
    found: BTreeMap<u32, Running>,
}

impl Unmarked {
    /// Of packets from now on.
    pub fn new(stats: BorrowedFd<'_>) -> Result<Unmarked> {
        Ok(Unmarked { counted: read_stat(stats, Stat::Unmarked)?, found: BTreeMap::new() })
    }

    /// Looks where packets stayed without their mark since the last look; whether some place is news.
    pub fn look(&mut self, stats: BorrowedFd<'_>, running: impl Fn(u32) -> Option<Running>) -> Result<bool> {
        let counted = read_stat(stats, Stat::Unmarked)?;
        let places = read_stat(stats, Stat::UnmarkedAt)?;
        let before = std::mem::replace(&mut self.counted, counted);
        let grown = self.counted.iter().zip(before).zip(places).filter(|((now, before), _)| **now > *before);
        let mut news = false;
        for ((_, _), ifindex) in grown {
            let ifindex = ifindex as u32;
            let Some(program) = running(ifindex) else { continue };
            news |= self.found.insert(ifindex, program) != Some(program);
        }
        Ok(news)
    }

    /// Forgets what is true of programs that do not run any more, and the packets that they met last.
    pub fn renew(&mut self, stats: BorrowedFd<'_>, running: impl Fn(u32) -> Option<Running>) -> Result<()> {
        self.counted = read_stat(stats, Stat::Unmarked)?;
        self.found.retain(|ifindex, program| running(*ifindex) == Some(*program));
        Ok(())
    }

    pub fn is_at(&self, ifindex: u32) -> bool {
        self.found.contains_key(&ifindex)
    }
}
