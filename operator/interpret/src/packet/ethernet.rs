//! Ethernet II and 802.3, with up to two VLAN tags (IEEE 802.1Q).

use super::{Packet, ipv4, ipv6, u16_at};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// Customer tag, service tag, and the service tag that came before the standard.
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const MOST_TAGS: usize = 2;
/// Destination, source, type.
const HEADER: usize = 14;
const TAG: usize = 4;

pub(super) fn read(frame: &[u8], packet: &mut Packet) {
    packet.headers = HEADER;
    let Some((header, mut rest)) = frame.split_at_checked(HEADER) else {
        packet.malformed = true;
        return;
    };
    packet.destination_mac.copy_from_slice(&header[..6]);
    let mut ether_type = u16::from_be_bytes([header[12], header[13]]);
    for _ in 0..MOST_TAGS {
        if !TAGS.contains(&ether_type) {
            break;
        }
        packet.headers += TAG;
        let (Some(inner), Some(behind)) = (u16_at(rest, 2), rest.get(TAG..)) else {
            packet.malformed = true;
            return;
        };
        (ether_type, rest) = (inner, behind);
    }
    packet.ether_type = Some(ether_type);
    match ether_type {
        IPV4 => ipv4::read(rest, packet),
        IPV6 => ipv6::read(rest, packet),
        _ => {}
    }
}
