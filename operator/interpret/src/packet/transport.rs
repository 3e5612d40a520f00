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
    let is_v4 = packet.ip.is_some_and(|ip| ip.source.is_ipv4());
    match fields(number, is_v4, payload) {
        Some(Ok(transport)) => {
            packet.transport = transport;
            if number == protocol::UDP && packet.fragment == Fragment::Whole && !udp_length_fits(payload) {
                packet.malformed = true;
            }
        }
        Some(Err(CutOff)) => match packet.fragment {
            Fragment::First { .. } => packet.fragment = Fragment::First { tiny: true },
            _ => packet.malformed = true,
        },
        None => {}
    }
}

/// The header does not end before the packet does.
struct CutOff;

/// `None`: a protocol without fields that rules could match.
fn fields(number: u8, is_v4: bool, payload: &[u8]) -> Option<Result<Transport, CutOff>> {
    let fields = match (number, is_v4) {
        (protocol::TCP, _) => tcp(payload),
        (protocol::UDP | protocol::UDP_LITE, _) => ported(payload, 8),
        (protocol::SCTP | protocol::DCCP, _) => ported(payload, 12),
        (protocol::ICMP, true) => icmp(payload, 8),
        (protocol::ICMPV6, false) => icmp(payload, 4),
        _ => return None,
    };
    Some(fields.ok_or(CutOff))
}

fn tcp(payload: &[u8]) -> Option<Transport> {
    let header = payload.first_chunk::<20>()?;
    let length = usize::from(header[12] >> 4) * 4;
    let is_whole = length >= header.len() && length <= payload.len();
    is_whole.then_some(Transport::Tcp { ports: ports(payload)?, flags: header[13] })
}

fn ported(payload: &[u8], header: usize) -> Option<Transport> {
    let whole = payload.get(..header)?;
    Some(Transport::Ported(ports(whole)?))
}

fn icmp(payload: &[u8], header: usize) -> Option<Transport> {
    let whole = payload.get(..header)?;
    Some(Transport::Icmp { icmp_type: whole[0], code: whole[1] })
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
