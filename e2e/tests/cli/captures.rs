//! Capture files, written from the formats' specifications and not by the library that reads them.

/// Link type of Ethernet.
pub const ETHERNET: u32 = 1;
/// What `tcpdump -i any` writes.
pub const LINUX_COOKED: u32 = 113;

#[derive(Clone, Copy, Debug)]
pub struct Format {
    pub nanoseconds: bool,
    pub big_endian: bool,
    pub snap: usize,
    pub link: u32,
}

impl Default for Format {
    fn default() -> Self {
        Format { nanoseconds: false, big_endian: false, snap: 262_144, link: ETHERNET }
    }
}

impl Format {
    fn u16(self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u32(self, value: usize) -> [u8; 4] {
        let value = value as u32;
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub fn pcap_header(self) -> Vec<u8> {
        let magic = if self.nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut header = self.u32(magic).to_vec();
        header.extend([self.u16(2), self.u16(4)].concat());
        header.extend([0; 8]);
        header.extend([self.u32(self.snap), self.u32(self.link as usize)].concat());
        header
    }

    pub fn pcap_packet(self, frame: &[u8]) -> Vec<u8> {
        let captured = &frame[..frame.len().min(self.snap)];
        let lengths = [self.u32(captured.len()), self.u32(frame.len())].concat();
        // Nearly a second: a fraction that only one of the two resolutions takes.
        let fraction = if self.nanoseconds { 999_999_999 } else { 999_999 };
        [&self.u32(1_700_000_000)[..], &self.u32(fraction), &lengths, captured].concat()
    }

    pub fn pcap(self, frames: &[Vec<u8>]) -> Vec<u8> {
        let packets = frames.iter().flat_map(|frame| self.pcap_packet(frame));
        self.pcap_header().into_iter().chain(packets).collect()
    }

    pub fn pcapng_header(self) -> Vec<u8> {
        let section = [&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &[0xff; 8]].concat();
        let interface = [&self.u16(self.link as u16)[..], &[0; 2], &self.u32(self.snap)].concat();
        [self.block(0x0a0d_0d0a, &section), self.block(1, &interface)].concat()
    }

    pub fn pcapng_packet(self, frame: &[u8]) -> Vec<u8> {
        let captured = &frame[..frame.len().min(self.snap)];
        let lengths = [self.u32(captured.len()), self.u32(frame.len())].concat();
        self.block(6, &[&[0; 12][..], &lengths, captured].concat())
    }

    /// A packet without interface and time.
    pub fn pcapng_simple(self, frame: &[u8]) -> Vec<u8> {
        self.block(3, &[&self.u32(frame.len())[..], &frame[..frame.len().min(self.snap)]].concat())
    }

    /// Enhanced and simple packets in turn, and a block that no reader needs in between.
    pub fn pcapng(self, frames: &[Vec<u8>]) -> Vec<u8> {
        let packets = frames.iter().enumerate().flat_map(|(index, frame)| match index % 2 {
            0 => self.pcapng_packet(frame),
            _ => [self.block(0x0000_0bad, b"custom!!"), self.pcapng_simple(frame)].concat(),
        });
        self.pcapng_header().into_iter().chain(packets).collect()
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let length = self.u32(12 + body.len() + padding.len());
        [&self.u32(kind as usize)[..], &length, body, &padding, &length].concat()
    }
}
