//! What stands behind IP.

use etherparse::{TcpHeader, UdpHeader};

use super::Behind;
use super::layer::{Layer, hex, unknown};

const FLAGS: [(&str, &str); 8] = [
    ("F", "FIN"),
    ("S", "SYN"),
    ("R", "RST"),
    ("P", "PSH"),
    ("A", "ACK"),
    ("U", "URG"),
    ("E", "ECE"),
    ("C", "CWR"),
];

fn built(protocol: u8, header: &[u8], behind: &Behind) -> Behind {
    Behind { bytes: [header, &behind.bytes].concat(), protocol: Some(protocol), ..Behind::default() }
}

pub fn tcp(layer: &mut Layer, behind: &Behind) -> Result<Behind, String> {
    let (source, destination) = ports(layer, 80)?;
    let mut header =
        TcpHeader::new(source, destination, layer.number("seq", 1)?, layer.number("window", 65535)?);
    header.acknowledgment_number = layer.number("ack", 0)?;
    let mut options = layer.bytes("options")?;
    options.resize(options.len().next_multiple_of(4), 0);
    header.set_options_raw(&options).map_err(|_| "options: at most 40 bytes fit in: write fewer")?;
    let mut bytes = header.to_bytes().to_vec();
    bytes[12] = layer.number("doff", bytes[12] >> 4)? << 4;
    bytes[13] = layer.take("flags", tcp_flags)?.unwrap_or(0b10);
    Ok(built(6, &bytes, behind))
}

fn tcp_flags(text: &str) -> Result<u8, String> {
    let mut mask = 0;
    for flag in text.split(',').filter(|flag| !flag.is_empty()) {
        match FLAGS.iter().position(|(letter, name)| *letter == flag || *name == flag) {
            Some(bit) => mask |= 1 << bit,
            None => return Err(unknown("has no such flag", flag, &FLAGS.map(|(_, name)| name))),
        }
    }
    Ok(mask)
}

pub fn udp(layer: &mut Layer, behind: &Behind) -> Result<Behind, String> {
    let (source_port, destination_port) = ports(layer, 53)?;
    let length = layer.number("len", (8 + behind.bytes.len()) as u16)?;
    let header = UdpHeader { source_port, destination_port, length, checksum: 0 };
    Ok(built(17, &header.to_bytes(), behind))
}

/// Ports first, then what no rule reads.
pub fn ported(layer: &mut Layer, behind: &Behind) -> Result<Behind, String> {
    let (protocol, length) = match layer.name.as_str() {
        "dccp" => (33, 12),
        "sctp" => (132, 12),
        _ => (136, 8),
    };
    let (source, destination) = ports(layer, 80)?;
    let mut header = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    header.resize(length, 0);
    Ok(built(protocol, &header, behind))
}

fn ports(layer: &mut Layer, destination: u16) -> Result<(u16, u16), String> {
    Ok((layer.number("sport", 40_000)?, layer.number("dport", destination)?))
}

pub fn icmp(layer: &mut Layer, behind: &Behind) -> Result<Behind, String> {
    let (protocol, echo) = if layer.name == "icmp" { (1, 8) } else { (58, 128) };
    let header = [layer.number("type", echo)?, layer.number("code", 0u8)?, 0, 0, 0, 1, 0, 1];
    Ok(built(protocol, &header, behind))
}

pub fn gre(layer: &mut Layer, behind: &Behind) -> Result<Behind, String> {
    let inner: u16 = match layer.given_number("type")? {
        Some(number) => number,
        None => behind.ether_type()?,
    };
    Ok(built(47, &[&[0, 0][..], &inner.to_be_bytes()].concat(), behind))
}

pub fn esp(layer: &mut Layer, behind: &Behind) -> Result<Behind, String> {
    let (spi, sequence) = (layer.number("spi", 256u32)?, layer.number("seq", 1u32)?);
    Ok(built(50, &[spi.to_be_bytes(), sequence.to_be_bytes()].concat(), behind))
}

/// The last layer: bytes as they are, or as many zeros.
pub fn payload(layer: &mut Layer, behind: &Behind) -> Result<Behind, String> {
    if !behind.name.is_empty() {
        return Err(format!("{} stands behind it: write payload last", behind.name));
    }
    let digits = layer.bare();
    let mut bytes = hex(&digits).map_err(|error| format!("\"{digits}\" {error}"))?;
    bytes.resize(bytes.len() + usize::from(layer.number("size", 0u16)?), 0);
    Ok(Behind { bytes, ..Behind::default() })
}
