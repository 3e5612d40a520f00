//! The filters of a plan and the classifier's tables.

use serde::{Deserialize, Serialize};

use crate::Hash;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filters {
    /// In evaluation order.
    pub parts: Vec<FilterPart>,
    pub tables: FilterTables,
}

/// The object behind a part of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PolicyRef {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub generation: i64,
    /// Hash of the validated policy: what `status.hash` shows.
    pub hash: Hash,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterPart {
    pub policy: PolicyRef,
    pub interfaces: Interfaces,
    pub attach: AttachMode,
    pub hook: Hook,
    pub audit: bool,
    /// Entries `first..end` of the tables are this filter's.
    pub first: u16,
    pub end: u16,
    /// Rule names in order; entry `first + i` is rule `i`.
    pub rules: Vec<String>,
}

/// As in the API; resolved by each agent against its own interfaces, so that one that comes later is covered too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interfaces {
    pub names: Vec<String>,
    pub patterns: Vec<String>,
    pub default_route: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AttachMode {
    #[default]
    Auto,
    Native,
    Generic,
}

/// Where packets meet a filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Hook {
    #[default]
    Xdp,
    TcIngress,
    TcEgress,
}

/// Contents of the kernel's tables; element types are those of `sluice-abi`, as bytes in the machine's order
/// (little endian: the data plane is built for `bpfel`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterTables {
    /// `sluice_abi::features`: one bit per used dimension, ENTRIES, CONTINUING, LIMITS, MARKS.
    pub features: u64,
    /// Words of each row in use.
    pub words: u32,
    /// `[Dimension; dimension::COUNT]`.
    pub dimensions: Vec<u8>,
    /// `[Entry]`.
    pub entries: Vec<u8>,
    /// `[Straight]`, one for each entry, where the features have `STRAIGHT`; then there are no rows.
    pub straight: Vec<u8>,
    /// `[Row]`.
    pub rows: Vec<u8>,
    /// `[u32]`: row of each directly indexed value, up to the last one of the dimensions in use.
    pub direct: Vec<u8>,
    /// `[Bound32]` or, for the IPv6 dimensions, `[Bound128]`, by dimension index; empty where unused.
    pub bounds: Vec<Vec<u8>>,
    pub large: LargeTables,
    /// `[Limit]`, by `Entry::setting` of entries that limit a rate.
    pub limits: Vec<u8>,
    /// `[Mark]`, by `Entry::setting` of entries that mark.
    pub marks: Vec<u8>,
    /// `[Pattern]`: bit `i` of the groups of payload dimensions says whether pattern `i` holds.
    pub patterns: Vec<u8>,
}

/// What is there beside the rows where a node has more entries than a row has bits; otherwise all of it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeTables {
    /// Words of each row whose bits are entries.
    pub wide_words: u32,
    /// `[Bit]`.
    pub bits: Vec<u8>,
    /// `[u32]`: by entry, the first bit of the wide entries from it on.
    pub ranks: Vec<u8>,
    /// `[[u32; TREES]; family::COUNT]`.
    pub roots: Vec<u8>,
    /// `[Node]`.
    pub nodes: Vec<u8>,
    /// `[u32]`.
    pub children: Vec<u8>,
    /// `[RecordV4]`.
    pub records_v4: Vec<u8>,
    /// `[RecordV6]`.
    pub records_v6: Vec<u8>,
}
