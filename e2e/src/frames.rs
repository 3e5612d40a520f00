//! Frames of floods and of tests that need nothing special.

use etherparse::PacketBuilder;

/// A UDP datagram of 18 payload bytes: the shortest Ethernet frame.
pub fn udp(
    from: [u8; 6],
    to: [u8; 6],
    source: [u8; 4],
    destination: [u8; 4],
    sport: u16,
    dport: u16,
) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(from, to).ipv4(source, destination, 64).udp(sport, dport);
    write(|out| builder.write(out, &[0; 18]))
}

/// The first packet of a TCP connection.
pub fn syn(
    from: [u8; 6],
    to: [u8; 6],
    source: [u8; 4],
    destination: [u8; 4],
    sport: u16,
    dport: u16,
) -> Vec<u8> {
    let builder =
        PacketBuilder::ethernet2(from, to).ipv4(source, destination, 64).tcp(sport, dport, 1, 1024).syn();
    write(|out| builder.write(out, &[]))
}

/// A UDP datagram behind an 802.1Q tag.
pub fn tagged_udp(
    from: [u8; 6],
    to: [u8; 6],
    vlan: u16,
    source: [u8; 4],
    destination: [u8; 4],
    dport: u16,
) -> Vec<u8> {
    let vlan = etherparse::VlanId::try_new(vlan).expect("a VLAN id has 12 bits");
    let builder =
        PacketBuilder::ethernet2(from, to).single_vlan(vlan).ipv4(source, destination, 64).udp(4000, dport);
    write(|out| builder.write(out, &[0; 18]))
}

/// A later fragment of a UDP datagram.
pub fn later_fragment(from: [u8; 6], to: [u8; 6], source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let mut frame = udp(from, to, source, destination, 4000, 5000);
    // Fragment offset 185 × 8 bytes; the checksum is mended below.
    frame[20] = 0;
    frame[21] = 185;
    frame[24] = 0;
    frame[25] = 0;
    let sum: u32 = frame[14..34].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !((folded & 0xffff) + (folded >> 16)) as u16;
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    frame
}

fn write(
    build: impl FnOnce(&mut Vec<u8>) -> Result<(), etherparse::err::packet::BuildWriteError>,
) -> Vec<u8> {
    let mut frame = Vec::with_capacity(128);
    build(&mut frame).expect("a vector takes any frame");
    frame
}
