//! Sets of addresses that filters name.

/// Most sets that the filters of a node name, each a bit of a word.
pub const MAX_SETS: usize = 32;
