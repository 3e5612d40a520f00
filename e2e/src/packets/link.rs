//! Ethernet: tags and protocols that are not IP.

use super::build::{Ipv4, Ipv6, ethernet, ethernet_to, patched, tag, tcp, udp};
use super::corpus::Corpus;

const BRIDGE: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0];

pub(super) fn add(corpus: &mut Corpus) {
    addresses(corpus);
    tags(corpus);
    other_protocols(corpus);
    lengths(corpus);
}

fn addresses(corpus: &mut Corpus) {
    let plain = Ipv4::default().frame(17, &udp(1001, 5000));
    for (name, mac) in [
        ("no address", [0; 6]),
        ("broadcast", [0xff; 6]),
        ("an IPv4 group", [1, 0, 0x5e, 0, 0, 1]),
        ("an IPv6 group", [0x33, 0x33, 0, 0, 0, 1]),
        ("the bridges", [1, 0x80, 0xc2, 0, 0, 3]),
        ("behind the bridges", [1, 0x80, 0xc2, 0, 0, 0x10]),
        ("the last of a vendor", [2, 0, 0x5d, 0xff, 0xff, 0xff]),
        ("the first of another", [2, 0, 0x5e, 0, 0, 0]),
        ("its last", [2, 0, 0x5e, 0xff, 0xff, 0xff]),
        ("the first of a third", [2, 0, 0x5f, 0, 0, 0]),
        ("host 9", [2, 0, 0, 0, 0, 9]),
        ("host 15", [2, 0, 0, 0, 0, 15]),
        ("host 8", [2, 0, 0, 0, 0, 8]),
        ("a lower group", [2, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ("a group", [3, 0, 0, 0, 0, 0]),
        ("a group of the upper half", [0xf3, 0, 0, 0, 0, 0]),
    ] {
        corpus.add(format!("to {name}"), patched(plain.clone(), 0, &mac));
        corpus.add(format!("from {name}"), patched(plain.clone(), 6, &mac));
    }
    let arp = ethernet_to([0xff; 6], 0x0806, &[0; 28]);
    corpus.add("ARP to everybody", arp.clone());
    corpus.add("a group's ARP in a VLAN", tag(0x8100, 100, &patched(arp, 0, &[3, 0, 0, 0, 0, 9])));
}

fn tags(corpus: &mut Corpus) {
    let v4 = Ipv4::default().frame(17, &udp(1000, 53));
    let v6 = Ipv6::default().frame(6, &tcp(1000, 80, 0x02));
    for (name, plain) in [("IPv4", &v4), ("IPv6", &v6)] {
        corpus.add(format!("{name} untagged"), plain.clone());
        for tpid in [0x8100, 0x88a8, 0x9100] {
            corpus.add(format!("{name} in VLAN 100 by {tpid:#06x}"), tag(tpid, 100, plain));
        }
        for (control, what) in
            [(0, "priority tag"), (0xe000, "priority 7"), (0x1fff, "VLAN 4095 with DEI"), (1, "VLAN 1")]
        {
            corpus.add(format!("{name} with {what}"), tag(0x8100, control, plain));
        }
        for (outer, inner, what) in [
            (0, 200, "a priority tag outside"),
            (100, 0, "a priority tag inside"),
            (0, 0, "two priority tags"),
            (100, 199, "inner id 199"),
            (100, 201, "inner id 201"),
            (99, 200, "outer id 99"),
            (5, 4095, "the last id inside"),
            (8, 7, "ids 8 and 7"),
            (4, 1, "ids 4 and 1"),
            (0x6005, 0xf0c8, "priorities on both tags"),
        ] {
            corpus.add(format!("{name} with {what}"), tag(0x88a8, outer, &tag(0x8100, inner, plain)));
        }
        for (outer, inner) in
            [(0x88a8, 0x8100), (0x8100, 0x8100), (0x9100, 0x8100), (0x8100, 0x88a8), (0x9100, 0x9100)]
        {
            corpus.add(
                format!("{name} in QinQ {outer:#06x} {inner:#06x}"),
                tag(outer, 100, &tag(inner, 200, plain)),
            );
        }
        corpus.add(format!("{name} in three tags"), tag(0x88a8, 1, &tag(0x8100, 2, &tag(0x8100, 3, plain))));
        corpus.add(format!("{name} behind a tag of a private TPID"), tag(0x9200, 1, plain));
    }
    let arp = ethernet(0x0806, &[0; 28]);
    corpus.add("ARP in VLAN 7", tag(0x8100, 7, &arp));
    corpus.add("ARP in QinQ 100 200", tag(0x88a8, 100, &tag(0x8100, 200, &arp)));
    for length in 14..18 {
        corpus.add(format!("VLAN tag cut to {length}"), tag(0x88a8, 7, &v4)[..length].to_vec());
        let double = tag(0x88a8, 8, &tag(0x8100, 7, &v4));
        corpus.add(format!("second VLAN tag cut to {}", length + 4), double[..length + 4].to_vec());
    }
    corpus.add("a tag and nothing behind it", tag(0x8100, 7, &v4)[..18].to_vec());
    corpus.add("two tags and nothing behind them", tag(0x88a8, 8, &tag(0x8100, 7, &v4))[..22].to_vec());
}

fn other_protocols(corpus: &mut Corpus) {
    let inner = Ipv4::default().packet(17, &udp(1000, 53));
    for (name, ether_type, payload) in [
        ("RARP", 0x8035, vec![0; 28]),
        ("PPPoE discovery", 0x8863, vec![0x11, 9, 0, 0, 0, 0]),
        ("PPPoE session with IPv4", 0x8864, [&[0x11, 0, 0, 1, 0, 38, 0, 0x21][..], &inner].concat()),
        ("MPLS with IPv4", 0x8847, [&[0, 0x01, 0x01, 0x40][..], &inner].concat()),
        ("MPLS multicast", 0x8848, vec![0, 1, 1, 0x40, 0, 0]),
        ("EAPOL", 0x888e, vec![2, 0, 0, 4]),
        ("MACsec", 0x88e5, vec![0x2c; 40]),
        ("PTP", 0x88f7, vec![0; 44]),
        ("the highest EtherType", 0xffff, vec![0; 46]),
        ("EtherType 0", 0, vec![0; 46]),
        ("IPX", 0x8137, vec![0xff; 30]),
    ] {
        corpus.add(name, ethernet(ether_type, &payload));
        corpus.add(format!("{name} in a VLAN"), tag(0x8100, 100, &ethernet(ether_type, &payload)));
    }
}

fn lengths(corpus: &mut Corpus) {
    let llc = [0x42, 0x42, 3, 0, 0, 0];
    corpus.add("802.3 to a host", ethernet(38, &llc));
    corpus.add(
        "PVST by SNAP",
        ethernet_to([1, 0, 0x0c, 0xcc, 0xcc, 0xcd], 50, &[0xaa, 0xaa, 3, 0, 0, 0x0c, 1, 0x0b]),
    );
    corpus.add("length 0x05ff to the bridges", ethernet_to(BRIDGE, 0x05ff, &llc));
    corpus.add("EtherType 0x0600 to the bridges", ethernet_to(BRIDGE, 0x0600, &llc));
    corpus.add("length 0x05ff to a host", ethernet(0x05ff, &llc));
    corpus.add("an Ethernet header alone", ethernet(0x88b5, &[]));
}
