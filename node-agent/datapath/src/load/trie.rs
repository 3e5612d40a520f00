//! From the intervals of a dimension, which are in order from 0 on, to what the kernel program looks up in one step, or in
//! three.

use sluice_abi::{Bound32, trie};

/// The row of each port.
pub fn ports(bounds: &[Bound32]) -> Vec<u32> {
    const PORTS: usize = 1 << 16;
    let mut rows = vec![0; PORTS];
    for (at, bound) in bounds.iter().enumerate() {
        let end = bounds.get(at + 1).map_or(PORTS, |next| next.start as usize).min(PORTS);
        rows[(bound.start as usize).min(end)..end].fill(bound.row);
    }
    rows
}

/// See [`trie`]. `None` if it would be too large.
pub fn addresses(bounds: &[Bound32]) -> Option<Vec<u32>> {
    let mut trie = Trie(vec![0; trie::ROOT]);
    for (at, bound) in bounds.iter().enumerate() {
        let last = bounds.get(at + 1).map_or(u32::MAX, |next| next.start - 1);
        trie.put(0, bound.start, last, 16, bound.row)?;
    }
    Some(trie.0)
}

struct Trie(Vec<u32>);

impl Trie {
    /// Gives the row to the addresses from `first` to `last`, which lie below the elements from `block` on; each of these
    /// stands for addresses that differ in `below` bits.
    fn put(&mut self, block: usize, first: u32, last: u32, below: u32, row: u32) -> Option<()> {
        let length = if below == 16 { trie::ROOT } else { trie::BLOCK_LEN };
        let place = |address: u32| block + (address as usize >> below) % length;
        let rest = (1 << below) - 1;
        let (mut from, mut to) = (place(first), place(last) + 1);
        // Elements at the ends that are not whole.
        if first & rest != 0 || (from + 1 == to && last & rest != rest) {
            let block = self.block(from)?;
            let end = if from + 1 == to { last } else { first | rest };
            self.put(block, first, end, below - 8, row)?;
            from += 1;
        }
        if from < to && last & rest != rest {
            let block = self.block(to - 1)?;
            self.put(block, last & !rest, last, below - 8, row)?;
            to -= 1;
        }
        self.0[from..to].fill(row);
        Some(())
    }

    /// The block below an element.
    fn block(&mut self, place: usize) -> Option<usize> {
        let found = self.0[place];
        if found & trie::BLOCK != 0 {
            return Some((found & !trie::BLOCK) as usize);
        }
        let block = self.0.len();
        if block + trie::BLOCK_LEN > trie::MAX {
            return None;
        }
        self.0.resize(block + trie::BLOCK_LEN, found);
        self.0[place] = trie::BLOCK | block as u32;
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(starts: &[u32]) -> Vec<Bound32> {
        (1..).zip(starts).map(|(row, start)| Bound32 { start: *start, row }).collect()
    }

    fn searched(bounds: &[Bound32], value: u32) -> u32 {
        bounds[bounds.partition_point(|bound| bound.start <= value) - 1].row
    }

    fn stepped(trie: &[u32], address: u32) -> u32 {
        let mut found = trie[address as usize >> 16];
        for below in [8, 0] {
            if found & trie::BLOCK == 0 {
                break;
            }
            found = trie[(found & !trie::BLOCK) as usize + (address as usize >> below) % trie::BLOCK_LEN];
        }
        found
    }

    #[test]
    fn both_end_where_a_search_does() {
        let tables: [&[u32]; 6] = [
            &[0],
            &[0, 0xc000_0200, 0xc000_0300],
            &[0, 0xc000_0201, 0xc000_0202],
            &[0, 1, 0xffff_ffff],
            &[0, 0x0a00_0000, 0x0a00_00ff, 0x0a00_0100, 0x0a01_0001, 0x0aff_0000, 0x0b00_0000],
            &[0, 0x00ff_ffff, 0x0100_0000, 0x0100_0001, 0x7fff_ff00, 0x8000_00ff],
        ];
        for starts in tables {
            let bounds = bounds(starts);
            let trie = addresses(&bounds).expect("small");
            for address in
                starts.iter().flat_map(|start| [start.wrapping_sub(1), *start, start.wrapping_add(1)])
            {
                assert_eq!(
                    stepped(&trie, address),
                    searched(&bounds, address),
                    "{address:#x} in {starts:x?}"
                );
            }
        }
        let bounds = bounds(&[0, 53, 54, 1000, 65_535]);
        let ports = ports(&bounds);
        for port in [0, 52, 53, 54, 999, 1000, 65_534, 65_535] {
            assert_eq!(ports[port as usize], searched(&bounds, port), "{port}");
        }
    }

    #[test]
    fn random_intervals_too() {
        // Crowded ones, spread ones, and some of both.
        for (seed, mask) in [(1u32, 0x0000_ffff), (2, 0xffff_ffff), (3, 0x0f00_0fff)] {
            let mut random = seed;
            let mut next = || {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                random.rotate_left(16) & mask
            };
            let mut starts: Vec<u32> = std::iter::once(0).chain((0..500).map(|_| next())).collect();
            starts.sort_unstable();
            starts.dedup();
            let bounds = bounds(&starts);
            let trie = addresses(&bounds).expect("small");
            for _ in 0..20_000 {
                let address = next();
                assert_eq!(stepped(&trie, address), searched(&bounds, address), "{address:#x}");
            }
        }
    }

    #[test]
    fn what_would_be_too_large_is_none() {
        let spread: Vec<u32> = (0..3000).map(|number| number * 0x0010_1011).collect();
        assert_eq!(addresses(&bounds(&spread)), None);
    }
}
