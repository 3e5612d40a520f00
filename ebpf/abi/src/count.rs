//! Counters: a per-CPU array of [`Counter`], pinned for the node's life and shared by every program.

/// Slots for rules, defaults and balancer targets on one node. The agent keeps which (policy uid, name) owns which. As
/// many as two plans of [`MAX_ENTRIES`](crate::MAX_ENTRIES) need, because while one replaces the other both count; 96
/// bytes each on every CPU, which is 2.3 MiB, 144 MiB on 64 CPUs.
pub const MAX_SLOTS: u32 = 24_576;
/// Counters of one slot, one per [`Counted`].
pub const VERDICTS: u32 = 6;
/// Test runs (ingress interface 1, the loopback) count from here on, so that they never touch live counters: in the
/// node's map this is its end, and nothing is counted.
pub const STAGED_OFFSET: u32 = MAX_SLOTS * VERDICTS;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Counter {
    pub packets: u64,
    /// Frame length from the Ethernet header on, without FCS.
    pub bytes: u64,
}

/// What happened to a packet at an entry: element `counted * slots + slot` of the counter array. What usually happens to
/// neighbouring rules is the same, so that their counters share cache lines.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Pass = 0,
    Drop = 1,
    Next = 2,
    /// Matched in Audit: it would have done its action.
    Audited = 3,
    /// At a VIP: too long after encapsulation. The backend that it was for counts it as dropped, too.
    Oversize = 4,
    /// The packet went on with the next rule: that is the rule's action.
    Continue = 5,
}

/// Elements of the per-CPU array of node statistics.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stat {
    /// Every packet seen.
    Packets = 0,
    Malformed = 1,
    FailsafePassed = 2,
    /// Failsafe packets above the source's rate, which the rules then judged.
    FailsafeLimited = 3,
    Transmitted = 4,
    /// No healthy backend behind the VIP.
    NoBackend = 5,
    /// Too long after encapsulation for the next hop's MTU; see [`Counted::Oversize`].
    Oversize = 6,
    Decapsulated = 7,
    /// No next hop known for the backend.
    NoNextHop = 8,
    /// Encapsulated packets whose outer source is no balancer of the plan.
    DecapRefused = 9,
    /// Packets to a VIP that had no hop left for the way to the backend.
    HopLimitExceeded = 10,
    /// Packets without the mark of a rule, because the driver has no room for metadata.
    Unmarked = 11,
    /// Samples of drops that found the ring full.
    SamplesLost = 12,
    /// Drops that were not sampled because their rule had its share.
    SamplesSuppressed = 13,
    /// No number, but where this CPU last counted [`Stat::Unmarked`]: an interface's index.
    UnmarkedAt = 14,
}
/// Elements of the statistics array; the second half is for test runs.
pub const STATS: u32 = 16;
