//! IPv6 and its extension headers (RFC 8200; Authentication RFC 4302, Mobility RFC 6275, HIP RFC 7401, Shim6 RFC 5533).

use std::net::Ipv6Addr;

use super::{Fragment, Ip, Packet, transport, u16_at};

const HEADER: usize = 40;
const MOST_EXTENSIONS: usize = 8;
/// How an extension header begins.
const NEXT_AND_LENGTH: usize = 2;

/// `bytes`: from the IP header to the end of the frame.
pub(super) fn read(bytes: &[u8], packet: &mut Packet) {
    packet.headers += HEADER;
    let Some(header) = bytes.first_chunk::<HEADER>().filter(|header| header[0] >> 4 == 6) else {
        packet.malformed = true;
        return;
    };
    let next_header = header[6];
    let payload_length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let behind = &bytes[HEADER..];
    if payload_length > behind.len() {
        packet.malformed = true;
    }
    // A jumbogram (RFC 2675) has its length in the hop-by-hop header; a frame that holds it ends where it ends.
    let is_jumbogram = payload_length == 0 && Extension::of(next_header) == Some(Extension::HopByHop);
    let end = if is_jumbogram { behind.len() } else { payload_length.min(behind.len()) };
    let length = HEADER + if is_jumbogram { behind.len() } else { payload_length };
    packet.ip = Some(Ip {
        source: Ipv6Addr::from(<[u8; 16]>::try_from(&header[8..24]).expect("sixteen bytes")).into(),
        destination: Ipv6Addr::from(<[u8; 16]>::try_from(&header[24..40]).expect("sixteen bytes")).into(),
        hop_limit: header[7],
        traffic_class: (u16::from_be_bytes([header[0], header[1]]) >> 4) as u8,
        length: u16::try_from(length).unwrap_or(u16::MAX),
    });
    packet.extensions = Some(Vec::new());
    packet.layers.end = Some(packet.headers + end);
    match walk(next_header, &behind[..end], packet) {
        Ok(Upper::Readable(protocol, payload)) => {
            packet.protocol = Some(protocol);
            transport::read(protocol, payload, packet);
        }
        Ok(Upper::InFirstFragment(protocol)) => packet.protocol = protocol,
        Err(BrokenChain) => packet.malformed = true,
    }
}

/// A header is cut off, or there are more than anyone needs.
struct BrokenChain;

enum Upper<'p> {
    Readable(u8, &'p [u8]),
    /// The upper-layer header is in another packet; so is its number if extension headers are fragmented too.
    InFirstFragment(Option<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    HopByHop,
    Fragment,
    Authentication,
    /// Routing, Destination Options, Mobility, HIP, Shim6.
    Other,
}

impl Extension {
    fn of(number: u8) -> Option<Extension> {
        match number {
            0 => Some(Extension::HopByHop),
            44 => Some(Extension::Fragment),
            51 => Some(Extension::Authentication),
            43 | 60 | 135 | 139 | 140 => Some(Extension::Other),
            _ => None,
        }
    }

    fn length(self, length_field: u8) -> usize {
        match self {
            Extension::Fragment => 8,
            Extension::Authentication => (usize::from(length_field) + 2) * 4,
            Extension::HopByHop | Extension::Other => (usize::from(length_field) + 1) * 8,
        }
    }
}

/// Follows the chain to the upper layer and notes on the way which fragment this is.
fn walk<'p>(mut number: u8, mut rest: &'p [u8], packet: &mut Packet) -> Result<Upper<'p>, BrokenChain> {
    for _ in 0..MOST_EXTENSIONS {
        let Some(extension) = Extension::of(number) else {
            return Ok(Upper::Readable(number, rest));
        };
        packet.headers += NEXT_AND_LENGTH;
        let &[next, length_field, ..] = rest else { return Err(BrokenChain) };
        let length = extension.length(length_field);
        packet.headers += length - NEXT_AND_LENGTH;
        let (header, behind) = rest.split_at_checked(length).ok_or(BrokenChain)?;
        packet.extensions.get_or_insert_default().push(number);
        (number, rest) = (next, behind);
        if extension == Extension::Fragment {
            let field = u16_at(header, 2).ok_or(BrokenChain)?;
            match (field >> 3, field & 1 != 0) {
                // Atomic (RFC 6946): a packet of its own.
                (0, false) => {}
                (0, true) => packet.fragment = Fragment::First { tiny: false },
                (offset, _) => {
                    packet.fragment = Fragment::Later { tiny: offset == 1 };
                    return Ok(Upper::InFirstFragment(Extension::of(next).is_none().then_some(next)));
                }
            }
        }
    }
    match Extension::of(number) {
        None => Ok(Upper::Readable(number, rest)),
        Some(_) => Err(BrokenChain),
    }
}
