//! Frames of a pcap or pcapng file, one after the other as they come.

mod pcapng;
mod write;

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use pcap_file::pcap::PcapReader;
use pcap_file::{DataLink, PcapError, TsResolution};

use pcapng::PcapNg;
pub use write::Writer;

const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// More than any frame of an Ethernet interface: the longest IP packet, its header and two tags.
const MAX_FRAME: usize = (1 << 16) + 22;
/// Bytes in front of the packets of a pcap file, and of each packet.
const PCAP_HEADER: u64 = 24;
const PCAP_RECORD: u64 = 16;

type Input = Box<dyn Read>;

/// Packets of a capture, and how many bytes of it were read.
pub struct Frames {
    format: Format,
    offset: u64,
}

enum Format {
    Pcap(PcapReader<Input>),
    PcapNg(PcapNg),
}

pub struct Frame {
    /// As long as the frame was; what was not captured is zero.
    pub bytes: Vec<u8>,
    pub captured: usize,
    /// Since 1970.
    pub time: Duration,
}

impl Frame {
    /// One that was not captured but made.
    pub fn whole(bytes: Vec<u8>) -> Frame {
        Frame { captured: bytes.len(), bytes, time: Duration::ZERO }
    }

    /// Headers decide; what was not captured counts only as length.
    pub fn new(data: &[u8], original: u32, time: Duration) -> Frame {
        let mut bytes = data.to_vec();
        bytes.resize(bytes.len().max((original as usize).min(MAX_FRAME)), 0);
        Frame { bytes, captured: data.len(), time }
    }

    /// Whether what has a say, which ends there, was not captured whole.
    pub fn is_cut(&self, end: usize) -> bool {
        self.captured < self.bytes.len().min(end)
    }
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
        let reader = PcapNg::new(whole).map_err(|error| broken(error, 0)).with_context(name)?;
        return Ok(Frames { offset: reader.header_length(), format: Format::PcapNg(reader) });
    }
    let reader = PcapReader::new(whole).map_err(|error| match error {
        PcapError::InvalidField(_) => anyhow!("neither pcap nor pcapng: write it with tcpdump -w"),
        error => broken(error, 0),
    });
    let reader = reader.with_context(name)?;
    ethernet(reader.header().datalink).with_context(name)?;
    Ok(Frames { format: Format::Pcap(reader), offset: PCAP_HEADER })
}

impl Frames {
    pub fn next_frame(&mut self) -> anyhow::Result<Option<Frame>> {
        let Frames { format, offset } = self;
        match format {
            Format::Pcap(reader) => next_record(reader, offset),
            Format::PcapNg(reader) => reader.next_frame(offset),
        }
    }
}

/// Raw: the library's own checks refuse packets longer than the snap length, which are what it is for.
fn next_record(reader: &mut PcapReader<Input>, offset: &mut u64) -> anyhow::Result<Option<Frame>> {
    let resolution = reader.header().ts_resolution;
    let Some(record) = reader.next_raw_packet() else { return Ok(None) };
    let record = record.map_err(|error| broken(error, *offset))?;
    *offset += PCAP_RECORD + u64::from(record.incl_len);
    let fraction = match resolution {
        TsResolution::MicroSecond => Duration::from_micros(record.ts_frac.into()),
        TsResolution::NanoSecond => Duration::from_nanos(record.ts_frac.into()),
    };
    let time = Duration::from_secs(record.ts_sec.into()) + fraction;
    Ok(Some(Frame::new(&record.data, record.orig_len, time)))
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

/// `offset`: where what could not be read begins.
fn broken(error: PcapError, offset: u64) -> anyhow::Error {
    match error {
        PcapError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => anyhow!(
            "the capture ends in the middle of what begins at byte {offset}: it was cut off, is damaged, or is still \
             being written"
        ),
        PcapError::IoError(error) => error.into(),
        error => anyhow!("the capture is damaged at byte {offset}: {error}"),
    }
}
