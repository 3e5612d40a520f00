//! Ethernet: tags and protocols that are not IP.

use super::build::{Ipv4, Ipv6, ethernet, ethernet_to, tag, tcp, udp};
use super::corpus::Corpus;

const BRIDGE: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0];

pub(super) fn add(corpus: &mut Corpus) {
    tags(corpus);
    other_protocols(corpus);
    lengths(corpus);
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
