//! The program's maps and its constants. Sizes given here are placeholders: the loader sets each table's from the plan.

use aya_ebpf::Global;
use aya_ebpf::btf_maps::{Array, ArrayOfMaps, HashMap, PerCpuArray, RingBuf};
use aya_ebpf::macros::btf_map;
use sluice_abi::{
    Bit, Bound32, Bound64, Bound128, Bucket, Config, ControlPeer, Counter, DecapPeer, Entry,
    FAILSAFE_BUCKETS, FullAt, LIMIT_BUCKETS, LIMIT_REGIONS, Limit, MAX_NODE_SET, MAX_SLOTS, Mark, NextHop,
    Node, NodeAddress, Pattern, RecordV4, RecordV6, Row, SAMPLE_RING, SET_BLOCK, SET_PLACES, STAGED_OFFSET,
    STATS, Sample, Target, Trace, Vip, VipKey, table,
};

use crate::classify::Found;
use crate::table::Table;

const SHARED_COUNTERS: usize = STAGED_OFFSET as usize;
const SHARED_STATS: usize = 2 * STATS as usize;
const SHARED_BUCKETS: usize = 2 * FAILSAFE_BUCKETS as usize;
const SHARED_TOKENS: usize = (LIMIT_REGIONS * LIMIT_BUCKETS) as usize;
const SHARED_SLOTS: usize = MAX_SLOTS as usize;
const NODE_SET: usize = MAX_NODE_SET as usize;
/// Fill in what is unused: a lookup costs the same, and the kernel allocates elements on insertion.
const BPF_F_NO_PREALLOC: usize = 1;

#[unsafe(no_mangle)]
pub static CONFIG: Global<Config> = Global::new(Config::EMPTY);

/// Tables of the plan, each in a section of its name.
macro_rules! tables {
    ($($section:literal $name:ident: $element:ty),* $(,)?) => { $(
        #[unsafe(no_mangle)]
        #[unsafe(link_section = $section)]
        pub static $name: Table<$element, { table::$name }> = Table::new();
    )* };
}

tables! {
    ".data.ENTRIES" ENTRIES: Entry,
    ".data.ROWS" ROWS: Row,
    ".data.DIRECT" DIRECT: u32,
    ".data.SRC4" SRC4: Bound32,
    ".data.DST4" DST4: Bound32,
    ".data.SRC6" SRC6: Bound128,
    ".data.DST6" DST6: Bound128,
    ".data.SPORT" SPORT: u32,
    ".data.DPORT" DPORT: u32,
    ".data.ICMP" ICMP: Bound32,
    ".data.LENGTH" LENGTH: Bound32,
    ".data.OUTER_VLAN" OUTER_VLAN: Bound32,
    ".data.INNER_VLAN" INNER_VLAN: Bound32,
    ".data.ETHER_TYPE" ETHER_TYPE: Bound32,
    ".data.SOURCE_MAC" SOURCE_MAC: Bound64,
    ".data.DESTINATION_MAC" DESTINATION_MAC: Bound64,
    ".data.BITS" BITS: Bit,
    ".data.RANKS" RANKS: u32,
    ".data.NODES" NODES: Node,
    ".data.CHILDREN" CHILDREN: u32,
    ".data.RECORDS4" RECORDS4: RecordV4,
    ".data.RECORDS6" RECORDS6: RecordV6,
    ".data.SOURCE_TRIE" SOURCE_TRIE: u32,
    ".data.DESTINATION_TRIE" DESTINATION_TRIE: u32,
}

#[btf_map]
pub static PATTERNS: Array<Pattern, 1> = Array::new();
/// The AND of the rows of the details, for the packet at hand, and the OR of those of a side's address sets.
#[btf_map]
pub static DETAILS: PerCpuArray<Row, 2> = PerCpuArray::new();

/// The blocks of a family of an address set. The loader makes them as they are, with flags of its own.
pub type SetBlocks = Array<[u64; SET_BLOCK / size_of::<u64>()], 1>;
/// The address sets of the node.
#[btf_map]
pub static SETS: ArrayOfMaps<SetBlocks, { 2 * SET_PLACES as usize }> = ArrayOfMaps::new();

#[btf_map]
pub static FOUND: PerCpuArray<Found, 1> = PerCpuArray::new();

#[btf_map]
pub static LIMITS: Array<Limit, 1> = Array::new();
/// Region of each limit: regions belong to this node, the tables to the plan.
#[btf_map]
pub static REGIONS: Array<u32, 1> = Array::new();
#[btf_map]
pub static TOKENS: Array<FullAt, SHARED_TOKENS> = Array::new();

#[btf_map]
pub static MARKS: Array<Mark, 1> = Array::new();

#[btf_map]
pub static COUNTERS: PerCpuArray<Counter, SHARED_COUNTERS> = PerCpuArray::new();
#[btf_map(name = "STATS")]
pub static STATISTICS: PerCpuArray<u64, SHARED_STATS> = PerCpuArray::new();
#[btf_map]
pub static TRACE: Array<Trace, 1> = Array::new();

/// Samples of dropped packets, and what is left of each slot's share.
#[btf_map]
pub static SAMPLES: RingBuf<Sample, { SAMPLE_RING as usize }> = RingBuf::new();
#[btf_map]
pub static SAMPLE_TOKENS: Array<FullAt, SHARED_SLOTS> = Array::new();

/// Of the trace points, which share nothing with the packets' program.
#[btf_map]
pub static EXCEPTIONS: PerCpuArray<u64, { sluice_abi::EXCEPTIONS as usize }> = PerCpuArray::new();

#[btf_map]
pub static NODE_ADDRS: HashMap<NodeAddress, u8, NODE_SET, BPF_F_NO_PREALLOC> = HashMap::new();
#[btf_map]
pub static PEERS: HashMap<ControlPeer, u8, NODE_SET, BPF_F_NO_PREALLOC> = HashMap::new();
#[btf_map]
pub static PEER_PORTS: Array<u64, 1> = Array::new();
#[btf_map]
pub static BUCKETS: Array<Bucket, SHARED_BUCKETS> = Array::new();

#[btf_map]
pub static VIPS: HashMap<VipKey, Vip, 1, BPF_F_NO_PREALLOC> = HashMap::new();
#[btf_map]
pub static RING: Array<u32, 1> = Array::new();
#[btf_map]
pub static TARGETS: Array<Target, 1> = Array::new();
#[btf_map]
pub static NEXT_HOPS: Array<NextHop, 1> = Array::new();
#[btf_map]
pub static TARGET_SLOTS: Array<u32, 1> = Array::new();
#[btf_map]
pub static VIP_SLOTS: Array<u32, 1> = Array::new();
#[btf_map]
pub static DECAP: HashMap<DecapPeer, u8, 1, BPF_F_NO_PREALLOC> = HashMap::new();
