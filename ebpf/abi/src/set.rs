//! Sets of addresses that filters name, as the kernel looks them up.
//!
//! Each family of a set is its sorted *bounds*: every first address in the set, and every first one behind. An address is
//! in the set if the number of bounds at or below it is odd. To find that number, the addresses from the lowest bound to
//! the highest are cut into *slices* of one size, and a table says how many bounds are below each; it remains to search
//! among those in the address's own slice, of which there is mostly none or one.
//!
//! All of it lies in blocks: the [`SetHead`]; from block 1 on the number below each slice, and that below the end; from
//! [`SetHead::first_bounds`] on the bounds, an IPv4 one as `u32`, an IPv6 one as its high and low half.

/// Most sets that the filters of a node name, each a bit of a word.
pub const MAX_SETS: usize = 32;
/// Places for sets on a node, each for both families: a plan's and those of the plan before it.
pub const SET_PLACES: u32 = 2 * MAX_SETS as u32;
/// Bytes of a block, the value of a set's map.
pub const SET_BLOCK: usize = 4096;
/// Most bounds of a family, and so the steps of a search among all of them.
pub const SET_SEARCH_STEPS: u32 = 22;
/// Numbers below slices in a block.
pub const SLICES_OF_BLOCK: u32 = (SET_BLOCK / size_of::<u32>()) as u32;
pub const BOUNDS_V4_OF_BLOCK: u32 = (SET_BLOCK / size_of::<u32>()) as u32;
pub const BOUNDS_V6_OF_BLOCK: u32 = (SET_BLOCK / size_of::<[u64; 2]>()) as u32;

/// Element of the map of all sets.
#[inline(always)]
pub const fn set_place(place: u32, is_v6: bool) -> u32 {
    2 * place + is_v6 as u32
}

/// What block 0 begins with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct SetHead {
    /// The first and the last bound, high and low half in host order; an IPv4 address is the low half.
    pub lowest: [u64; 2],
    pub highest: [u64; 2],
    /// Of an address above the lowest: how many of its last bits its slice does not depend on.
    pub shift: u32,
    /// How many there are.
    pub bounds: u32,
    /// Block that the bounds begin in.
    pub first_bounds: u32,
    pub reserved: u32,
}
