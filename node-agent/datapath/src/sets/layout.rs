//! A family of a set as the kernel looks it up; what lies where is in `ebpf/abi/src/set.rs`.

use ipnet::{Ipv4Net, Ipv6Net};
use sluice_abi::{BucketV4, BucketV6, SET_BLOCK, SetHead};

use super::parts::{Bucket, Parts};

const WORDS_OF_BLOCK: usize = SET_BLOCK / size_of::<u64>();

/// Whole blocks, one after the other.
#[derive(Clone, PartialEq, Eq)]
pub struct Layout {
    words: Vec<u64>,
}

impl Layout {
    /// `nets` are sorted and disjoint. `None` if there are none.
    pub fn v4(nets: &[Ipv4Net]) -> Option<Layout> {
        let ranges = nets.iter().map(|net| {
            let first = u32::from(net.network());
            (first, u32::from(net.broadcast()).checked_add(1))
        });
        Layout::of::<BucketV4>(&bounds(ranges))
    }

    /// As [`Layout::v4`].
    pub fn v6(nets: &[Ipv6Net]) -> Option<Layout> {
        let ranges = nets.iter().map(|net| {
            let first = u128::from(net.network());
            (first, u128::from(net.broadcast()).checked_add(1))
        });
        Layout::of::<BucketV6>(&bounds(ranges))
    }

    fn of<B: Bucket>(bounds: &[B::Number]) -> Option<Layout> {
        if bounds.is_empty() {
            return None;
        }
        let mut parts = Parts::<B>::new(bounds);
        parts.add_node(0, bounds.len(), 1);
        let Parts { nodes, cells, buckets, searched, .. } = parts;
        let parts: [&[u8]; 4] = [
            bytemuck::cast_slice(&nodes),
            bytemuck::cast_slice(&cells),
            bytemuck::cast_slice(&buckets),
            bytemuck::cast_slice(&searched),
        ];
        // The head comes before the nodes.
        let mut at = [size_of::<SetHead>(), 0, 0, 0];
        for part in 1..parts.len() {
            at[part] = (at[part - 1] + parts[part - 1].len()).next_multiple_of(SET_BLOCK);
        }
        let length = (at[3] + parts[3].len()).next_multiple_of(SET_BLOCK);
        let block = |part: usize| (at[part] / SET_BLOCK) as u32;
        let head = SetHead { cells: block(1), buckets: block(2), bounds: block(3), ..SetHead::default() };
        let mut words = vec![0; length / size_of::<u64>()];
        let all: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        for (at, bytes) in at.into_iter().zip(parts).chain([(0, bytemuck::bytes_of(&head))]) {
            all[at..][..bytes.len()].copy_from_slice(bytes);
        }
        Some(Layout { words })
    }

    pub fn blocks(&self) -> u32 {
        (self.words.len() / WORDS_OF_BLOCK) as u32
    }

    pub fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }
}

