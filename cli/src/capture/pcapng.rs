//! pcapng: blocks, some of which are packets.

use std::time::Duration;

use anyhow::Context;
use byteorder_slice::{BigEndian, LittleEndian};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, Endianness, PcapError};

use super::{Frame, Input, broken, ethernet};

pub struct PcapNg {
    reader: PcapNgReader<Input>,
    interfaces: Vec<Interface>,
}

#[derive(Clone, Copy)]
struct Interface {
    link: DataLink,
    /// Units of its timestamps in a second.
    per_second: u64,
}

impl PcapNg {
    pub fn new(input: Input) -> Result<PcapNg, PcapError> {
        Ok(PcapNg { reader: PcapNgReader::new(input)?, interfaces: Vec::new() })
    }

    /// The section header, which was read already.
    pub fn header_length(&self) -> u64 {
        let mut header = Vec::new();
        let block = Block::SectionHeader(self.reader.section().clone());
        // What was parsed is written in the same length.
        block.write_to::<LittleEndian, _>(&mut header).map_or(0, |length| length as u64)
    }

    pub fn next_frame(&mut self, offset: &mut u64) -> anyhow::Result<Option<Frame>> {
        loop {
            let endianness = self.reader.section().endianness;
            let Some(raw) = self.reader.next_raw_block() else { return Ok(None) };
            let raw = raw.map_err(|error| broken(error, *offset))?;
            let begin = *offset;
            *offset += u64::from(raw.initial_len);
            let block = match endianness {
                Endianness::Big => raw.try_into_block::<BigEndian>(),
                Endianness::Little => raw.try_into_block::<LittleEndian>(),
            };
            let packet = match block.map_err(|error| broken(error, begin))? {
                Block::SectionHeader(_) => {
                    self.interfaces.clear();
                    continue;
                }
                Block::InterfaceDescription(interface) => {
                    self.interfaces.push(Interface::of(&interface));
                    continue;
                }
                Block::EnhancedPacket(packet) => {
                    let ticks = packet.timestamp.as_nanos() as u64;
                    (packet.interface_id as usize, ticks, packet.data, packet.original_len)
                }
                // Its data is filled up to a multiple of four bytes.
                Block::SimplePacket(packet) => {
                    let length = packet.data.len().min(packet.original_len as usize);
                    (0, 0, packet.data[..length].to_vec().into(), packet.original_len)
                }
                _ => continue,
            };
            let (interface, ticks, data, original) = packet;
            let place = || format!("byte {begin}: interface {interface} is not described");
            let interface = self.interfaces.get(interface).with_context(place)?;
            ethernet(interface.link)?;
            return Ok(Some(Frame::new(&data, original, interface.time(ticks))));
        }
    }
}

impl Interface {
    fn of(block: &InterfaceDescriptionBlock) -> Interface {
        let resolution = block.options.iter().find_map(|option| match option {
            InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
            _ => None,
        });
        // The high bit tells powers of two from powers of ten; microseconds unless said.
        let per_second = match resolution.unwrap_or(6) {
            bits if bits & 0x80 != 0 => 1u64.checked_shl((bits & 0x7f).into()),
            digits => 10u64.checked_pow(digits.into()),
        };
        Interface { link: block.linktype, per_second: per_second.unwrap_or(u64::MAX) }
    }

    /// The library takes every timestamp for nanoseconds, whatever the interface says.
    fn time(&self, ticks: u64) -> Duration {
        let rest = u128::from(ticks % self.per_second) * 1_000_000_000 / u128::from(self.per_second);
        Duration::new(ticks / self.per_second, u32::try_from(rest).unwrap_or_default())
    }
}
