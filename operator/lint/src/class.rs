//! Kinds of traffic that the operator knows of, written as matches.

use sluice_policy::{IcmpFamily, IcmpMatch, LaterFragments, Match, PortRange, TcpFlags};

use crate::reach::{CASES, Reach, of_rule};

pub(crate) const ACK: u8 = 0x10;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

/// Traffic with a name: whole packets and first fragments.
pub(crate) struct Class {
    pub name: String,
    pub reach: Reach,
}

impl Class {
    pub fn new(name: impl Into<String>, matches: Match) -> Class {
        let mut reach = of_rule(&matches, LaterFragments::NoMatch);
        for (_, product) in CASES.iter().zip(&mut reach).filter(|(case, _)| case.is_later()) {
            *product = None;
        }
        Class { name: name.into(), reach }
    }
}

pub(crate) fn protocol(number: u8) -> Match {
    Match { protocols: vec![number], ..Match::default() }
}

pub(crate) fn ports(protocol: u8, source: Option<u16>, destination: Option<(u16, u16)>) -> Match {
    let range = |(first, last)| vec![PortRange { first, last }];
    Match {
        protocols: vec![protocol],
        source_ports: source.map(|port| range((port, port))).unwrap_or_default(),
        destination_ports: destination.map(range).unwrap_or_default(),
        ..Match::default()
    }
}

pub(crate) fn acknowledged(matches: Match) -> Match {
    Match { tcp_flags: Some(TcpFlags { set: ACK, unset: 0 }), ..matches }
}

pub(crate) fn icmp(family: IcmpFamily, messages: &[(u8, Option<u8>)]) -> Match {
    let one = |&(icmp_type, code): &(u8, Option<u8>)| IcmpMatch { family, icmp_type: Some(icmp_type), code };
    Match { icmp: messages.iter().map(one).collect(), ..Match::default() }
}
