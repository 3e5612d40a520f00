//! Frames of a pcap or pcapng file, one after the other as they come.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError};

const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// More than any frame of an Ethernet interface: the longest IP packet, its header and two tags.
const MAX_FRAME: usize = (1 << 16) + 22;

type Input = Box<dyn Read>;

pub enum Frames {
    Pcap(PcapReader<Input>),
    PcapNg { reader: PcapNgReader<Input>, links: Vec<DataLink> },
}

pub struct Frame {
    /// As long as the frame was; what was not captured is zero.
    pub bytes: Vec<u8>,
    pub captured: usize,
}

/// Opens a file, or standard input for `-`.
pub fn open(path: &Path) -> anyhow::Result<Frames> {
    let name = || path.display().to_string();
    let mut input: Input = match path == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(path).with_context(name)?)),
    };
    let mut magic = [0; 4];
    input.read_exact(&mut magic).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => anyhow!("{}: no capture: it is empty", name()),
        _ => anyhow!("{}: {error}", name()),
    })?;
    let whole: Input = Box::new(io::Cursor::new(magic).chain(input));
    if magic == PCAPNG_MAGIC {
        let reader = PcapNgReader::new(whole).map_err(broken).with_context(name)?;
        return Ok(Frames::PcapNg { reader, links: Vec::new() });
    }
    let reader = PcapReader::new(whole).map_err(|error| match error {
        PcapError::InvalidField(_) => anyhow!("neither pcap nor pcapng: write it with tcpdump -w"),
        error => broken(error),
    });
    let reader = reader.with_context(name)?;
    ethernet(reader.header().datalink).with_context(name)?;
    Ok(Frames::Pcap(reader))
}

impl Frames {
    pub fn next_frame(&mut self) -> anyhow::Result<Option<Frame>> {
        match self {
            // Raw: the library's own checks refuse packets longer than the snap length, which are what it is for.
            Frames::Pcap(reader) => match reader.next_raw_packet() {
                None => Ok(None),
                Some(packet) => {
                    let packet = packet.map_err(broken)?;
                    Ok(Some(frame(&packet.data, packet.orig_len)))
                }
            },
            Frames::PcapNg { reader, links } => next_block(reader, links),
        }
    }
}

fn next_block(reader: &mut PcapNgReader<Input>, links: &mut Vec<DataLink>) -> anyhow::Result<Option<Frame>> {
    while let Some(block) = reader.next_block() {
        let (interface, data, original) = match block.map_err(broken)? {
            Block::SectionHeader(_) => {
                links.clear();
                continue;
            }
            Block::InterfaceDescription(interface) => {
                links.push(interface.linktype);
                continue;
            }
            Block::EnhancedPacket(packet) => (packet.interface_id as usize, packet.data, packet.original_len),
            // Its data is filled up to a multiple of four bytes.
            Block::SimplePacket(packet) => {
                let length = packet.data.len().min(packet.original_len as usize);
                (0, packet.data[..length].to_vec().into(), packet.original_len)
            }
            _ => continue,
        };
        let link = links.get(interface).with_context(|| format!("interface {interface} is not described"))?;
        ethernet(*link)?;
        return Ok(Some(frame(&data, original)));
    }
    Ok(None)
}

fn ethernet(link: DataLink) -> anyhow::Result<()> {
    if link != DataLink::ETHERNET {
        bail!(
            "link type {link:?}: XDP sees Ethernet frames, so capture on an Ethernet interface and not on `any`, a \
             tunnel or a wireless monitor"
        );
    }
    Ok(())
}

fn broken(error: PcapError) -> anyhow::Error {
    match error {
        PcapError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            anyhow!("the capture ends in the middle: it was cut off, or is still being written")
        }
        PcapError::IoError(error) => error.into(),
        error => anyhow!("the capture is damaged: {error}"),
    }
}

/// Headers decide; what was not captured counts only as length.
fn frame(data: &[u8], original: u32) -> Frame {
    let mut bytes = data.to_vec();
    bytes.resize(bytes.len().max((original as usize).min(MAX_FRAME)), 0);
    Frame { bytes, captured: data.len() }
}
