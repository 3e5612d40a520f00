//! A few entries as straight-line code: each comparison is a constant of the program, so that the loader keeps what it
//! asks for and removes the rest.

/// Most comparisons that the entries of a node come to for the plan to have them in this form.
pub const MAX_STRAIGHT: usize = 32;

/// One comparison of an entry, which matches if any of its comparisons does: whichever of the [`tests`] is set must
/// hold. They are in the order of their entries.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Straight {
    /// Halves in host order, masked; IPv4 as `::ffff:a.b.c.d`.
    pub source: [u64; 2],
    pub source_mask: [u64; 2],
    pub destination: [u64; 2],
    pub destination_mask: [u64; 2],
    /// First and last, host byte order.
    pub source_ports: [u16; 2],
    pub destination_ports: [u16; 2],
    /// Bits of [`tests`]; zero: its entry does not apply on this interface.
    pub tests: u16,
    pub protocol: u8,
    /// An `EntryAction` as a number, Pass or Drop.
    pub action: u8,
    pub entry: u16,
    /// The entry's counter slot; the loader sets it.
    pub slot: u16,
    /// Sets of the plan, as bits.
    pub source_sets: u32,
    pub destination_sets: u32,
}

pub mod tests {
    /// The comparison is there; alone, it matches everything.
    pub const APPLIES: u16 = 1;
    pub const FAMILY_V4: u16 = 1 << 1;
    pub const FAMILY_V6: u16 = 1 << 2;
    pub const SOURCE: u16 = 1 << 3;
    pub const DESTINATION: u16 = 1 << 4;
    pub const PROTOCOL: u16 = 1 << 5;
    pub const SOURCE_PORT: u16 = 1 << 6;
    pub const DESTINATION_PORT: u16 = 1 << 7;
    /// A later fragment's ports, which are in the first one, count as right.
    pub const LATER: u16 = 1 << 8;
    /// Malformed packets only.
    pub const MALFORMED: u16 = 1 << 9;
    /// In any of the sets.
    pub const SOURCE_SETS: u16 = 1 << 10;
    pub const DESTINATION_SETS: u16 = 1 << 11;
    /// Packets that a connection of the node's own takes.
    pub const ESTABLISHED: u16 = 1 << 12;
}
