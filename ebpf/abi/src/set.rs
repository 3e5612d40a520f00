//! Sets of addresses that filters name, as the kernel looks them up.
//!
//! Each family of a set is its sorted *bounds*: every first address in the set, and every first one behind. An address is
//! in the set if the number of bounds at or below it is odd.
//!
//! To find that number, a [`SetNode`] cuts the addresses from its lowest bound to its highest into *buckets* of one size,
//! half full on average: whatever is needed of a bucket is in one or two lines of the cache. Each is cut further into 32
//! *cells*, and a bit for each says whether any address of the cell is in the set: of random addresses that are not, most
//! end there, in a table that is small enough to stay in the cache. Where bounds are crowded, a bucket names the node that
//! cuts it again. So a look-up takes the same few accesses wherever the addresses lie.
//!
//! All of it is in blocks: in block 0 the [`SetHead`] and, from there on as elements of the same size, the nodes; then
//! the bits (32 for each bucket), the buckets, and the bounds of nodes that are searched.

/// Most sets that the filters of a node name, each a bit of a word.
pub const MAX_SETS: usize = 32;
/// Places for sets on a node, each for both families: a plan's and those of the plan before it.
pub const SET_PLACES: u32 = 2 * MAX_SETS as u32;
/// Bytes of a block, the value of a set's map.
pub const SET_BLOCK: usize = 4096;
/// Most nodes that a look-up goes through; the last searches among all of its bounds.
pub const SET_DEPTH: u32 = 8;
/// Steps of a search among the most bounds that a family has.
pub const SET_SEARCH_STEPS: u32 = 22;
/// Bits for each bucket.
pub const SET_CELLS: u32 = u32::BITS;

/// Element of the map of all sets.
#[inline(always)]
pub const fn set_place(place: u32, is_v6: bool) -> u32 {
    2 * place + is_v6 as u32
}

/// Where block 0 says that the other parts begin, in blocks. As long as a node.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct SetHead {
    pub cells: u32,
    pub buckets: u32,
    pub bounds: u32,
    pub reserved: [u32; 13],
}

/// Node `i` is element `i + 1` of the blocks; node 0 has all bounds. The cell of an address is
/// `((address - lowest) >> shift) * scale >> 32`, its bucket a 32nd of that.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct SetNode {
    /// Its first and last bound, high and low half in host order; an IPv4 address is the low half.
    pub lowest: [u64; 2],
    pub highest: [u64; 2],
    /// 0: there are no buckets, and all of the bounds are searched.
    pub scale: u64,
    /// Leaves at most 32 bits.
    pub shift: u32,
    /// Its first bucket among all; of one that is searched, its first bound among those that are.
    pub first: u32,
    /// Bounds below its lowest.
    pub below: u32,
    /// Its own.
    pub bounds: u32,
    pub reserved: [u32; 2],
}

/// Of a bucket that a node cuts further: its `below` is the node.
pub const CUT_BUCKET: u32 = u32::MAX;

/// A line of the cache. Free places hold the last of all addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct BucketV4 {
    pub bounds: [u32; 14],
    /// Bounds below all of it.
    pub below: u32,
    /// Its own, or [`CUT_BUCKET`].
    pub count: u32,
}

/// As [`BucketV4`], in two lines.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct BucketV6 {
    /// High and low half.
    pub bounds: [[u64; 2]; 7],
    pub below: u32,
    pub count: u32,
    pub reserved: [u32; 2],
}
