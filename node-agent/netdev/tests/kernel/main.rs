//! The real kernel, in network namespaces of our own.

mod sandbox;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use sandbox::{Sandbox, run};
use sluice_netdev::{Changes, Event, Netlink, Unresolved, watch};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout};

const WITHIN: Duration = Duration::from_secs(5);

#[test]
fn facts_of_a_veth() {
    let Some(sandbox) = Sandbox::new("facts") else { return };
    sandbox.enter(async {
        let facts = Netlink::open().expect("netlink").facts().await.expect("facts");
        let [nic] = facts.nics.as_slice() else { panic!("one interface expected: {:?}", facts.nics) };
        assert_eq!((nic.name.as_str(), nic.mtu, nic.up), ("eth0", 1500, true));
        assert_eq!(nic.driver.as_deref(), Some("veth"));
        assert_eq!(nic.mac, Some([2, 0, 0, 0, 0, 1]));
        assert!(nic.default_route && nic.rx_queues >= 1 && nic.tx_queues >= 1);
        assert!(nic.xdp.is_none());
        let features = nic.xdp_features.expect("the netdev family is in every kernel since 6.3");
        assert!(features.native(), "{:?}", features.names());
        assert_eq!(nic.lro, Some(false));
        let stripping = nic.vlan_stripping.expect("ethtool netlink is in every kernel since 5.6");
        run("ethtool", &["-K", "eth0", "rxvlan", if stripping { "off" } else { "on" }]);
        let again = Netlink::open().expect("netlink").facts().await.expect("facts");
        assert_eq!(again.nics[0].vlan_stripping, Some(!stripping));
        let global: Vec<_> =
            facts.addresses.iter().filter(|a| a.global).map(|a| a.address.to_string()).collect();
        assert_eq!(global, ["192.0.2.1", "2001:db8::1"]);
        assert!(facts.softnet.is_some());
    });
}

#[test]
fn changes_are_told() {
    let Some(sandbox) = Sandbox::new("watch") else { return };
    sandbox.enter(async {
        let (first, mut changes) = watch().await.expect("watching");
        assert_eq!(first.links.values().map(|link| link.name.as_str()).collect::<Vec<_>>(), ["eth0"]);

        run("ip", &["link", "add", "lan0", "type", "veth", "peer", "name", "lan1"]);
        expect(&mut changes, |event| matches!(event, Event::Came { name, .. } if name == "lan0")).await;
        run("ip", &["link", "set", "lan0", "name", "lan9"]);
        expect(&mut changes, |event| matches!(event, Event::Renamed { to, .. } if to == "lan9")).await;
        run("ip", &["link", "set", "lan9", "up"]);
        run("ip", &["link", "set", "lan1", "up"]);
        expect(&mut changes, |event| matches!(event, Event::Up { name, .. } if name == "lan9")).await;
        run("ip", &["link", "set", "lan1", "down"]);
        expect(&mut changes, |event| matches!(event, Event::Down { name, .. } if name == "lan9")).await;
        run("ip", &["address", "add", "198.51.100.1/24", "dev", "lan9"]);
        expect(&mut changes, |event| *event == Event::AddressesChanged).await;
        run("ip", &["route", "replace", "default", "via", "198.51.100.2"]);
        run("ip", &["route", "add", "203.0.113.0/24", "via", "198.51.100.2"]);
        expect(&mut changes, |event| *event == Event::PathsChanged).await;
        run("ip", &["route", "add", "default", "via", "192.0.2.2", "metric", "7"]);
        expect(&mut changes, |event| *event == Event::DefaultRoutesChanged).await;
        run("ip", &["link", "del", "lan9"]);
        expect(&mut changes, |event| matches!(event, Event::Went { name, .. } if name == "lan9")).await;
    });
}

