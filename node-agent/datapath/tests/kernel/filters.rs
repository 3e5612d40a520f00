//! Which entry a frame meets.

use sluice_abi::{Counted, EntryAction::*, Stage, Stat, dimension::*, entry_flags::*, kind};
use sluice_datapath::test_run::XdpAction;
use sluice_plan::NodePlan;

use super::frames::*;
use super::tables::Tables;
use super::{loaded, run, stage};

const BAD_NET: usize = 0;
const WEB: usize = 1;
const SYN_FLOOD: usize = 2;
const PING: usize = 3;
const LATER: usize = 4;
const DNS: usize = 5;
const MALFORMED: usize = 6;
const ALL: usize = 7;

const ANY: &[usize] = &[BAD_NET, WEB, SYN_FLOOD, PING, LATER, DNS, MALFORMED, ALL];
/// Those that say nothing about ports.
const NO_PORT: &[usize] = &[BAD_NET, SYN_FLOOD, PING, LATER, MALFORMED, ALL];
const NO_ADDRESS: &[usize] = &[WEB, SYN_FLOOD, PING, LATER, DNS, MALFORMED, ALL];

/// Drops 192.0.2.0/24 and 2001:db8:bad::/48, passes TCP to ports 80-443, drops what else begins a TCP connection,
/// pings, later fragments, DNS over UDP (fragments included) and malformed packets, and passes the rest.
pub fn plan() -> NodePlan {
    let whole_web: &[usize] = &[BAD_NET, WEB, SYN_FLOOD, PING, LATER, MALFORMED, ALL];
    let kinds: Vec<(u32, Vec<usize>)> = (0..kind::KINDS)
        .map(|value| {
            let (fragment, malformed) = (value / 2 % 5, value % 2 == 1);
            let fits = |entry: &usize| match *entry {
                LATER => fragment >= kind::LATER,
                MALFORMED => malformed,
                _ => true,
            };
            (value, ANY.iter().copied().filter(fits).collect())
        })
        .collect();
    let kinds: Vec<(u32, &[usize])> = kinds.iter().map(|(value, set)| (*value, set.as_slice())).collect();
    Tables::new(&[
        (Drop, 0),
        (Pass, 0),
        (Drop, 0),
        (Drop, 0),
        (Drop, 0),
        (Drop, DROP_LATER),
        (Drop, 0),
        (Pass, 0),
    ])
    .direct(KIND, (DIRECT_KIND, kind::KINDS), &[], &kinds)
    .direct(
        PROTOCOL,
        (DIRECT_PROTOCOL, 257),
        &[BAD_NET, PING, LATER, MALFORMED, ALL],
        &[
            (6, &[BAD_NET, WEB, SYN_FLOOD, PING, LATER, MALFORMED, ALL]),
            (17, &[BAD_NET, PING, LATER, DNS, MALFORMED, ALL]),
        ],
    )
    .searched(
        SOURCE_V4,
        &[(0, NO_ADDRESS), (0xc000_0200, ANY), (0xc000_0300, NO_ADDRESS)],
        NO_ADDRESS,
        NO_ADDRESS,
    )
    .searched_v6(
        SOURCE_V6,
        &[
            (0, NO_ADDRESS),
            (0x2001_0db8_0bad_0000_0000_0000_0000_0000, ANY),
            (0x2001_0db8_0bae_0000_0000_0000_0000_0000, NO_ADDRESS),
        ],
        NO_ADDRESS,
    )
    .searched(
        DESTINATION_PORT,
        &[
            (0, NO_PORT),
            (53, &[BAD_NET, SYN_FLOOD, PING, LATER, DNS, MALFORMED, ALL]),
            (54, NO_PORT),
            (80, whole_web),
            (444, NO_PORT),
        ],
        NO_PORT,
        &[BAD_NET, WEB, SYN_FLOOD, PING, LATER, DNS, MALFORMED, ALL],
    )
    .direct(
        TCP_FLAGS,
        (DIRECT_TCP_FLAGS, 256),
        &[BAD_NET, WEB, PING, LATER, DNS, MALFORMED, ALL],
        &[(2, ANY)],
    )
    .special(
        TCP_FLAGS,
        &[BAD_NET, WEB, PING, LATER, DNS, MALFORMED, ALL],
        &[BAD_NET, WEB, PING, LATER, DNS, MALFORMED, ALL],
    )
    .searched(
        ICMP,
        &[
            (0, &[BAD_NET, WEB, SYN_FLOOD, LATER, DNS, MALFORMED, ALL]),
            (0x800, ANY),
            (0x900, &[BAD_NET, WEB, SYN_FLOOD, LATER, DNS, MALFORMED, ALL]),
        ],
        &[BAD_NET, WEB, SYN_FLOOD, LATER, DNS, MALFORMED, ALL],
        &[BAD_NET, WEB, SYN_FLOOD, LATER, DNS, MALFORMED, ALL],
    )
    .plan()
}

