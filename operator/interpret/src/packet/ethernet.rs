//! Ethernet II and 802.3, with up to two VLAN tags (IEEE 802.1Q).

use sluice_policy::NO_VLAN;

use super::{Macs, Packet, ipv4, ipv6, u16_at};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// Customer tag, service tag, and the service tag that came before the standard.
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// What a tag holds beside priority and drop eligibility.
const VLAN_ID: u16 = 0x0fff;
/// Destination, source, type.
const HEADER: usize = 14;
const TAG: usize = 4;

pub(super) fn read(frame: &[u8], packet: &mut Packet) {
    packet.headers = HEADER;
    let Some((header, mut rest)) = frame.split_at_checked(HEADER) else {
        packet.malformed = true;
        return;
    };
    packet.macs = header
        .first_chunk()
        .zip(header[6..].first_chunk())
        .map(|(destination, source)| Macs { source: *source, destination: *destination });
    let mut ether_type = u16::from_be_bytes([header[12], header[13]]);
    for vlan in [&mut packet.outer_vlan, &mut packet.inner_vlan] {
        if !TAGS.contains(&ether_type) {
            *vlan = Some(NO_VLAN);
            continue;
        }
        packet.headers += TAG;
        let (Some(control), Some(inner), Some(behind)) = (u16_at(rest, 0), u16_at(rest, 2), rest.get(TAG..))
        else {
            packet.malformed = true;
            return;
        };
        *vlan = Some(control & VLAN_ID);
        (ether_type, rest) = (inner, behind);
    }
    packet.ether_type = Some(ether_type);
    packet.layers.network = Some(packet.headers);
    packet.layers.end = Some(frame.len());
    match ether_type {
        IPV4 => ipv4::read(rest, packet),
        IPV6 => ipv6::read(rest, packet),
        _ => {}
    }
}
