//! The headers above IP, as far as rules read them: TCP (RFC 9293), UDP (RFC 768), UDP-Lite (RFC 3828), SCTP (RFC 9260),
//! DCCP (RFC 4340), ICMP (RFC 792), ICMPv6 (RFC 4443).

use std::net::IpAddr;

use super::{Fragment, Packet, Ports, Transport, protocol, u16_at};

/// `payload`: from the upper-layer header to the end of the IP packet. Puts layer-4 fields into the packet, and what is
/// wrong with them.
pub(super) fn read(number: u8, payload: &[u8], packet: &mut Packet) {
    if packet.is_later_fragment() {
        return;
    }
    let start = packet.headers;
    packet.layers.transport = Some(start);
    let is_v4 = packet.ip.is_some_and(|ip| ip.source.is_ipv4());
    let Some(length) = header_length(number, is_v4) else {
        packet.layers.payload = Some(start);
        return;
    };
    packet.headers += length;
    match payload.get(..length).and_then(|header| fields(number, header, payload.len())) {
        Some(transport) => {
            packet.transport = transport;
            packet.layers.payload = whole_length(number, payload).map(|length| start + length);
            if number == protocol::UDP && packet.fragment == Fragment::Whole && !udp_length_fits(payload) {
                packet.malformed = true;
            }
        }
        // The header does not end before the packet does.
        None => match packet.fragment {
            Fragment::First { .. } => packet.fragment = Fragment::First { tiny: true },
            _ => packet.malformed = true,
        },
    }
}

/// The shortest header; `None`: a protocol without fields that rules could match.
fn header_length(number: u8, is_v4: bool) -> Option<usize> {
    match (number, is_v4) {
        (protocol::TCP, _) => Some(20),
        (protocol::UDP | protocol::UDP_LITE, _) => Some(8),
        (protocol::SCTP | protocol::DCCP, _) => Some(12),
        (protocol::ICMP, true) => Some(8),
        (protocol::ICMPV6, false) => Some(4),
        _ => None,
    }
}

/// Of a header with its options. `None`: one that says to be shorter than the shortest.
fn whole_length(number: u8, header: &[u8]) -> Option<usize> {
    match number {
        protocol::TCP => Some(usize::from(header[12] >> 4) * 4),
        protocol::SCTP => Some(12),
        protocol::DCCP => Some(usize::from(header[4]) * 4).filter(|length| *length >= 12),
        _ => Some(8),
    }
}

/// `available`: bytes of the packet from the header on. `None`: TCP options do not fit in.
fn fields(number: u8, header: &[u8], available: usize) -> Option<Transport> {
    match number {
        protocol::TCP => {
            let length = usize::from(header[12] >> 4) * 4;
            let is_whole = length >= header.len() && length <= available;
            is_whole.then_some(Transport::Tcp { ports: ports(header)?, flags: header[13] })
        }
        protocol::ICMP | protocol::ICMPV6 => Some(Transport::Icmp { icmp_type: header[0], code: header[1] }),
        _ => Some(Transport::Ported(ports(header)?)),
    }
}

fn ports(payload: &[u8]) -> Option<Ports> {
    Some(Ports { source: u16_at(payload, 0)?, destination: u16_at(payload, 2)? })
}

/// The length field counts the header; 0, which IPv6 jumbograms use, is no length that a frame could have.
fn udp_length_fits(payload: &[u8]) -> bool {
    u16_at(payload, 4).is_some_and(|length| (8..=payload.len()).contains(&usize::from(length)))
}

/// Whether a datagram of this protocol has ports, as far as its later fragments tell.
pub(crate) fn may_have_ports(number: Option<u8>) -> bool {
    number.is_none_or(|number| {
        [protocol::TCP, protocol::UDP, protocol::UDP_LITE, protocol::SCTP, protocol::DCCP].contains(&number)
    })
}

/// Whether a datagram of this protocol has TCP flags.
pub(crate) fn may_have_flags(number: Option<u8>) -> bool {
    number.is_none_or(|number| number == protocol::TCP)
}

/// Whether a datagram of this protocol is ICMP of the family that the address is of.
pub(crate) fn may_be_icmp(number: Option<u8>, address: IpAddr) -> bool {
    let icmp = if address.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 };
    number.is_none_or(|number| number == icmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cut capture is sure of its verdict exactly when all of this was captured.
    #[test]
    fn headers_end_where_the_last_field_is_read() {
        let v4 = |number: u8, payload: &[u8]| {
            let mut frame = vec![0; 34];
            frame[12..14].copy_from_slice(&[8, 0]);
            frame[14..18].copy_from_slice(&[0x45, 0, 0, (20 + payload.len()) as u8]);
            frame[23] = number;
            frame.extend(payload);
            Packet::parse(&frame).headers
        };
        let mut tcp = [0; 40];
        tcp[12] = 10 << 4;
        assert_eq!(v4(protocol::TCP, &tcp), 54, "options are not read");
        assert_eq!(v4(protocol::UDP, &[0; 30]), 42);
        assert_eq!(v4(47, &[0; 30]), 34, "GRE has no fields");
        assert_eq!(v4(protocol::TCP, &[0; 4]), 54, "also where the packet has less");
        assert_eq!(Packet::parse(&[0; 60]).headers, 14, "neither IP nor a tag");
    }
}
