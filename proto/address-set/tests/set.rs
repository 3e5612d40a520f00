//! The set against plain lists of addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use proptest::prelude::*;
use sluice_address_set::AddressSet;

fn set(nets: &[&str]) -> AddressSet {
    nets.iter().map(|net| net.parse().expect("a prefix")).collect()
}

fn text(set: &AddressSet) -> Vec<String> {
    set.iter().map(|net| net.to_string()).collect()
}

#[test]
fn what_is_written_collapses() {
    for (written, expected) in [
        (vec![], vec![]),
        (vec!["10.0.0.7/8"], vec!["10.0.0.0/8"]),
        (vec!["10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/8"], vec!["10.0.0.0/8"]),
        (vec!["192.0.2.2/32", "192.0.2.3/32", "192.0.2.0/31"], vec!["192.0.2.0/30"]),
        (vec!["192.0.2.1/32", "192.0.2.2/32"], vec!["192.0.2.1/32", "192.0.2.2/32"]),
        (vec!["128.0.0.0/1", "0.0.0.0/1", "::/1", "8000::/1"], vec!["0.0.0.0/0", "::/0"]),
        (vec!["::ffff:192.0.2.0/120", "192.0.2.0/24"], vec!["192.0.2.0/24", "::ffff:192.0.2.0/120"]),
    ] {
        assert_eq!(text(&set(&written)), expected, "{written:?}");
    }
}

#[test]
fn families_are_never_confused() {
    let all_v4 = set(&["0.0.0.0/0"]);
    assert!(all_v4.contains("255.255.255.255".parse().unwrap()));
    assert!(!all_v4.contains("::".parse().unwrap()) && !all_v4.contains("::ffff:192.0.2.1".parse().unwrap()));
    let all_v6 = set(&["::/0"]);
    assert!(!all_v6.contains("0.0.0.0".parse().unwrap()));
    assert_eq!(set(&["0.0.0.0/0", "::/0"]).without(&all_v4), all_v6);
}

#[test]
fn one_address_taken_out_of_everything_leaves_its_siblings() {
    let left = set(&["::/0"]).without(&set(&["2001:db8::1/128"]));
    assert_eq!(left.len(), 128);
    for (address, inside) in [("2001:db8::1", false), ("2001:db8::", true), ("2001:db8::2", true)] {
        assert_eq!(left.contains(address.parse().unwrap()), inside, "{address}");
    }
    assert_eq!(left.union(&set(&["2001:db8::1/128"])), set(&["::/0"]));
}

/// All within 256 addresses of each family, so that every one can be looked at.
fn universe() -> impl Iterator<Item = IpAddr> {
    (0..=255).flat_map(|last| {
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into());
        [IpAddr::from(Ipv4Addr::new(192, 0, 2, last)), IpAddr::from(v6)]
    })
}

fn nets() -> impl Strategy<Value = Vec<IpNet>> {
    let net = (any::<bool>(), any::<u8>(), 0..=8u8).prop_map(|(v4, last, shorter)| {
        let address = universe().nth(usize::from(last) * 2 + usize::from(!v4)).expect("in the universe");
        let bits = if v4 { 32 } else { 128 };
        IpNet::new(address, bits - shorter).expect("a length of this family")
    });
    prop::collection::vec(net, 0..40)
}

fn addresses(nets: &[IpNet]) -> BTreeSet<IpAddr> {
    universe().filter(|address| nets.iter().any(|net| net.contains(address))).collect()
}

fn members(set: &AddressSet) -> BTreeSet<IpAddr> {
    universe().filter(|address| set.contains(*address)).collect()
}

proptest! {
    #[test]
    fn a_set_has_the_addresses_of_its_prefixes(nets in nets(), others in nets()) {
        let (all, gone) = (addresses(&nets), addresses(&others));
        let (set, except) = (AddressSet::collect(nets), AddressSet::collect(others));
        prop_assert_eq!(members(&set), all.clone());
        prop_assert_eq!(members(&set.without(&except)), &all - &gone);
        prop_assert_eq!(members(&set.union(&except)), &all | &gone);
    }

    #[test]
    fn equal_addresses_are_equal_values(nets in nets(), others in nets()) {
        let set = AddressSet::collect(nets).without(&AddressSet::collect(others));
        let singly: AddressSet = members(&set).into_iter().map(IpNet::from).collect();
        prop_assert_eq!(singly, set);
    }
}
