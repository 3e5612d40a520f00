//! Ethernet with up to two VLAN tags. A third is an EtherType like any other.

use super::Broken;
use crate::frame::Frame;
use crate::packet::Packet;

const MOST_TAGS: usize = 2;

#[repr(C, packed)]
struct Ethernet {
    destination: [u8; 6],
    source: [u8; 6],
    ether_type: u16,
}

#[repr(C, packed)]
struct Tag {
    control: u16,
    ether_type: u16,
}

#[inline(always)]
pub fn read(frame: Frame, packet: &mut Packet) -> Result<(), Broken> {
    let header = frame.header::<Ethernet>(0).ok_or(Broken)?;
    // SAFETY: the header lies within the frame; so does the tag below.
    let mut ether_type = u16::from_be(unsafe { (*header).ether_type });
    let mut offset = size_of::<Ethernet>();
    // One beside the frame is one of them.
    let most = if frame.outer_tag().is_some() { MOST_TAGS - 1 } else { MOST_TAGS };
    for number in 0..MOST_TAGS {
        if number == most || !is_tag(ether_type) {
            break;
        }
        let tag = frame.header::<Tag>(offset).ok_or(Broken)?;
        ether_type = u16::from_be(unsafe { (*tag).ether_type });
        offset += size_of::<Tag>();
    }
    packet.ether_type = ether_type as u32;
    packet.network = offset as u32;
    Ok(())
}

/// 802.1Q, 802.1ad, and the tag that came before it.
#[inline(always)]
pub fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, 0x8100 | 0x88a8 | 0x9100)
}
