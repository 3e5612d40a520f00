//! Optional parts of an IP header: IPv4 options, IPv6 extension headers.

use sluice_policy::{ExtensionHeader, IpOption};

use crate::packet::Packet;

/// Types of the options that have a name (IANA, Internet Protocol Version 4 Parameters).
const NAMED: [u8; 7] = [7, 68, 130, 131, 136, 137, 148];

pub fn has_option(wanted: &[IpOption], packet: &Packet) -> bool {
    let Some(own) = &packet.options else { return false };
    let has = |kind: u8| own.kinds.contains(&kind);
    wanted.iter().any(|wanted| match wanted {
        IpOption::Any => own.present,
        IpOption::RecordRoute => has(7),
        IpOption::Timestamp => has(68),
        IpOption::Security => has(130),
        IpOption::Lsrr => has(131),
        IpOption::StreamId => has(136),
        IpOption::Ssrr => has(137),
        IpOption::RouterAlert => has(148),
        IpOption::Other => own.kinds.iter().any(|kind| !NAMED.contains(kind)),
    })
}

pub fn has_extension(wanted: &[ExtensionHeader], packet: &Packet) -> bool {
    let Some(own) = &packet.extensions else { return false };
    wanted.iter().any(|wanted| match wanted {
        ExtensionHeader::Any => !own.is_empty(),
        ExtensionHeader::HopByHop => own.contains(&0),
        ExtensionHeader::Routing => own.contains(&43),
        ExtensionHeader::Fragment => own.contains(&44),
        ExtensionHeader::Authentication => own.contains(&51),
        ExtensionHeader::DestinationOptions => own.contains(&60),
        ExtensionHeader::Mobility => own.contains(&135),
        ExtensionHeader::Hip => own.contains(&139),
        ExtensionHeader::Shim6 => own.contains(&140),
    })
}
