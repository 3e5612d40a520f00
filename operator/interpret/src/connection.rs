//! Connections of the node's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::packet::{Packet, Ports, Transport, protocol};

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A TCP connection that both ends know of, or a UDP socket that is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// 6 TCP, 17 UDP.
    pub protocol: u8,
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

impl Connection {
    /// The one that would take the packet. What is broken, a later fragment, or begins a connection, none takes.
    pub(crate) fn of(packet: &Packet) -> Option<Connection> {
        if packet.malformed {
            return None;
        }
        let connection = match packet.transport {
            Transport::Icmp { icmp_type, .. } => quoted(packet, icmp_type)?,
            Transport::Tcp { flags, .. } if flags & (SYN | ACK) == SYN => return None,
            _ => replied_by(packet)?,
        };
        [protocol::TCP, protocol::UDP].contains(&connection.protocol).then_some(connection)
    }
}

fn replied_by(packet: &Packet) -> Option<Connection> {
    let (ip, protocol, ports) = (packet.ip?, packet.protocol?, packet.ports()?);
    Some(Connection {
        protocol,
        local: SocketAddr::new(ip.destination, ports.destination),
        remote: SocketAddr::new(ip.source, ports.source),
    })
}

/// An ICMP error is about a packet that the node has sent, of which it quotes the beginning (RFC 792, RFC 4443).
fn quoted(packet: &Packet, icmp_type: u8) -> Option<Connection> {
    let node = packet.ip?.destination;
    let bytes = packet.frame.get(packet.layers.payload?..packet.layers.end?)?;
    let (protocol, source, destination, length) = match node {
        IpAddr::V4(_) if [3, 11, 12].contains(&icmp_type) => v4(bytes)?,
        IpAddr::V6(_) if (1..=4).contains(&icmp_type) => v6(bytes)?,
        _ => return None,
    };
    let ports = bytes.get(length..)?.first_chunk::<4>()?;
    let ports = Ports {
        source: u16::from_be_bytes([ports[0], ports[1]]),
        destination: u16::from_be_bytes([ports[2], ports[3]]),
    };
    (source == node).then(|| Connection {
        protocol,
        local: SocketAddr::new(source, ports.source),
        remote: SocketAddr::new(destination, ports.destination),
    })
}

/// Protocol, source, destination and length of the header; `None` for a later fragment.
fn v4(bytes: &[u8]) -> Option<(u8, IpAddr, IpAddr, usize)> {
    let header = bytes.first_chunk::<20>()?;
    let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(*header[at..].first_chunk::<4>()?)));
    let length = usize::from(header[0] & 0x0f) * 4;
    let is_later = header[6] & 0x1f != 0 || header[7] != 0;
    (header[0] >> 4 == 4 && length >= 20 && !is_later).then_some(())?;
    Some((header[9], address(12)?, address(16)?, length))
}

/// Likewise. Behind extension headers nobody looks.
fn v6(bytes: &[u8]) -> Option<(u8, IpAddr, IpAddr, usize)> {
    let header = bytes.first_chunk::<40>()?;
    let address = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(*header[at..].first_chunk::<16>()?)));
    (header[0] >> 4 == 6).then_some(())?;
    Some((header[6], address(8)?, address(24)?, 40))
}
