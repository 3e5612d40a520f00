//! A family of a set as the kernel looks it up; what lies where is in `ebpf/abi/src/set.rs`.

use ipnet::{Ipv4Net, Ipv6Net};
use sluice_abi::{SET_BLOCK, SetHead};

const WORDS_OF_BLOCK: usize = SET_BLOCK / size_of::<u64>();
/// Slices for each bound: between this and four times as many.
const SLICES_OF_BOUND: u32 = 1;

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
        let bounds = bounds(ranges);
        Layout::of(&bounds, |bound| u128::from(*bound), bytemuck::cast_slice(&bounds))
    }

    /// As [`Layout::v4`].
    pub fn v6(nets: &[Ipv6Net]) -> Option<Layout> {
        let ranges = nets.iter().map(|net| {
            let first = u128::from(net.network());
            (first, u128::from(net.broadcast()).checked_add(1))
        });
        let bounds: Vec<[u64; 2]> = bounds(ranges).into_iter().map(halves).collect();
        Layout::of(&bounds, joined, bytemuck::cast_slice(&bounds))
    }

    fn of<B>(bounds: &[B], number: impl Fn(&B) -> u128, bytes: &[u8]) -> Option<Layout> {
        let (lowest, highest) = (number(bounds.first()?), number(bounds.last()?));
        let range = highest - lowest;
        let wanted = (bounds.len() as u32 * SLICES_OF_BOUND).next_power_of_two().ilog2() + 1;
        let shift = (u128::BITS - range.leading_zeros()).saturating_sub(wanted);
        let below = slices(bounds.iter().map(|bound| ((number(bound) - lowest) >> shift) as u32));
        let first_bounds = 1 + blocks_of(size_of_val(&below[..]));
        let head = SetHead {
            lowest: halves(lowest),
            highest: halves(highest),
            shift,
            bounds: bounds.len() as u32,
            first_bounds: first_bounds as u32,
            reserved: 0,
        };
        let mut words = vec![0; (first_bounds + blocks_of(bytes.len())) * WORDS_OF_BLOCK];
        put(&mut words, 0, bytemuck::bytes_of(&head));
        put(&mut words, 1, bytemuck::cast_slice(&below));
        put(&mut words, first_bounds, bytes);
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

/// How many bounds are below each slice, and behind the last one. `of_bounds` are the bounds' own slices.
fn slices(of_bounds: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut below = Vec::new();
    let mut before = 0;
    for slice in of_bounds {
        // Up to this bound's slice nothing but the bounds before it is below.
        if below.len() <= slice as usize {
            below.resize(slice as usize + 1, before);
        }
        before += 1;
    }
    below.push(before);
    below
}

fn put(words: &mut [u64], block: usize, bytes: &[u8]) {
    let bytes_of_all: &mut [u8] = bytemuck::cast_slice_mut(words);
    bytes_of_all[block * SET_BLOCK..][..bytes.len()].copy_from_slice(bytes);
}

fn blocks_of(bytes: usize) -> usize {
    bytes.div_ceil(SET_BLOCK)
}

fn halves(number: u128) -> [u64; 2] {
    [(number >> 64) as u64, number as u64]
}

fn joined([high, low]: &[u64; 2]) -> u128 {
    u128::from(*high) << 64 | u128::from(*low)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;
    use sluice_address_set::AddressSet;

    use super::*;

    /// As the kernel program does it, step by step.
    fn contains(layout: &Layout, address: IpAddr) -> bool {
        let bytes = layout.bytes();
        let head: &SetHead = bytemuck::from_bytes(&bytes[..size_of::<SetHead>()]);
        let below: &[u32] = bytemuck::cast_slice(&bytes[SET_BLOCK..]);
        let bounds = &bytes[head.first_bounds as usize * SET_BLOCK..];
        let (number, bound): (u128, Box<dyn Fn(u32) -> u128>) = match address {
            IpAddr::V4(v4) => {
                let bounds: &[u32] = bytemuck::cast_slice(bounds);
                (u32::from(v4).into(), Box::new(|at| bounds[at as usize].into()))
            }
            IpAddr::V6(v6) => {
                let bounds: &[[u64; 2]] = bytemuck::cast_slice(bounds);
                (v6.into(), Box::new(|at| joined(&bounds[at as usize])))
            }
        };
        let up_to = if number < joined(&head.lowest) {
            0
        } else if number >= joined(&head.highest) {
            head.bounds
        } else {
            let slice = ((number - joined(&head.lowest)) >> head.shift) as usize;
            let (from, to) = (below[slice], below[slice + 1]);
            from + (from..to).filter(|at| bound(*at) <= number).count() as u32
        };
        up_to & 1 == 1
    }

    fn is_in(set: &AddressSet, address: IpAddr) -> bool {
        let layout = if address.is_ipv4() { Layout::v4(set.v4()) } else { Layout::v6(set.v6()) };
        layout.is_some_and(|layout| contains(&layout, address))
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
