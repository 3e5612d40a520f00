//! Connections of the node's own.

use std::net::SocketAddr;

use crate::packet::{Packet, Transport, protocol};

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
        let (ip, protocol, ports) = (packet.ip?, packet.protocol?, packet.ports()?);
        let begins = matches!(packet.transport, Transport::Tcp { flags, .. } if flags & (SYN | ACK) == SYN);
        let is_known = [protocol::TCP, protocol::UDP].contains(&protocol);
        (is_known && !begins && !packet.malformed).then(|| Connection {
            protocol,
            local: SocketAddr::new(ip.destination, ports.destination),
            remote: SocketAddr::new(ip.source, ports.source),
        })
    }
}