#[test]
fn a_neighbour_is_asked_and_found() {
    let Some(sandbox) = Sandbox::new("hop") else { return };
    sandbox.enter(async {
        let netlink = Netlink::open().expect("netlink");
        for (backend, source) in
            [("192.0.2.2", "192.0.2.1"), ("2001:db8::2", "2001:db8::1"), ("203.0.113.9", "192.0.2.1")]
        {
            let backend: IpAddr = backend.parse().expect("an address");
            let deadline = Instant::now() + WITHIN;
            let hop = loop {
                match netlink.hop(backend).await.expect("netlink") {
                    Ok(hop) => break hop,
                    Err(Unresolved::Asked) if Instant::now() < deadline => {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    Err(other) => panic!("{backend}: {other}"),
                }
            };
            assert_eq!(hop.destination_mac, [2, 0, 0, 0, 0, 2], "{backend}");
            assert_eq!(hop.source_mac, [2, 0, 0, 0, 0, 1]);
            assert_eq!((hop.source.to_string().as_str(), hop.mtu), (source, 1500));
        }
        let own = netlink.hop("192.0.2.1".parse().expect("an address")).await.expect("netlink");
        assert_eq!(own, Err(Unresolved::Local));
        let nowhere = netlink.hop("2001:db8:ffff::1".parse().expect("an address")).await.expect("netlink");
        assert_eq!(nowhere, Err(Unresolved::NoRoute));
    });
}

#[test]
fn a_route_mtu_counts() {
    let Some(sandbox) = Sandbox::new("mtu") else { return };
    sandbox.enter(async {
        run("ip", &["route", "add", "198.51.100.0/24", "via", "192.0.2.2", "mtu", "1400"]);
        run("ip", &["neighbour", "add", "192.0.2.2", "lladdr", "02:00:00:00:00:02", "dev", "eth0"]);
        let hop = Netlink::open().expect("netlink").hop("198.51.100.7".parse().expect("an address")).await;
        assert_eq!(hop.expect("netlink").expect("a hop").mtu, 1400);
    });
}

#[test]
fn vips_come_and_go_and_others_stay() {
    let Some(sandbox) = Sandbox::new("vips") else { return };
    sandbox.enter(async {
        run("ip", &["address", "add", "203.0.113.1/32", "dev", "lo"]);
        let netlink = Netlink::open().expect("netlink");
        let vips = |list: &[&str]| -> BTreeSet<IpAddr> {
            list.iter().map(|a| a.parse().expect("an address")).collect()
        };
        netlink.set_vips(&vips(&["203.0.113.1", "203.0.113.10", "2001:db8::10"])).await.expect("added");
        assert_eq!(netlink.vips().await.expect("read"), vips(&["203.0.113.10", "2001:db8::10"]));
        // A new socket knows them too: the mark is in the kernel.
        let again = Netlink::open().expect("netlink");
        again.set_vips(&vips(&["203.0.113.10"])).await.expect("removed");
        assert_eq!(again.vips().await.expect("read"), vips(&["203.0.113.10"]));
        again.set_vips(&vips(&[])).await.expect("removed");
        let left: Vec<_> =
            again.addresses().await.expect("read").into_iter().filter(|a| a.index == 1).collect();
        assert_eq!(left.len(), 1, "the address of someone else stays: {left:?}");
    });
}

#[test]
fn arp_is_ignored_for_addresses_of_other_interfaces() {
    let Some(sandbox) = Sandbox::new("arp") else { return };
    sandbox.enter(async {
        run("ip", &["link", "add", "d0", "type", "veth", "peer", "name", "d1"]);
        let at = |name: &str| format!("/proc/sys/net/ipv4/conf/{name}/arp_ignore");
        std::fs::write(at("d1"), "2").expect("a sysctl of our own namespace");
        let netlink = Netlink::open().expect("netlink");
        netlink.ignore_arp_for_vips().await.expect("set");
        let value = |name: &str| std::fs::read_to_string(at(name)).expect("readable").trim().to_owned();
        assert_eq!([value("d0"), value("d1"), value("lo")], ["1", "2", "0"], "what somebody chose stays");
    });
}

/// Waits until the event comes.
async fn expect(changes: &mut Receiver<Changes>, wanted: impl Fn(&Event) -> bool) {
    let seen = timeout(WITHIN, async {
        while let Some(Changes { events, .. }) = changes.recv().await {
            if events.iter().any(&wanted) {
                return;
            }
        }
        panic!("the watch ended");
    });
    seen.await.expect("the event in time");
}
