//! Of IPv4 addresses to rows, in three steps at most: the first element is that of the address's upper 16 bits, and an
//! element with [`BLOCK`] is the place of 256 others, for the next eight. Made by the loader from the
//! intervals, unless it became too large.

pub const ROOT: usize = 1 << 16;
pub const BLOCK: u32 = 1 << 31;
pub const BLOCK_LEN: usize = 256;
/// Most elements.
pub const MAX: usize = 1 << 20;
