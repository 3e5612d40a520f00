//! How far frames came, as the kernel counts them.

use std::fs::File;
use std::ops::Sub;
use std::os::unix::fs::FileExt;

use anyhow::Context;

/// Frames at the device, IPv4 packets that reached the stack, and those that it gave to a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub device: u64,
    pub received: u64,
    pub delivered: u64,
}

/// Of eth0's namespace.
pub struct Counters {
    devices: File,
    protocols: File,
}

impl Counters {
    /// Of the namespace that the caller is in: the files stay its files.
    pub fn open() -> anyhow::Result<Counters> {
        let open = |name| File::open(format!("/proc/thread-self/net/{name}"));
        Ok(Counters { devices: open("dev")?, protocols: open("snmp")? })
    }

    pub fn read(&self) -> anyhow::Result<Counts> {
        let protocols = contents(&self.protocols)?;
        // Two lines, names and numbers.
        let mut lines = protocols.lines().filter_map(|line| line.strip_prefix("Ip: "));
        let (names, numbers) = (lines.next(), lines.next());
        let (names, numbers) = names.zip(numbers).context("no IPv4 counters")?;
        let find = |name: &str| -> anyhow::Result<u64> {
            let mut both = names.split(' ').zip(numbers.split(' '));
            let (_, number) = both.find(|(found, _)| *found == name).with_context(|| name.to_owned())?;
            Ok(number.parse()?)
        };
        Ok(Counts { device: self.device()?, received: find("InReceives")?, delivered: find("InDelivers")? })
    }

    pub fn device(&self) -> anyhow::Result<u64> {
        let devices = contents(&self.devices)?;
        let found = devices.lines().find_map(|line| line.trim_start().strip_prefix("eth0:"));
        let packets = found.and_then(|line| line.split_whitespace().nth(1)).context("no counters of eth0")?;
        Ok(packets.parse()?)
    }
}

impl Sub for Counts {
    type Output = Counts;

    fn sub(self, before: Counts) -> Counts {
        Counts {
            device: self.device - before.device,
            received: self.received - before.received,
            delivered: self.delivered - before.delivered,
        }
    }
}

fn contents(file: &File) -> anyhow::Result<String> {
    let mut text = vec![0; 8192];
    let length = file.read_at(&mut text, 0)?;
    text.truncate(length);
    Ok(String::from_utf8(text)?)
}
