//! Tables of the plan that are one value each to the kernel: the program addresses their elements, where a look-up in a
//! map would be a dozen instructions with a detour through memory.
//!
//! Here are their numbers, by which `Config::last` has what keeps an index within.

pub const ENTRIES: usize = 0;
pub const ROWS: usize = 1;
pub const DIRECT: usize = 2;
pub const SRC4: usize = 3;
pub const DST4: usize = 4;
pub const SRC6: usize = 5;
pub const DST6: usize = 6;
/// A row for each port.
pub const SPORT: usize = 7;
pub const DPORT: usize = 8;
pub const ICMP: usize = 9;
pub const LENGTH: usize = 10;
pub const OUTER_VLAN: usize = 11;
pub const INNER_VLAN: usize = 12;
pub const ETHER_TYPE: usize = 13;
pub const SOURCE_MAC: usize = 14;
pub const DESTINATION_MAC: usize = 15;
pub const BITS: usize = 16;
pub const RANKS: usize = 17;
pub const NODES: usize = 18;
pub const CHILDREN: usize = 19;
pub const RECORDS4: usize = 20;
pub const RECORDS6: usize = 21;
/// See [`trie`](crate::trie).
pub const SOURCE_TRIE: usize = 22;
pub const DESTINATION_TRIE: usize = 23;
pub const COUNT: usize = 24;

/// What their sections in the object are called behind [`SECTION`].
pub const NAMES: [&str; COUNT] = [
    "ENTRIES",
    "ROWS",
    "DIRECT",
    "SRC4",
    "DST4",
    "SRC6",
    "DST6",
    "SPORT",
    "DPORT",
    "ICMP",
    "LENGTH",
    "OUTER_VLAN",
    "INNER_VLAN",
    "ETHER_TYPE",
    "SOURCE_MAC",
    "DESTINATION_MAC",
    "BITS",
    "RANKS",
    "NODES",
    "CHILDREN",
    "RECORDS4",
    "RECORDS6",
    "SOURCE_TRIE",
    "DESTINATION_TRIE",
];
pub const SECTION: &str = ".data.";
