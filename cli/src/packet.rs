//! Packets described in words: `eth / ip src=192.0.2.1 / tcp dport=443 flags=S`.
//!
//! ```text
//! packet = layer { "/" layer }
//! layer  = name { word }
//! word   = key "=" value | hex digits (of payload)
//! ```
//!
//! Each layer is built around those behind it, so lengths, types and next headers fit unless they are given. Checksums
//! above IP are left zero: nothing reads them.

mod extension;
mod ip;
mod layer;
mod link;
mod text;
mod transport;

use layer::Layer;

/// Of every kind of layer, in the order in which they may stand.
const NAMES: [&str; 20] = [
    "eth", "vlan", "arp", "ip", "ip6", "hbh", "dest", "routing", "frag", "ah", "tcp", "udp", "udplite",
    "sctp", "dccp", "icmp", "icmp6", "gre", "esp", "payload",
];

/// What is behind a layer, and how a layer in front of it names that.
#[derive(Debug, Default)]
struct Behind {
    bytes: Vec<u8>,
    ether_type: Option<u16>,
    protocol: Option<u8>,
    /// Of the layer just behind.
    name: String,
}

/// The frame, Ethernet header first; `eth` may be left out.
///
/// # Errors
/// What is wrong with the description, where, and what to write.
pub fn frame(description: &str) -> Result<Vec<u8>, String> {
    let mut layers = text::layers(description)?;
    if layers.first().is_none_or(|layer| layer.name != "eth") {
        layers.insert(0, Layer::new("eth"));
    }
    let mut behind = Behind::default();
    for (index, layer) in layers.into_iter().enumerate().rev() {
        let name = layer.name.clone();
        if name == "eth" && index > 0 {
            return Err("eth stands first, and once: remove the other one".to_owned());
        }
        behind = build(layer, behind).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(behind.bytes)
}

fn build(mut layer: Layer, behind: Behind) -> Result<Behind, String> {
    let name = layer.name.clone();
    let mut built = match name.as_str() {
        "eth" => link::ethernet(&mut layer, &behind)?,
        "vlan" => link::vlan(&mut layer, &behind)?,
        "arp" => link::arp(&mut layer, &behind)?,
        "ip" => ip::v4(&mut layer, &behind)?,
        "ip6" => ip::v6(&mut layer, &behind)?,
        "hbh" | "dest" | "routing" | "frag" | "ah" => extension::header(&mut layer, &behind)?,
        "tcp" => transport::tcp(&mut layer, &behind)?,
        "udp" => transport::udp(&mut layer, &behind)?,
        "udplite" | "sctp" | "dccp" => transport::ported(&mut layer, &behind)?,
        "icmp" | "icmp6" => transport::icmp(&mut layer, &behind)?,
        "gre" => transport::gre(&mut layer, &behind)?,
        "esp" => transport::esp(&mut layer, &behind)?,
        "payload" => transport::payload(&mut layer, &behind)?,
        other => return Err(layer::unknown("no such layer", other, &NAMES)),
    };
    layer.finish()?;
    built.name = name;
    Ok(built)
}

impl Behind {
    /// The number of what is behind, or why there is none.
    fn protocol(&self) -> Result<u8, String> {
        match self.protocol {
            Some(number) => Ok(number),
            None if self.ether_type.is_some() => Err(format!("{} cannot stand behind it", self.name)),
            // Reserved for experiments (RFC 3692).
            None => Ok(253),
        }
    }

    fn ether_type(&self) -> Result<u16, String> {
        match self.ether_type {
            Some(number) => Ok(number),
            None if self.protocol.is_some() => {
                Err(format!("{} stands behind ip or ip6: write one in between", self.name))
            }
            // Reserved for experiments (IEEE 802, local experimental).
            None => Ok(0x88b5),
        }
    }
}

#[cfg(test)]
mod tests;
