//! Bytes at fixed places.

use sluice_policy::{Layer, PayloadMatch};

use crate::packet::Packet;

/// `takes_later`: what a later fragment lacks counts as there.
pub fn holds(wanted: &PayloadMatch, packet: &Packet, takes_later: bool) -> bool {
    if wanted.from.is_layer4() && packet.is_later_fragment() {
        return takes_later;
    }
    let mut masked = wanted.value.iter().zip(&wanted.mask);
    packet.bytes_at(wanted).is_some_and(|own| {
        own.iter().all(|own| masked.next().is_some_and(|(value, mask)| own & mask == *value))
    })
}

impl Packet<'_> {
    /// What the packet has at the place, if it has all of it.
    pub fn bytes_at(&self, wanted: &PayloadMatch) -> Option<&[u8]> {
        let layer = self.frame.get(..self.end_of(wanted.from)?)?.get(self.start_of(wanted.from)?..)?;
        layer.get(wanted.offset.into()..)?.get(..wanted.value.len())
    }

    /// Where in the frame the place ends, whether the packet reaches that far or not.
    pub fn place_ends(&self, wanted: &PayloadMatch) -> usize {
        self.start_of(wanted.from).map_or(0, |start| start + usize::from(wanted.offset) + wanted.value.len())
    }

    fn start_of(&self, layer: Layer) -> Option<usize> {
        match layer {
            Layer::L2 => Some(0),
            Layer::L3 => self.layers.network,
            Layer::L4 => self.layers.transport,
            Layer::Payload => self.layers.payload,
        }
    }

    fn end_of(&self, layer: Layer) -> Option<usize> {
        if layer == Layer::L2 { Some(self.frame.len()) } else { self.layers.end }
    }
}
