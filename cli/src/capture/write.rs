//! Packets with their verdicts, as pcapng.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use byteorder_slice::LittleEndian;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::PcapNgBlock;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::{ENHANCED_PACKET_BLOCK, RawBlock};
use pcap_file::{DataLink, Endianness, PcapError};

use super::Frame;
use crate::judge::Decision;

/// Option of a packet block: what became of it (pcapng draft, epb_verdict).
const VERDICT: u16 = 7;
/// Whose verdict: an XDP program's, as eight bytes (the same draft, Linux_eBPF_XDP).
const OF_XDP: u8 = 2;
const NANOSECONDS: u8 = 9;
/// Bytes of the option that ends the options.
const END_OF_OPTIONS: usize = 4;
/// Bytes of a block around its body: type, and length twice.
const BLOCK_FRAME: usize = 12;

pub struct Writer {
    path: PathBuf,
    out: PcapNgWriter<BufWriter<File>>,
}

impl Writer {
    pub fn create(path: &Path) -> anyhow::Result<Writer> {
        let failed = |error| failed(path, error);
        let file = File::create(path).with_context(|| path.display().to_string())?;
        let out = PcapNgWriter::with_endianness(BufWriter::new(file), Endianness::Little).map_err(failed)?;
        Ok(Writer { path: path.to_owned(), out })
    }

    /// Describes an interface that packets will be of; `name` may be empty.
    pub fn interface(&mut self, name: &str, description: &str) -> anyhow::Result<u32> {
        let number = self.out.interfaces().len() as u32;
        let mut interface = InterfaceDescriptionBlock::new(DataLink::ETHERNET, 0);
        if !name.is_empty() {
            interface.options.push(InterfaceDescriptionOption::IfName(name.to_owned().into()));
        }
        interface.options.extend([
            InterfaceDescriptionOption::IfDescription(description.to_owned().into()),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ]);
        self.out.write_block(&interface.into_block()).map_err(|error| failed(&self.path, error))?;
        Ok(number)
    }

    pub fn write(&mut self, interface: u32, frame: &Frame, decision: &Decision) -> anyhow::Result<()> {
        let block = EnhancedPacketBlock {
            interface_id: interface,
            timestamp: frame.time,
            original_len: frame.bytes.len() as u32,
            data: (&frame.bytes[..frame.captured]).into(),
            options: vec![EnhancedPacketOption::Comment(decision.words().into())],
        };
        let mut body = Vec::new();
        block.write_to::<LittleEndian, _>(&mut body)?;
        // The library knows no verdicts: this one goes in front of the end of the options.
        let end = body.len() - END_OF_OPTIONS;
        body.splice(end..end, verdict(decision));
        let length = u32::try_from(body.len() + BLOCK_FRAME).context("a packet of more than 4 GB")?;
        let raw = RawBlock {
            type_: ENHANCED_PACKET_BLOCK,
            initial_len: length,
            body: body.into(),
            trailer_len: length,
        };
        self.out.write_raw_block(&raw).map_err(|error| failed(&self.path, error))?;
        Ok(())
    }

    pub fn flush(&mut self) -> anyhow::Result<()> {
        self.out.get_mut().flush().with_context(|| self.path.display().to_string())
    }

    pub fn finish(self) -> anyhow::Result<()> {
        self.out.into_inner().flush().with_context(|| self.path.display().to_string())
    }
}

/// An option: its code and length, the kind of verdict and enum xdp_action, filled up to four bytes.
fn verdict(decision: &Decision) -> Vec<u8> {
    let action: u64 = match decision.verdict {
        "Aborted" => 0,
        "Drop" => 1,
        "Tx" => 3,
        _ => 2,
    };
    let value = [&[OF_XDP][..], &action.to_le_bytes()].concat();
    let padding = value.len().next_multiple_of(4) - value.len();
    let head = [VERDICT.to_le_bytes(), (value.len() as u16).to_le_bytes()].concat();
    [&head[..], &value, &[0; 3][..padding]].concat()
}

fn failed(path: &Path, error: PcapError) -> anyhow::Error {
    match error {
        PcapError::IoError(error) => anyhow!("{}: {error}", path.display()),
        error => anyhow!("{}: {error}", path.display()),
    }
}