fn frames() -> Vec<(&'static str, Vec<u8>, usize)> {
    let bad = V4 { source: "192.0.2.255", ..V4 };
    let web = tcp(1024, 443, ACK);
    let long = tcp(1, 1, FIN);
    let udp_v4 = V4 { protocol: 17, ..V4 };
    let eight =
        (0..8).fold(tcp(1, 80, ACK), |payload, header| extension(if header == 0 { 6 } else { 60 }, &payload));
    let nine = extension(60, &eight);
    vec![
        ("first address of the prefix", V4 { source: "192.0.2.0", ..V4 }.frame(&web), BAD_NET),
        ("last address of the prefix", bad.frame(&web), BAD_NET),
        ("the address behind the prefix", V4 { source: "192.0.3.0", ..V4 }.frame(&web), WEB),
        ("the address before the prefix", V4 { source: "192.0.1.255", ..V4 }.frame(&web), WEB),
        ("the address in IPv6", V6 { source: "2001:db8:bad::", ..V6 }.frame(&web), BAD_NET),
        (
            "its last address",
            V6 { source: "2001:db8:bad:ffff:ffff:ffff:ffff:ffff", ..V6 }.frame(&web),
            BAD_NET,
        ),
        ("behind it", V6 { source: "2001:db8:bae::", ..V6 }.frame(&web), WEB),
        ("the IPv4 prefix mapped into IPv6", V6 { source: "::ffff:192.0.2.1", ..V6 }.frame(&web), WEB),
        ("one VLAN tag", ethernet(&[(0x8100, 7)], 0x0800, &bad.packet(&web)), BAD_NET),
        ("two VLAN tags", ethernet(&[(0x88a8, 7), (0x8100, 8)], 0x0800, &bad.packet(&web)), BAD_NET),
        (
            "three VLAN tags",
            ethernet(&[(0x88a8, 7), (0x8100, 8), (0x8100, 9)], 0x0800, &bad.packet(&web)),
            ALL,
        ),
        ("half a VLAN tag", ethernet(&[], 0x8100, &[0, 7]), MALFORMED),
        ("IPv4 options", V4 { options: 40, ..V4 }.frame(&web), WEB),
        ("lowest port of the range", V4.frame(&tcp(9, 80, ACK)), WEB),
        ("below the range", V4.frame(&tcp(9, 79, ACK)), ALL),
        ("above the range", V4.frame(&tcp(9, 444, ACK)), ALL),
        ("above the range, SYN", V4.frame(&tcp(9, 444, SYN)), SYN_FLOOD),
        ("SYN and ACK", V4.frame(&tcp(9, 444, SYN | ACK)), ALL),
        ("a port range says nothing of UDP", udp_v4.frame(&udp(9, 443, b"x")), ALL),
        ("DNS", udp_v4.frame(&udp(9, 53, b"x")), DNS),
        (
            "a first fragment of DNS",
            V4 { fragment: MORE_FRAGMENTS, ..udp_v4.clone() }.frame(&udp(9, 53, b"x")),
            DNS,
        ),
        ("a later fragment", V4 { fragment: 9, ..udp_v4.clone() }.frame(&[0; 32]), LATER),
        ("echo request", V4 { protocol: 1, ..V4 }.frame(&icmp(8, 0)), PING),
        ("echo reply", V4 { protocol: 1, ..V4 }.frame(&icmp(0, 0)), ALL),
        ("an ICMP type of IPv4 in ICMPv6", V6 { next: 58, ..V6 }.frame(&icmp(8, 0)), ALL),
        ("ICMP carried by IPv6", V6 { next: 1, ..V6 }.frame(&icmp(8, 0)), ALL),
        ("eight extension headers", V6 { next: 60, ..V6 }.frame(&eight), WEB),
        ("nine extension headers", V6 { next: 60, ..V6 }.frame(&nine), MALFORMED),
        ("hop-by-hop options", V6 { next: 0, ..V6 }.frame(&extension(6, &web)), WEB),
        ("authentication header", V6 { next: 51, ..V6 }.frame(&extension(6, &web)), WEB),
        ("an extension header cut off", V6 { next: 60, ..V6 }.frame(&[6, 9, 0, 0, 0, 0, 0, 0]), MALFORMED),
        ("IPv6 atomic fragment", V6 { next: 44, ..V6 }.frame(&fragment(6, 0, false, &web)), WEB),
        ("IPv6 first fragment", V6 { next: 44, ..V6 }.frame(&fragment(6, 0, true, &web)), WEB),
        ("IPv6 later fragment", V6 { next: 44, ..V6 }.frame(&fragment(58, 5, true, &web)), LATER),
        ("TCP header cut off", V4.frame(&web[..19]), MALFORMED),
        (
            "TCP header cut off in a first fragment",
            V4 { fragment: MORE_FRAGMENTS, ..V4 }.frame(&web[..19]),
            ALL,
        ),
        ("a total length beyond the frame", V4 { excess: 1, ..V4 }.frame(&long), MALFORMED),
        ("a total length of the header's half", V4 { excess: -30, ..V4 }.frame(&long), MALFORMED),
        ("padding behind the packet", [V4.frame(&web), vec![0; 9]].concat(), WEB),
        ("UDP length 0", udp_v4.frame(&[0, 9, 0, 9, 0, 0, 0, 0]), MALFORMED),
        ("IPv4 of version 5", ethernet(&[], 0x0800, &[0x55; 40]), MALFORMED),
        ("IPv4 header cut off", ethernet(&[], 0x0800, &[0x45; 19]), MALFORMED),
        ("IPv6 header cut off", ethernet(&[], 0x86dd, &[0x60; 39]), MALFORMED),
        ("GRE", V4 { protocol: 47, ..V4 }.frame(&[0; 4]), ALL),
        ("an unknown EtherType", ethernet(&[], 0x88b5, &[0; 46]), ALL),
        ("fourteen bytes", ethernet(&[], 0x88b5, &[]), ALL),
    ]
}

