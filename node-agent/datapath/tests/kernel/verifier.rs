//! The verifier takes the program whatever the plan's constants are, and does not take long.

use std::time::{Duration, Instant};

use sluice_abi::{
    Bit, DecapPeer, EntryAction, MAX_BITS, MAX_PATTERNS, MAX_STRAIGHT, Node, PATTERN_BYTES, Pattern,
    Straight, TREES, WORDS, dimension::*, family, features, kind, leaf, tests,
};
use sluice_datapath::ProgramBounds;
use sluice_datapath::load::{LoadSpec, load};
use sluice_plan::{LargeTables, NodePlan};

use super::balancer;
use super::tables::Tables;

/// Verified instructions that no plan may exceed: the time of a load is theirs.
const MOST_VERIFIED: u32 = 40_000;
/// Beside trees each of the records of a leaf is one more turn.
const MOST_VERIFIED_WITH_TREES: u32 = 120_000;

/// All stages on; `entries` entries of which the first continues or not, and `intervals` in each searched dimension.
fn plan(entries: usize, continues: bool, intervals: u32, used: impl Fn(usize) -> bool) -> NodePlan {
    let mut actions = vec![(EntryAction::Drop, 0); entries];
    if continues {
        actions[0].0 = EntryAction::RateLimit;
    }
    let starts: Vec<(u32, &[usize])> = (0..intervals).map(|interval| (interval, &[0][..])).collect();
    let starts_mac: Vec<(u64, &[usize])> =
        (0..intervals).map(|interval| (u64::from(interval) << 16, &[0][..])).collect();
    let starts_v6: Vec<(u128, &[usize])> =
        (0..intervals).map(|interval| (u128::from(interval) << 64, &[0][..])).collect();
    let mut tables = Tables::new(&actions);
    for (index, first, length) in [
        (KIND, DIRECT_KIND, kind::KINDS),
        (PROTOCOL, DIRECT_PROTOCOL, 257),
        (TCP_FLAGS, DIRECT_TCP_FLAGS, 256),
        (HOP_LIMIT, DIRECT_HOP_LIMIT, 256),
        (TRAFFIC_CLASS, DIRECT_TRAFFIC_CLASS, 256),
        (IP_OPTIONS, DIRECT_IP_OPTIONS, 257),
        (EXTENSION_HEADERS, DIRECT_EXTENSION_HEADERS, 256),
        (PAYLOADS, payload_group(0), 512),
        (PAYLOADS + 1, payload_group(1), 512),
        (PAYLOADS + 2, payload_group(2), 512),
        (PAYLOADS + 3, payload_group(3), 512),
    ] {
        if used(index) {
            tables = tables.direct(index, (first, length), &[0], &[]).special(index, &[0], &[0]);
        }
    }
    if used(ESTABLISHED) {
        tables = tables.direct(ESTABLISHED, (DIRECT_ESTABLISHED, 2), &[], &[(1, &[0])]);
    }
    if (PAYLOADS..SOURCE_SETS).any(&used) {
        let pattern = Pattern { length: PATTERN_BYTES as u32, ..Pattern::default() };
        tables = tables.patterns(&[pattern; MAX_PATTERNS]);
    }
    for index in [SOURCE_PORT, DESTINATION_PORT, ICMP, LENGTH, OUTER_VLAN, INNER_VLAN, ETHER_TYPE] {
        if used(index) {
            tables = tables.searched(index, &starts, &[0], &[0]);
        }
    }
    for index in [SOURCE_MAC, DESTINATION_MAC] {
        if used(index) {
            tables = tables.searched_mac(index, &starts_mac, &[0]);
        }
    }
    for (v4, v6) in [(SOURCE_V4, SOURCE_V6), (DESTINATION_V4, DESTINATION_V6)] {
        if used(v4) {
            tables = tables.searched(v4, &starts, &[0], &[0]).searched_v6(v6, &starts_v6, &[0]);
        }
    }
    NodePlan { filters: tables.plan().filters, ..balancer::plan() }
}

