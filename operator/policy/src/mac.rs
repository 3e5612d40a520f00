use serde::{Deserialize, Serialize};

/// All Ethernet addresses that have the bits of `address` where the mask has ones; elsewhere it has zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MacMatch {
    pub address: [u8; 6],
    pub mask: [u8; 6],
}

impl MacMatch {
    /// How many ranges of consecutive addresses one may stand for.
    pub const MOST_RANGES: u64 = 1024;

    /// How many ranges of consecutive addresses it stands for: each free bit above the lowest one that counts doubles
    /// them.
    pub fn ranges(&self) -> u64 {
        1 << (48 - self.mask_bits().count_ones() - self.free_below())
    }

    /// First and last address of each range, as numbers, ascending.
    pub fn spans(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        let within = (1u64 << self.free_below()) - 1;
        let free = !self.mask_bits() & ((1 << 48) - 1) & !within;
        let first = self.address_bits();
        // Counts through the free bits alone: the others carry over.
        let next =
            move |setting: &u64| Some((setting | !free).wrapping_add(1) & free).filter(|next| *next != 0);
        std::iter::successors(Some(0), next).map(move |setting| (first | setting, first | setting | within))
    }

    /// Free bits below the lowest one that counts, which lie within each range.
    pub fn free_below(&self) -> u32 {
        self.mask_bits().trailing_zeros().min(48)
    }

    pub fn address_bits(&self) -> u64 {
        bits(self.address)
    }

    pub fn mask_bits(&self) -> u64 {
        bits(self.mask)
    }
}

/// An Ethernet address as the number that its octets make.
fn bits([a, b, c, d, e, f]: [u8; 6]) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_ranges_of_numbers() {
        let spans = |address, mask| MacMatch { address, mask }.spans().collect::<Vec<_>>();
        assert_eq!(spans([2, 0, 0, 0, 0, 1], [0xff; 6]), [(0x0200_0000_0001, 0x0200_0000_0001)]);
        let vendor = spans([2, 0, 0x5e, 0, 0, 0], [0xff, 0xff, 0xff, 0, 0, 0]);
        assert_eq!(vendor, [(0x0200_5e00_0000, 0x0200_5eff_ffff)]);
        let groups = spans([1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]);
        assert_eq!(groups.len(), 128);
        assert_eq!(groups[1], (0x0300_0000_0000, 0x03ff_ffff_ffff));
        assert_eq!(groups[127], (0xff00_0000_0000, 0xffff_ffff_ffff));
    }
}