#[test]
fn the_first_matching_entry_decides() {
    let loaded = loaded(&plan());
    for (name, frame, expected) in frames() {
        let outcome = run(&loaded, &frame);
        let verdict = if [WEB, ALL].contains(&expected) { XdpAction::Pass } else { XdpAction::Drop };
        assert_eq!((outcome.trace.entry as usize, outcome.verdict), (expected, verdict), "{name}");
        assert_eq!(stage(&outcome.trace), Stage::Filter, "{name}");
        assert_eq!(outcome.trace.malformed == 1, malformed(name), "{name}");
        assert_eq!(outcome.frame_out, frame, "{name}: the filters change no byte");
    }
}

fn malformed(name: &str) -> bool {
    frames().iter().any(|(other, _, entry)| *other == name && *entry == MALFORMED)
}

#[test]
fn counters_are_of_the_entry_and_the_frame() {
    let loaded = loaded(&plan());
    let frames = frames();
    for (_, frame, _) in &frames {
        run(&loaded, frame);
    }
    for entry in ANY {
        let bytes = frames.iter().filter(|(_, _, of)| of == entry).map(|(_, frame, _)| frame.len() as u64);
        let counted = if [WEB, ALL].contains(entry) { Counted::Pass } else { Counted::Drop };
        let counter = loaded.staged_counter(*entry as u32, counted).expect("a counter");
        assert_eq!(
            (counter.packets, counter.bytes),
            (bytes.clone().count() as u64, bytes.sum()),
            "entry {entry}"
        );
    }
    assert_eq!(loaded.staged_stat(Stat::Packets).expect("a statistic"), frames.len() as u64);
    let malformed = frames.iter().filter(|(name, ..)| malformed(name)).count() as u64;
    assert_eq!(loaded.staged_stat(Stat::Malformed).expect("a statistic"), malformed);
}

/// One filter in Audit above one that enforces, with a rule in Audit, one that leaves early, and a row of 2 words.
#[test]
fn audit_and_next_go_on() {
    const AUDITED: usize = 0;
    const AUDITED_RULE: usize = 1;
    const LEAVES: usize = 2;
    const NEVER: usize = 3;
    const DECIDES: usize = 70;
    let mut entries = vec![(Drop, 0); 71];
    entries[AUDITED] = (Drop, AUDIT_FILTER);
    entries[AUDITED_RULE] = (Drop, AUDIT_RULE);
    entries[LEAVES] = (Next, 0);
    let all = [AUDITED, AUDITED_RULE, LEAVES, NEVER, DECIDES];
    let plan = Tables::new(&entries)
        .next_filter(AUDITED..1)
        .next_filter(1..66)
        .next_filter(66..71)
        .direct(PROTOCOL, (DIRECT_PROTOCOL, 257), &[NEVER], &[(6, &all), (17, &all[1..]), (47, &[AUDITED])])
        .plan();
    let loaded = loaded(&plan);
    let frame = |protocol, payload: &[u8]| V4 { protocol, ..V4 }.frame(payload);
    let cases = [
        (frame(6, &tcp(1, 1, ACK)), DECIDES, AUDITED, XdpAction::Drop),
        (frame(17, &udp(1, 1, b"")), DECIDES, AUDITED_RULE, XdpAction::Drop),
        (frame(47, &[0; 8]), u16::MAX as usize, AUDITED, XdpAction::Pass),
        (frame(50, &[0; 8]), NEVER, u16::MAX as usize, XdpAction::Drop),
    ];
    for (frame, entry, audited, verdict) in cases {
        let outcome = run(&loaded, &frame);
        let found = (outcome.trace.entry as usize, outcome.trace.audited as usize, outcome.verdict);
        assert_eq!(found, (entry, audited, verdict));
    }
    let packets = |entry, counted| loaded.staged_counter(entry as u32, counted).expect("a counter").packets;
    assert_eq!(packets(AUDITED, Counted::Audited), 2);
    assert_eq!(packets(AUDITED_RULE, Counted::Audited), 2);
    assert_eq!(packets(LEAVES, Counted::Next), 2);
    assert_eq!(packets(NEVER, Counted::Drop), 1);
    assert_eq!(packets(DECIDES, Counted::Drop), 2);
}
