//! A rule's match.

use sluice_crds::{
    FragmentKind as ApiFragment, IcmpFamily as ApiFamily, IcmpMatch as ApiIcmp, MAX_ENTRIES,
    Match as ApiMatch, PortRange as ApiPorts, Protocol, TcpFlag, TcpFlagsMatch, nearest, protocol_names,
};
use sluice_policy::{FragmentKind, IcmpFamily, IcmpMatch, Match, PortRange, TcpFlags};

use crate::addresses::prefix_set;
use crate::refusal::Checks;

const PORTED: [u8; 5] = [6, 17, 33, 132, 136];
const ICMP: [u8; 2] = [1, 58];

pub(crate) fn admit(found: &ApiMatch, path: &str, checks: &mut Checks) -> Match {
    let ApiMatch {
        sources,
        destinations,
        protocols,
        source_ports,
        destination_ports,
        tcp_flags,
        icmp,
        fragments,
    } = found;
    checks.at_most(fragments.len(), MAX_ENTRIES, &format!("{path}.fragments"));
    let admitted = Match {
        sources: sources.as_ref().map(|set| prefix_set(set, &format!("{path}.sources"), checks)),
        destinations: destinations
            .as_ref()
            .map(|set| prefix_set(set, &format!("{path}.destinations"), checks)),
        protocols: numbers(protocols, &format!("{path}.protocols"), checks),
        source_ports: ports(source_ports, &format!("{path}.sourcePorts"), checks),
        destination_ports: ports(destination_ports, &format!("{path}.destinationPorts"), checks),
        tcp_flags: tcp_flags.as_ref().map(|flags| masks(flags, &format!("{path}.tcpFlags"), checks)),
        icmp: icmp_matches(icmp, &format!("{path}.icmp"), checks),
        fragments: fragments.iter().map(fragment).collect(),
    };
    refuse_what_never_matches(found, &admitted, path, checks);
    admitted
}

fn refuse_what_never_matches(found: &ApiMatch, admitted: &Match, path: &str, checks: &mut Checks) {
    let any_of = |known: &[u8]| admitted.protocols.iter().any(|number| known.contains(number));
    let restricted = !found.protocols.is_empty();
    let ports = !found.source_ports.is_empty() || !found.destination_ports.is_empty();
    let (flags, icmp) = (found.tcp_flags.is_some(), !found.icmp.is_empty());
    if ports && restricted && !any_of(&PORTED) {
        let message = "ports beside protocols that have none never match: add TCP, UDP, UDPLite, SCTP or DCCP to \
             protocols, or remove the ports";
        checks.refuse(path, message);
    }
    if flags && restricted && !any_of(&[6]) {
        checks.refuse(
            path,
            "tcpFlags beside protocols without TCP never match: add TCP to protocols, or remove tcpFlags",
        );
    }
    if icmp && restricted && !any_of(&ICMP) {
        let message = "icmp beside protocols without ICMP never matches: add ICMP or IPv6-ICMP to protocols, or remove \
             icmp";
        checks.refuse(path, message);
    }
    if icmp && (ports || flags) {
        checks.refuse(path, "icmp beside ports or tcpFlags never matches: write two rules");
    }
}

fn numbers(found: &[Protocol], path: &str, checks: &mut Checks) -> Vec<u8> {
    checks.at_most(found.len(), MAX_ENTRIES, path);
    let mut numbers = Vec::new();
    for (index, protocol) in found.iter().enumerate() {
        match protocol.number() {
            Some(number) => numbers.push(number),
            None => {
                let text = protocol.as_str();
                let hint = match nearest(text, protocol_names()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "write a name as IANA has it (TCP, UDP, ICMP, IPv6-ICMP, GRE, ESP, SCTP) or a number from \
                         \"0\" to \"255\""
                        .to_owned(),
                };
                checks
                    .refuse(format!("{path}[{index}]"), format!("\"{text}\" is not an IP protocol: {hint}"));
            }
        }
    }
    numbers
}

fn ports(found: &[ApiPorts], path: &str, checks: &mut Checks) -> Vec<PortRange> {
    checks.at_most(found.len(), MAX_ENTRIES, path);
    let parsed = found.iter().enumerate().filter_map(|(index, range)| {
        port_range(range.as_str()).map_err(|message| checks.refuse(format!("{path}[{index}]"), message)).ok()
    });
    parsed.collect()
}

fn port_range(text: &str) -> Result<PortRange, String> {
    let number = |digits: &str| {
        let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u32>().ok().filter(|_| plain)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (Some(first), Some(last)) = (number(first), number(last)) else {
        return Err(format!("\"{text}\" is not a port or a range: write \"53\" or \"8000-8100\""));
    };
    if first > last {
        return Err(format!("\"{text}\" runs backwards: write {last}-{first}"));
    }
    match (u16::try_from(first), u16::try_from(last)) {
        (Ok(first), Ok(last)) => Ok(PortRange { first, last }),
        _ => Err(format!("\"{text}\" is beyond the last port: write at most 65535")),
    }
}

fn masks(found: &TcpFlagsMatch, path: &str, checks: &mut Checks) -> TcpFlags {
    let mask = |flags: &[TcpFlag]| flags.iter().fold(0, |mask, flag| mask | flag_bit(*flag));
    let flags = TcpFlags { set: mask(&found.set), unset: mask(&found.unset) };
    if flags == TcpFlags::default() {
        checks.refuse(path, "no flag is named: write set or unset, or remove tcpFlags");
    }
    if flags.set & flags.unset != 0 {
        checks.refuse(path, "a flag cannot be both set and unset: remove it from one of them");
    }
    flags
}

fn flag_bit(flag: TcpFlag) -> u8 {
    match flag {
        TcpFlag::Fin => 1,
        TcpFlag::Syn => 2,
        TcpFlag::Rst => 4,
        TcpFlag::Psh => 8,
        TcpFlag::Ack => 16,
        TcpFlag::Urg => 32,
        TcpFlag::Ece => 64,
        TcpFlag::Cwr => 128,
    }
}

fn icmp_matches(found: &[ApiIcmp], path: &str, checks: &mut Checks) -> Vec<IcmpMatch> {
    checks.at_most(found.len(), MAX_ENTRIES, path);
    for (index, one) in found.iter().enumerate() {
        if one.icmp_type.is_none() && one.code.is_some() {
            checks.refuse(format!("{path}[{index}]"), "a code means nothing without its type: add type");
        }
    }
    let admitted = found.iter().map(|one| IcmpMatch {
        family: match one.family() {
            ApiFamily::IPv4 => IcmpFamily::V4,
            ApiFamily::IPv6 => IcmpFamily::V6,
        },
        icmp_type: one.icmp_type,
        code: one.code,
    });
    admitted.collect()
}

fn fragment(found: &ApiFragment) -> FragmentKind {
    match found {
        ApiFragment::None => FragmentKind::None,
        ApiFragment::First => FragmentKind::First,
        ApiFragment::Later => FragmentKind::Later,
        ApiFragment::Tiny => FragmentKind::Tiny,
    }
}
