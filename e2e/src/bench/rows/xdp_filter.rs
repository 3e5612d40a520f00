//! xdp-filter of xdp-tools, its own objects, with maps as its own tool fills them.

use std::path::PathBuf;

use anyhow::Context;
use sluice_datapath::measure::{Flow, Flows, Foreign};
use sluice_datapath::test_run::XdpAction;

use super::sluice::{hit, miss, port};
use super::{Packet, Program, Subject};
use crate::bench::frames::udp;

pub const MISSING: &str =
    "xdp-filter is not here: install xdp-tools (`./setup.sh bench`) to have it beside Sluice";

/// `MAP_FLAG_SRC`, `MAP_FLAG_DST` and `MAP_FLAG_UDP` of its `common_kern_user.h`; the bits above count packets.
const SOURCE: u64 = 1;
const DESTINATION: u64 = 1 << 1;
const UDP: u64 = 1 << 3;

/// As many as its maps hold.
pub const ADDRESSES: u32 = 10_000;

/// Where its objects lie. It has one for each set of features; `alw`: what no rule hits is passed.
pub struct Objects(PathBuf);

impl Objects {
    pub fn find() -> Option<Objects> {
        let libraries = std::fs::read_dir("/usr/lib").ok()?;
        let directories = libraries.filter_map(|entry| Some(entry.ok()?.path().join("bpf")));
        let mut directories = directories.chain(["/usr/lib/bpf".into(), "/usr/lib64/bpf".into()]);
        directories.find(|directory| directory.join("xdpfilt_alw_udp.o").exists()).map(Objects)
    }

    /// Drops UDP to a port.
    pub fn one_port(&self, port: u16) -> anyhow::Result<Foreign> {
        let program = self.load("xdpfilt_alw_udp.o")?;
        let key = u32::from(port.to_be()).to_ne_bytes();
        program.fill("filter_ports", &key, DESTINATION | UDP)?;
        Ok(program)
    }

    /// Drops what these send; an address is as it is in a packet.
    fn sources(&self, addresses: &[[u8; 4]]) -> anyhow::Result<Foreign> {
        let program = self.load("xdpfilt_alw_ip.o")?;
        program.fill("filter_ipv4", addresses.as_flattened(), SOURCE)?;
        Ok(program)
    }

    fn load(&self, name: &str) -> anyhow::Result<Foreign> {
        let path = self.0.join(name);
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        Foreign::load(&bytes).with_context(|| path.display().to_string())
    }
}

pub fn subjects(objects: &Objects) -> anyhow::Result<Vec<Subject>> {
    let subject = |name: &str, program, packets| Subject {
        name: format!("xdp-filter, {name}"),
        program: Program::Foreign(program),
        packets,
    };
    let many: Vec<[u8; 4]> = (0..ADDRESSES).map(address).collect();
    Ok(vec![
        subject("UDP port", objects.one_port(port(0))?, vec![hit("hit", 0), miss()]),
        subject("1 address", objects.sources(&[[198, 18, 0, 7]])?, vec![hit("hit", 0), miss()]),
        subject("10,000 addresses", objects.sources(&many)?, random(&many).into()),
    ])
}

pub fn random(addresses: &[[u8; 4]]) -> [Packet; 2] {
    let [source_port, destination_port] = [40_000u16, 53].map(u16::to_be_bytes);
    let flow = |source: &[u8; 4]| Flow { source: *source, source_port, destination_port };
    let hits = Flows::Some(addresses.iter().map(flow).collect());
    let frame = udp([198, 19, 0, 7], 53);
    [
        Packet::new("random hit", frame.clone(), hits, XdpAction::Drop),
        Packet::new("random miss", frame, Flows::Many, XdpAction::Pass),
    ]
}

/// All different, and spread over the space of addresses.
pub fn address(number: u32) -> [u8; 4] {
    number.wrapping_mul(0x9e37_79b1).to_be_bytes()
}
