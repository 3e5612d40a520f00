//! IPv4 and IPv6 headers. Every length and number can be set to a wrong one.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{IpDscp, IpEcn, IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, Ipv6FlowLabel, Ipv6Header};

use super::Behind;
use super::layer::{Layer, ipv4, ipv6, unknown};

pub const CLIENT4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub const HOST4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
const HOST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1);
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

pub fn v4(layer: &mut Layer, behind: &Behind) -> Result<Behind, String> {
    let mut options = layer.bytes("options")?;
    options.resize(options.len().next_multiple_of(4), 0);
    let options =
        Ipv4Options::try_from(&options[..]).map_err(|_| "options: at most 40 bytes fit in: write fewer")?;
    let length = 20 + options.len();
    let (class, offset) = (class(layer, "tos")?, layer.number("offset", 0u16)?);
    let flags = layer.take("flags", fragment_flags)?.unwrap_or_default();
    let mut header = Ipv4Header {
        dscp: IpDscp::try_new(class >> 2).expect("six bits"),
        ecn: IpEcn::try_new(class & 3).expect("two bits"),
        total_len: layer.number("len", (length + behind.bytes.len()) as u16)?,
        identification: layer.number("id", 1)?,
        dont_fragment: flags.0,
        more_fragments: flags.1,
        fragment_offset: fragment_offset(offset)?,
        time_to_live: layer.number("ttl", 64)?,
        protocol: IpNumber(match layer.given_number("proto")? {
            Some(number) => number,
            None => behind.protocol()?,
        }),
        header_checksum: 0,
        source: layer.take("src", ipv4)?.unwrap_or(CLIENT4).octets(),
        destination: layer.take("dst", ipv4)?.unwrap_or(HOST4).octets(),
        options,
    };
    header.header_checksum = header.calc_header_checksum();
    let mut bytes = header.to_bytes().to_vec();
    bytes[0] = ((layer.number("version", 4u8)? & 15) << 4) | (layer.number("ihl", bytes[0] & 15)? & 15);
    bytes.extend(&behind.bytes);
    Ok(Behind { bytes, ether_type: Some(IPV4), protocol: Some(4), ..Behind::default() })
}

pub fn v6(layer: &mut Layer, behind: &Behind) -> Result<Behind, String> {
    let header = Ipv6Header {
        traffic_class: class(layer, "class")?,
        flow_label: Ipv6FlowLabel::try_new(layer.number("flow", 0u32)? & 0xf_ffff).expect("twenty bits"),
        payload_length: layer.number("len", behind.bytes.len() as u16)?,
        next_header: IpNumber(match layer.given_number("next")? {
            Some(number) => number,
            None => behind.protocol()?,
        }),
        hop_limit: layer.number("hop", 64)?,
        source: layer.take("src", ipv6)?.unwrap_or(CLIENT6).octets(),
        destination: layer.take("dst", ipv6)?.unwrap_or(HOST6).octets(),
    };
    let mut bytes = header.to_bytes().to_vec();
    bytes[0] = ((layer.number("version", 6u8)? & 15) << 4) | (bytes[0] & 15);
    bytes.extend(&behind.bytes);
    Ok(Behind { bytes, ether_type: Some(IPV6), protocol: Some(41), ..Behind::default() })
}

/// As one byte, or as its two parts.
fn class(layer: &mut Layer, whole: &'static str) -> Result<u8, String> {
    let whole = layer.number(whole, 0u8)?;
    Ok(whole | (layer.below("dscp", 6)? << 2) as u8 | layer.below("ecn", 2)? as u8)
}

/// Don't fragment, more fragments.
fn fragment_flags(text: &str) -> Result<(bool, bool), String> {
    let mut flags = (false, false);
    for flag in text.split(',') {
        match flag {
            "DF" => flags.0 = true,
            "MF" => flags.1 = true,
            other => return Err(unknown("has no such flag", other, &["DF", "MF"])),
        }
    }
    Ok(flags)
}

/// Bytes, of which fragments count eights.
pub fn fragment_offset(bytes: u16) -> Result<IpFragOffset, String> {
    if !bytes.is_multiple_of(8) {
        return Err(format!("offset={bytes} counts bytes and is no multiple of 8: write {}", bytes / 8 * 8));
    }
    Ok(IpFragOffset::try_new(bytes / 8).expect("thirteen bits are left"))
}