/// Where being in the set begins and ends; neighbours have no bound between them. The end of the last is `None` at the
/// end of the family.
fn bounds<B: Copy + PartialEq>(ranges: impl ExactSizeIterator<Item = (B, Option<B>)>) -> Vec<B> {
    let mut bounds = Vec::with_capacity(2 * ranges.len());
    for (first, behind) in ranges {
        if bounds.last() == Some(&first) {
            bounds.pop();
        } else {
            bounds.push(first);
        }
        bounds.extend(behind);
    }
    bounds
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;
    use sluice_abi::{CUT_BUCKET, SET_CELLS, SET_DEPTH, SetNode};
    use sluice_address_set::AddressSet;

    use super::*;

    /// As the kernel program does it, step by step.
    fn contains<B: Bucket>(layout: &Layout, number: u128) -> bool {
        let from = |block: u32| &layout.bytes()[block as usize * SET_BLOCK..];
        let head: &SetHead = bytemuck::from_bytes(&from(0)[..size_of::<SetHead>()]);
        let nodes: &[SetNode] =
            bytemuck::cast_slice(&layout.bytes()[size_of::<SetHead>()..SET_BLOCK * head.cells as usize]);
        let cells: &[u32] = bytemuck::cast_slice(from(head.cells));
        let buckets: &[B] = bytemuck::cast_slice(from(head.buckets));
        let searched: &[B::Bound] = bytemuck::cast_slice(from(head.bounds));
        let among = |below: u32, bounds: &[B::Bound]| {
            let up_to = bounds.iter().filter(|bound| B::number(**bound) <= number).count();
            (below as usize + up_to) & 1 == 1
        };
        let joined = |[high, low]: [u64; 2]| u128::from(high) << 64 | u128::from(low);
        let mut node = &nodes[0];
        for _ in 0..SET_DEPTH {
            if number < joined(node.lowest) {
                return node.below & 1 == 1;
            }
            if number >= joined(node.highest) {
                return (node.below + node.bounds) & 1 == 1;
            }
            if node.scale == 0 {
                return among(node.below, &searched[node.first as usize..][..node.bounds as usize]);
            }
            let above = ((number - joined(node.lowest)) >> node.shift) as u64;
            let cell = ((above * node.scale) >> 32) as u32;
            let at = (node.first + cell / SET_CELLS) as usize;
            if cells[at] >> (cell % SET_CELLS) & 1 == 0 {
                return false;
            }
            let (below, count) = buckets[at].head();
            if count != CUT_BUCKET {
                return among(below, &buckets[at].bounds()[..count as usize]);
            }
            node = &nodes[below as usize];
        }
        panic!("deeper than the kernel goes");
    }

    fn is_in(set: &AddressSet, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => Layout::v4(set.v4())
                .is_some_and(|layout| contains::<BucketV4>(&layout, u32::from(address).into())),
            IpAddr::V6(address) => {
                Layout::v6(set.v6()).is_some_and(|layout| contains::<BucketV6>(&layout, address.into()))
            }
        }
    }

    fn set(nets: &[&str]) -> AddressSet {
        nets.iter().map(|net| net.parse::<ipnet::IpNet>().expect("a prefix")).collect()
    }

    #[test]
    fn ends_of_a_prefix_and_of_the_family() {
        let all =
            set(&["10.0.0.0/8", "11.0.0.0/9", "255.255.255.255/32", "0.0.0.0/32", "ffff::/16", "::/128"]);
        for (address, expected) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("11.127.255.255", true),
            ("11.128.0.0", false),
            ("255.255.255.254", false),
            ("255.255.255.255", true),
            ("0.0.0.0", true),
            ("0.0.0.1", false),
            ("::", true),
            ("::1", false),
            ("fffe:ffff::", false),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ] {
            assert_eq!(is_in(&all, address.parse().expect("an address")), expected, "{address}");
        }
    }

    #[test]
    fn whole_families_and_none() {
        for address in ["0.0.0.0", "255.255.255.255", "::", "ffff::"] {
            let address: IpAddr = address.parse().expect("an address");
            assert!(is_in(&set(&["0.0.0.0/0", "::/0"]), address));
            assert!(!is_in(&AddressSet::default(), address));
        }
    }

    /// Prefixes of the sizes that lists have, and crowded together as lists are.
    fn nets() -> impl Strategy<Value = Vec<ipnet::IpNet>> {
        let v4 = (any::<u32>(), 0..=3u32, 0..=32u8).prop_map(|(bits, crowd, length)| {
            ipnet::IpNet::new(IpAddr::V4(Ipv4Addr::from(bits >> (8 * crowd))), length).expect("a length")
        });
        let v6 = (any::<u128>(), 0..=7u32, 0..=128u8).prop_map(|(bits, crowd, length)| {
            ipnet::IpNet::new(IpAddr::V6(Ipv6Addr::from(bits >> (16 * crowd))), length).expect("a length")
        });
        proptest::collection::vec(prop_oneof![v4, v6], 0..300)
    }

    /// Addresses at the edges of prefixes, where one too many or too few shows.
    fn edges(net: &ipnet::IpNet) -> Vec<IpAddr> {
        match net {
            ipnet::IpNet::V4(net) => {
                let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
                let edges = [first.wrapping_sub(1), first, last, last.wrapping_add(1), first / 2 + last / 2];
                edges.map(|bits| IpAddr::V4(bits.into())).to_vec()
            }
            ipnet::IpNet::V6(net) => {
                let (first, last) = (u128::from(net.network()), u128::from(net.broadcast()));
                let edges = [first.wrapping_sub(1), first, last, last.wrapping_add(1), first / 2 + last / 2];
                edges.map(|bits| IpAddr::V6(bits.into())).to_vec()
            }
        }
    }

    /// Each slice of a node has a crowd and all other crowds are in its first, more levels than there may be.
    #[test]
    fn crowds_within_crowds() {
        let crowd = |bits: u32| (0..12u32).map(move |host| (1u128 << bits) + 2 * u128::from(host));
        let addresses: Vec<u128> = (5..127).flat_map(crowd).collect();
        let set: AddressSet = addresses.iter().map(|bits| IpAddr::V6((*bits).into()).into()).collect();
        for bits in addresses {
            for (address, expected) in [(bits, true), (bits + 1, false), (bits - 1, false)] {
                assert_eq!(is_in(&set, IpAddr::V6(address.into())), expected, "{address:x}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_layout_holds_what_the_set_holds(nets in nets(), others in proptest::collection::vec(any::<u32>(), 20)) {
            let set: AddressSet = nets.iter().copied().collect();
            let others = others.into_iter().map(|bits| IpAddr::V4(bits.into()));
            for address in nets.iter().flat_map(edges).chain(others) {
                prop_assert_eq!(is_in(&set, address), set.contains(address), "{}", address);
            }
        }
    }
}
