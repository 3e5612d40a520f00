//! Marks: XDP comes before there is a packet buffer (skb) to mark, so it leaves the mark in the metadata in front of the
//! frame, and a program on the same interface's tcx ingress takes it from there.

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Mark {
    /// None of its bits are outside of the mask.
    pub value: u32,
    pub mask: u32,
}

/// What lies right in front of the frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkMetadata {
    /// [`MARK_TAG`]: other metadata is not for us.
    pub tag: u32,
    pub mark: Mark,
}

/// "SLMK" in memory.
pub const MARK_TAG: u32 = u32::from_le_bytes(*b"SLMK");
