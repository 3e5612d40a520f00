//! Which patterns of the plan a test packet happens to have.

use sluice_abi::{PATTERNS_OF_GROUP, Pattern, PatternLayer, Row, dimension};

use super::classify::Tables;
use super::probe::Packet;

const ETHERNET: usize = 14;

/// The row of each group in use.
pub fn rows<'t>(tables: &'t Tables, packet: &'t Packet) -> impl Iterator<Item = Row> + 't {
    let groups = tables.patterns.chunks(PATTERNS_OF_GROUP).enumerate();
    let used = groups.filter(|(group, _)| tables.uses(dimension::PAYLOADS + group));
    used.map(|(group, patterns)| {
        let frame = packet.frame();
        let bits = (0..)
            .zip(patterns)
            .fold(0, |bits, (bit, one)| bits | u32::from(holds(one, packet, &frame)) << bit);
        tables.direct_row(dimension::payload_group(group) + bits)
    })
}

/// The packet is whole, untagged and fills its frame.
fn holds(pattern: &Pattern, packet: &Packet, frame: &[u8]) -> bool {
    let transport = ETHERNET + packet.network_header();
    let start = match pattern.layer {
        layer if layer == PatternLayer::L2 as u32 => Some(0),
        layer if layer == PatternLayer::L3 as u32 => Some(ETHERNET),
        layer if layer == PatternLayer::L4 as u32 => Some(transport),
        _ => packet.transport_header().map(|length| transport + length),
    };
    let (value, mask): ([u8; 16], [u8; 16]) = (bytemuck::cast(pattern.value), bytemuck::cast(pattern.mask));
    let own =
        start.and_then(|start| frame.get(start + pattern.offset as usize..)?.get(..pattern.length as usize));
    own.is_some_and(|own| {
        own.iter().zip(value.iter().zip(mask)).all(|(own, (value, mask))| own & mask == *value)
    })
}
