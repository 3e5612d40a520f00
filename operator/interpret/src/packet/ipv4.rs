//! IPv4 (RFC 791).

use std::net::Ipv4Addr;

use super::{Fragment, Ip, Options, Packet, transport};

const SHORTEST: usize = 20;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;
/// Options of one byte.
const END: u8 = 0;
const NO_OPERATION: u8 = 1;

/// `bytes`: from the IP header to the end of the frame.
pub(super) fn read(bytes: &[u8], packet: &mut Packet) {
    let start = packet.headers;
    packet.headers += SHORTEST;
    let Some((header, header_length)) = intact(bytes) else {
        packet.malformed = true;
        return;
    };
    packet.headers += header_length - SHORTEST;
    let total_length = u16::from_be_bytes([header[2], header[3]]);
    packet.ip = Some(Ip {
        source: Ipv4Addr::from(<[u8; 4]>::try_from(&header[12..16]).expect("four bytes")).into(),
        destination: Ipv4Addr::from(<[u8; 4]>::try_from(&header[16..20]).expect("four bytes")).into(),
        hop_limit: header[8],
        traffic_class: header[1],
        length: total_length,
    });
    let options = &bytes[SHORTEST..header_length];
    packet.options = Some(Options { present: !options.is_empty(), kinds: option_kinds(options) });
    let protocol = header[9];
    packet.protocol = Some(protocol);
    packet.fragment = fragment(u16::from_be_bytes([header[6], header[7]]));

    let total_length = usize::from(total_length);
    if total_length < header_length || total_length > bytes.len() {
        packet.malformed = true;
    }
    packet.layers.end = Some(start + total_length.min(bytes.len()));
    let end = total_length.clamp(header_length, bytes.len());
    transport::read(protocol, &bytes[header_length..end], packet);
}

/// The first 20 bytes and the length with options.
fn intact(bytes: &[u8]) -> Option<(&[u8; SHORTEST], usize)> {
    let header = bytes.first_chunk()?;
    let length = usize::from(header[0] & 0x0f) * 4;
    (header[0] >> 4 == 4 && length >= SHORTEST && length <= bytes.len()).then_some((header, length))
}

fn option_kinds(mut options: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some((&kind, rest)) = options.split_first() {
        options = match kind {
            END => break,
            NO_OPERATION => rest,
            _ => {
                kinds.push(kind);
                let length = rest.first().filter(|length| **length >= 2);
                let Some(behind) = length.and_then(|length| options.get(usize::from(*length)..)) else {
                    break;
                };
                behind
            }
        };
    }
    kinds
}

fn fragment(field: u16) -> Fragment {
    match (field & OFFSET, field & MORE_FRAGMENTS != 0) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First { tiny: false },
        (offset, _) => Fragment::Later { tiny: offset == 1 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fragment_field_tells_the_kind() {
        for (field, expected) in [
            (0x0000, Fragment::Whole),
            (0x4000, Fragment::Whole),
            (0x8000, Fragment::Whole),
            (0x2000, Fragment::First { tiny: false }),
            (0x2001, Fragment::Later { tiny: true }),
            (0x0001, Fragment::Later { tiny: true }),
            (0x0002, Fragment::Later { tiny: false }),
            (0x1fff, Fragment::Later { tiny: false }),
        ] {
            assert_eq!(fragment(field), expected, "{field:#06x}");
        }
    }
}