fn verified(plan: &NodePlan) -> u32 {
    let spec = LoadSpec { decap: vec![DecapPeer::default()], ..LoadSpec::everything(plan) };
    let loaded = load(plan, &spec).unwrap_or_else(|error| panic!("{error}"));
    let facts = loaded.facts().expect("facts");
    // Far from what an agent refuses, so that other kernels and machines may take more.
    let bounds = ProgramBounds::default();
    assert!(facts.jited_size <= bounds.jited_bytes / 2, "{} bytes", facts.jited_size);
    assert!(facts.verified_instructions <= bounds.verified_instructions / 4);
    facts.verified_instructions
}

#[test]
fn plans_of_every_size_are_verified() {
    let mut most = 0;
    for continues in [false, true] {
        for entries in [1, 64, 65, 128, 500, MAX_BITS - 64, MAX_BITS - 1, MAX_BITS] {
            most = most.max(verified(&plan(entries, continues, 3, |_| true)));
        }
        for intervals in [1, 2, 3, 7, 8, 9, 1000, 65_535] {
            most = most.max(verified(&plan(200, continues, intervals, |_| true)));
        }
    }
    println!("{most} instructions verified at most");
    assert!(most <= MOST_VERIFIED, "{most}");
}

#[test]
fn plans_with_any_dimensions_are_verified() {
    for continues in [false, true] {
        // Each alone, each left out, and none.
        for index in (0..COUNT).filter(|index| ![SOURCE_V6, DESTINATION_V6].contains(index)) {
            verified(&plan(130, continues, 5, |other| other == index));
            verified(&plan(130, continues, 5, |other| other != index));
        }
        verified(&plan(130, continues, 5, |_| false));
    }
}

#[test]
fn entries_as_constants_are_verified() {
    let every = tests::APPLIES | tests::SOURCE | tests::DESTINATION | tests::PROTOCOL | tests::SOURCE_PORT;
    let every = every | tests::DESTINATION_PORT | tests::LATER | tests::MALFORMED | tests::ESTABLISHED;
    for family in [0, tests::FAMILY_V4, tests::FAMILY_V6] {
        let straight = Straight {
            source_mask: [u64::MAX; 2],
            destination_mask: [u64::MAX; 2],
            tests: every | family,
            ..Straight::default()
        };
        let mut plan = plan(MAX_STRAIGHT, false, 1, |_| false);
        plan.filters.tables.features |= features::STRAIGHT | features::dimension(ESTABLISHED);
        plan.filters.tables.straight = bytemuck::cast_slice(&[straight; MAX_STRAIGHT]).to_vec();
        let most = verified(&plan);
        println!("{most} instructions verified");
        assert!(most <= MOST_VERIFIED, "{most}");
    }
}

#[test]
fn plans_with_every_tree_are_verified() {
    for continues in [false, true] {
        for wide_words in [0, 1, WORDS as u32] {
            let mut plan = plan(MAX_BITS, continues, 1000, |_| true);
            let tables = &mut plan.filters.tables;
            tables.features |= features::LARGE;
            tables.large = LargeTables {
                wide_words,
                bits: vec![0; MAX_BITS * size_of::<Bit>()],
                ranks: vec![0; MAX_BITS * size_of::<u32>()],
                // Node 0 in every tree of both families.
                roots: vec![0; family::COUNT * TREES * size_of::<u32>()],
                nodes: vec![0; size_of::<Node>()],
                children: leaf::EMPTY.to_ne_bytes().to_vec(),
                ..LargeTables::default()
            };
            let found = verified(&plan);
            println!("{found} instructions verified with trees, {wide_words} words wide");
            assert!(found <= MOST_VERIFIED_WITH_TREES, "{found}");
        }
    }
}

#[test]
fn a_load_is_a_matter_of_milliseconds() {
    let plan = plan(200, true, 100, |_| true);
    let spec = LoadSpec::everything(&plan);
    let time = |_| {
        let start = Instant::now();
        let loaded = load(&plan, &spec).unwrap_or_else(|error| panic!("{error}"));
        (start.elapsed(), loaded).0
    };
    let fastest = (0..10).map(time).min().expect("ten loads");
    println!("{fastest:?} for the fastest load");
    // Far above what it takes, so that a busy machine does not fail it: reading the kernel's BTF again would.
    assert!(fastest < Duration::from_millis(250), "{fastest:?}");
}
