//! Samples of dropped packets: switching them on for a while, and taking them out of the kernel's ring.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime};

use aya::maps::{Map, MapData, MapError, RingBuf};
use nix::net::if_::if_indextoname;
use nix::time::{ClockId, clock_gettime};
use sluice_abi::{Sample, Sampling, Stage};

use crate::bpf::{self, Kind};
use crate::error::{Context, Result};
use crate::load::pin_of;
use crate::slots::{SlotKey, SlotTable};

/// Samples of one rule in a second, and at once after a rest.
pub const SAMPLES_PER_SECOND: u64 = 20;
/// Samples that wait to be taken; the ring holds fewer.
const MOST_WAITING: usize = 4096;

const SECOND: u64 = 1_000_000_000;

/// A packet that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedPacket {
    pub time: SystemTime,
    /// Rule, default, VIP or backend that counted it.
    pub owner: SlotKey,
    pub by_balancer: bool,
    /// Name of the interface that it came in on, or its number where there is none any more.
    pub interface: String,
    /// Of the whole frame.
    pub length: u32,
    /// Its first bytes.
    pub bytes: Vec<u8>,
}

/// What there was since the last time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    pub packets: Vec<DroppedPacket>,
    /// Samples that found no room.
    pub lost: u64,
    /// Drops of which no sample was made, because their rule had its share.
    pub suppressed: u64,
}

pub struct Drops {
    ring: RingBuf<MapData>,
    sampling: OwnedFd,
    is_on: bool,
    waiting: Vec<DroppedPacket>,
    /// Found no room in `waiting`, or no owner.
    lost: u64,
    /// As the statistics had them last: lost and suppressed.
    seen: [u64; 2],
}

impl Drops {
    /// Opens the pins. Nobody listens yet: who did has ended with the process that asked for it.
    pub fn open(root: &Path) -> Result<Drops> {
        let path = root.join(pin_of("SAMPLES"));
        let open = || RingBuf::try_from(Map::from_map_data(MapData::from_pin(&path)?)?);
        let ring = open()
            .map_err(|error: MapError| io::Error::other(error))
            .context(|| format!("opening the ring {}", path.display()))?;
        let path = root.join(pin_of(".data.sampling"));
        let sampling =
            bpf::get(&path, Kind::Map).context(|| format!("opening the pin {}", path.display()))?;
        let drops = Drops { ring, sampling, is_on: false, waiting: Vec::new(), lost: 0, seen: [0; 2] };
        drops.write(Sampling::default())?;
        Ok(drops)
    }

    /// From now on for so long; not at all is the end of it. `statistics` are lost and suppressed ones so far.
    pub fn listen(&mut self, how_long: Duration, statistics: [u64; 2]) -> Result<()> {
        if how_long.is_zero() {
            self.is_on = false;
            return self.write(Sampling::default());
        }
        if !self.is_on {
            while self.ring.next().is_some() {}
            (self.is_on, self.lost, self.seen) = (true, 0, statistics);
            self.waiting.clear();
        }
        let until = since_boot().context(|| "reading the clock".into())? + how_long;
        let until = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        self.write(Sampling { until, interval: SECOND / SAMPLES_PER_SECOND, burst: SECOND })
    }

    /// Takes what is in the ring while its slots still belong to whom they did.
    pub fn gather(&mut self, slots: &SlotTable) -> Result<()> {
        let mut samples = Vec::<Sample>::new();
        while let Some(element) = self.ring.next() {
            samples.extend(bytemuck::try_pod_read_unaligned::<Sample>(&element));
        }
        if samples.is_empty() {
            return Ok(());
        }
        let boot = boot().context(|| "reading the clock".into())?;
        let owners: HashMap<u32, &SlotKey> = slots.iter().map(|(key, slot)| (slot, key)).collect();
        for sample in samples {
            match owners.get(&sample.slot) {
                Some(owner) if self.waiting.len() < MOST_WAITING => {
                    self.waiting.push(dropped(&sample, owner, boot));
                }
                _ => self.lost += 1,
            }
        }
        Ok(())
    }

    pub fn take(&mut self, slots: &SlotTable, statistics: [u64; 2]) -> Result<Dropped> {
        self.gather(slots)?;
        let [lost, suppressed] = [0, 1].map(|at| statistics[at].saturating_sub(self.seen[at]));
        self.seen = statistics;
        let (packets, own) = (std::mem::take(&mut self.waiting), std::mem::take(&mut self.lost));
        Ok(Dropped { packets, lost: lost + own, suppressed })
    }

    fn write(&self, sampling: Sampling) -> Result<()> {
        bpf::update(self.sampling.as_fd(), &0u32.to_ne_bytes(), bytemuck::bytes_of(&sampling))
            .context(|| "switching samples of drops".into())
    }
}

fn dropped(sample: &Sample, owner: &SlotKey, boot: SystemTime) -> DroppedPacket {
    let captured = (sample.captured as usize).min(sample.bytes.len());
    DroppedPacket {
        time: boot + Duration::from_nanos(sample.time),
        owner: owner.clone(),
        by_balancer: sample.stage == Stage::Balancer as u32,
        interface: interface(sample.ingress),
        length: sample.length,
        bytes: sample.bytes[..captured].to_vec(),
    }
}

/// In this thread's network namespace, which is the interfaces'.
fn interface(index: u32) -> String {
    let name = if_indextoname(index).ok().and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| format!("#{index}"))
}

/// The time that CLOCK_MONOTONIC counts from, by the present clock.
fn boot() -> io::Result<SystemTime> {
    Ok(SystemTime::now() - since_boot()?)
}

fn since_boot() -> io::Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?))
}
