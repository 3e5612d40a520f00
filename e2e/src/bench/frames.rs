//! The packets of all rows: 100 bytes, IPv4 without options.

use etherparse::PacketBuilder;

use crate::packets::place;

pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const DESTINATION: [u8; 4] = [198, 51, 100, 77];

pub fn udp(source: [u8; 4], port: u16) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(MAC, MAC).ipv4(source, DESTINATION, 64).udp(40_000, port);
    written(|out| builder.write(out, &[0; 58]))
}

pub fn tcp(destination: [u8; 4]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(MAC, MAC)
        .ipv4(place::CLIENT4.octets(), destination, 64)
        .tcp(40_000, 80, 1, 1024)
        .ack(1);
    written(|out| builder.write(out, &[0; 46]))
}

/// As long, but for the longer header.
pub fn udp_v6(port: u16) -> Vec<u8> {
    let (source, destination) = (place::CLIENT6.octets(), place::NODE6.octets());
    let builder = PacketBuilder::ethernet2(MAC, MAC).ipv6(source, destination, 64).udp(40_000, port);
    written(|out| builder.write(out, &[0; 58]))
}

fn written<E: std::fmt::Debug>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut frame = Vec::new();
    write(&mut frame).expect("the packet is short");
    frame
}
