//! What a test run (ingress interface 1) leaves behind for simulate, explain and the self-test.

/// Which part of the pipeline decided.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing decided: the packet passes.
    None = 0,
    Failsafe = 1,
    Filter = 2,
    Balancer = 3,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Trace {
    /// A [`Stage`] as a number.
    pub stage: u8,
    pub malformed: u8,
    /// Entry that decided, or `u16::MAX`.
    pub entry: u16,
    /// First audited entry that would have dropped, or `u16::MAX`.
    pub audited: u16,
    pub reserved: [u16; 3],
    /// Target that the balancer chose, or `NO_TARGET`.
    pub target: u32,
    /// Set before a run: the time by which rates are judged, in ns. 0: rates let the packet through and take no note of it.
    pub now: u64,
    /// What the filters marked, whatever became of the packet.
    pub mark: crate::Mark,
}
