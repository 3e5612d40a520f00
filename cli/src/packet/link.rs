//! Ethernet, VLAN tags, ARP.

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Ethernet2Header, SingleVlanHeader, VlanId, VlanPcp,
};

use super::Behind;
use super::layer::{Layer, ipv4, mac};

const HOST: [u8; 6] = [2, 0, 0, 0, 0, 2];
const SENDER: [u8; 6] = [2, 0, 0, 0, 0, 1];

pub fn ethernet(layer: &mut Layer, behind: &Behind) -> Result<Behind, String> {
    let header = Ethernet2Header {
        source: layer.take("src", mac)?.unwrap_or(SENDER),
        destination: layer.take("dst", mac)?.unwrap_or(HOST),
        ether_type: EtherType(match layer.given_number("type")? {
            Some(number) => number,
            None => behind.ether_type()?,
        }),
    };
    Ok(Behind { bytes: [&header.to_bytes()[..], &behind.bytes].concat(), ..Behind::default() })
}

pub fn vlan(layer: &mut Layer, behind: &Behind) -> Result<Behind, String> {
    let id = layer.below("id", 12)?;
    let priority = layer.below("pcp", 3)? as u8;
    let header = SingleVlanHeader {
        pcp: VlanPcp::try_new(priority).expect("at most three bits"),
        drop_eligible_indicator: layer.below("dei", 1)? == 1,
        vlan_id: VlanId::try_new(id).expect("at most twelve bits"),
        ether_type: EtherType(match layer.given_number("type")? {
            Some(number) => number,
            None => behind.ether_type()?,
        }),
    };
    let tpid = layer.number("tpid", 0x8100)?;
    Ok(Behind {
        bytes: [&header.to_bytes()[..], &behind.bytes].concat(),
        ether_type: Some(tpid),
        ..Behind::default()
    })
}

pub fn arp(layer: &mut Layer, behind: &Behind) -> Result<Behind, String> {
    let source = layer.take("src", ipv4)?.unwrap_or(super::ip::CLIENT4);
    let destination = layer.take("dst", ipv4)?.unwrap_or(super::ip::HOST4);
    let operation = ArpOperation(layer.number("op", 1)?);
    let packet = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        operation,
        &SENDER,
        &source.octets(),
        &[0; 6],
        &destination.octets(),
    )
    .expect("addresses of the lengths that they have");
    Ok(Behind {
        bytes: [&packet.to_bytes()[..], &behind.bytes].concat(),
        ether_type: Some(EtherType::ARP.0),
        ..Behind::default()
    })
}
