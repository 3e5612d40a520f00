//! Frames of a pcap or pcapng file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};

const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// More than any frame; what a broken length field claims is not believed.
const MAX_FRAME: usize = 1 << 16;

type Input = Box<dyn Read>;

pub enum Frames {
    Pcap(PcapReader<Input>),
    PcapNg { reader: PcapNgReader<Input>, links: Vec<DataLink> },
}

/// Opens a file, or standard input for `-`.
pub fn open(path: &Path) -> anyhow::Result<Frames> {
    let mut input: Input = match path == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(path).with_context(|| path.display().to_string())?)),
    };
    let mut magic = [0; 4];
    input
        .read_exact(&mut magic)
        .with_context(|| format!("{}: no capture: it has no header", path.display()))?;
    let whole: Input = Box::new(io::Cursor::new(magic).chain(input));
    if magic == PCAPNG_MAGIC {
        let reader = PcapNgReader::new(whole).with_context(|| path.display().to_string())?;
        return Ok(Frames::PcapNg { reader, links: Vec::new() });
    }
    let reader = PcapReader::new(whole)
        .with_context(|| format!("{}: neither pcap nor pcapng: write it with tcpdump -w", path.display()))?;
    ethernet(reader.header().datalink)?;
    Ok(Frames::Pcap(reader))
}

impl Frames {
    pub fn next_frame(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        match self {
            Frames::Pcap(reader) => match reader.next_packet() {
                None => Ok(None),
                Some(packet) => {
                    let packet = packet?;
                    Ok(Some(whole(&packet.data, packet.orig_len)))
                }
            },
            Frames::PcapNg { reader, links } => next_block(reader, links),
        }
    }
}

fn next_block(
    reader: &mut PcapNgReader<Input>,
    links: &mut Vec<DataLink>,
) -> anyhow::Result<Option<Vec<u8>>> {
    while let Some(block) = reader.next_block() {
        match block? {
            Block::SectionHeader(_) => links.clear(),
            Block::InterfaceDescription(interface) => links.push(interface.linktype),
            Block::EnhancedPacket(packet) => {
                ethernet(links.get(packet.interface_id as usize).copied().unwrap_or(DataLink::ETHERNET))?;
                return Ok(Some(whole(&packet.data, packet.original_len)));
            }
            Block::SimplePacket(packet) => {
                ethernet(links.first().copied().unwrap_or(DataLink::ETHERNET))?;
                return Ok(Some(whole(&packet.data, packet.original_len)));
            }
            _ => {}
        }
    }
    Ok(None)
}

fn ethernet(link: DataLink) -> anyhow::Result<()> {
    if link != DataLink::ETHERNET {
        bail!("link type {link:?}: XDP sees Ethernet frames; capture on an Ethernet interface, not on `any`");
    }
    Ok(())
}

/// Headers decide; what a snap length cut off counts only as length.
fn whole(data: &[u8], original: u32) -> Vec<u8> {
    let mut frame = data.to_vec();
    frame.resize(frame.len().max((original as usize).min(MAX_FRAME)), 0);
    frame
}
