use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use sluice_interpret::packet::{Fragment, Packet, Ports, Transport};

use super::frame;

fn parsed(description: &str) -> Packet<'static> {
    let frame = frame(description).unwrap_or_else(|error| panic!("{description}: {error}"));
    Packet::parse(frame.leak())
}

#[test]
fn a_packet_reads_as_it_was_described() {
    let packet =
        parsed("eth / vlan id=7 / ip src=10.0.0.1 dst=10.0.0.2 ttl=3 / tcp sport=1 dport=2 flags=S,ACK");
    let ip = packet.ip.expect("an IPv4 header");
    assert_eq!(
        (ip.source.to_string(), ip.destination.to_string(), ip.hop_limit),
        ("10.0.0.1".into(), "10.0.0.2".into(), 3)
    );
    assert_eq!(packet.transport, Transport::Tcp { ports: Ports { source: 1, destination: 2 }, flags: 0x12 });
    assert!(!packet.malformed);

    let packet =
        parsed("ip6 src=::1 / hbh / dest data=0104000000000000aabb / frag offset=8 more=1 / udp dport=5");
    assert_eq!((packet.protocol, packet.fragment), (Some(17), Fragment::Later { tiny: true }));
    assert!(!packet.malformed);

    let packet = parsed("ip flags=MF / icmp type=3 code=4 / payload 00ff");
    assert_eq!(packet.fragment, Fragment::First { tiny: false });
    assert_eq!(packet.transport, Transport::Icmp { icmp_type: 3, code: 4 });
    assert_eq!(parsed("ip / gre / ip6 / udp").protocol, Some(47));
    assert_eq!(parsed("ip / ip / udp").protocol, Some(4));
    assert_eq!(parsed("ip proto=89 / payload 0201").protocol, Some(89));
    assert_eq!(parsed("arp").ether_type, Some(0x0806));
    assert_eq!(parsed("eth type=0x88cc / payload size=20").ether_type, Some(0x88cc));
    for layer in ["udplite", "sctp", "dccp"] {
        let packet = parsed(&format!("ip6 / ah / {layer} sport=9 dport=10"));
        assert_eq!(packet.ports(), Some(Ports { source: 9, destination: 10 }), "{layer}");
    }
}

/// By a parser that is not this project's.
#[test]
fn lengths_and_checksums_fit_unless_they_are_given() {
    let bytes = frame(
        "eth src=02:00:00:00:00:09 / vlan id=2 pcp=7 tpid=0x88a8 / vlan id=3 / ip options=9404 dscp=46 ecn=1 \
         / udp sport=1 dport=2 / payload 61 62 63",
    )
    .expect("a good description");
    let packet = SlicedPacket::from_ethernet(&bytes).expect("a packet without a mistake");
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { panic!("{packet:?}") };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    assert_eq!((ip.header().dcp().value(), ip.header().ecn().value()), (46, 1));
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { panic!("{packet:?}") };
    assert_eq!((udp.length(), udp.payload()), (11, &b"abc"[..]));

    for broken in
        ["ip len=999 / udp", "ip ihl=4 / udp", "ip6 version=4 / udp", "ip / udp len=3", "ip / tcp doff=4"]
    {
        assert!(parsed(broken).malformed, "{broken}");
    }
}

#[test]
fn a_mistake_is_named_with_what_to_write() {
    for (description, says) in [
        ("", "no packet: write one as `ip src=192.0.2.1"),
        ("ip / / tcp", "an empty layer"),
        ("ip / tcpp", "tcpp: no such layer: \"tcpp\": did you mean tcp?"),
        ("ip / zzz", "no such layer: \"zzz\": write eth, vlan"),
        ("ip / tcp dports=2", "tcp: no such field: \"dports\": did you mean dport?"),
        ("ip / tcp dport", "\"dport\" has no value: write dport=VALUE"),
        ("ip / tcp dport=1 dport=2", "dport is given twice"),
        ("ip / tcp dport=http", "tcp: dport=\"http\" is no number: write one as 53"),
        ("ip / tcp dport=65536", "at most 65535"),
        ("ip / tcp flags=X", "has no such flag"),
        ("ip src=2001:db8::1", "ip: src=\"2001:db8::1\" is no IPv4 address"),
        ("ip offset=9", "no multiple of 8: write 8"),
        ("vlan id=4096", "at most 4095"),
        ("eth src=02:00", "is no MAC address"),
        ("tcp dport=1", "eth: tcp stands behind ip or ip6: write one in between"),
        ("ip / arp", "ip: arp cannot stand behind it"),
        ("ip / payload 0", "two hexadecimal digits"),
        ("payload 00 / ip", "write payload last"),
        ("ip / eth", "eth stands first"),
    ] {
        let error = frame(description).expect_err(description);
        assert!(error.contains(says), "{description}: {error}");
    }
}
