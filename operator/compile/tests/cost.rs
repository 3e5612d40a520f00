//! What compiling a large policy costs.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use ipnet::{Ipv4Net, Ipv6Net};
use sluice_compile::{ClassInput, compile};
use sluice_policy::{
    Action, AttachMode, Filter, Hook, Interfaces, LaterFragments, Malformed, Match, Mode, NodeSelector,
    ObjectRef, PortRange, PrefixSet, Rule,
};

const RULES: u32 = 256;
const PREFIXES: u32 = 64;

/// Prefixes of both families that are spread over the whole address space and nest.
fn rule(number: u32) -> Rule {
    let spread = |index: u32| (number * PREFIXES + index).wrapping_mul(0x9e37_79b1);
    let v4 = |index| {
        Ipv4Net::new(Ipv4Addr::from_bits(spread(index)), 16 + (index % 17) as u8).expect("at most 32")
    };
    let v6 = |index| {
        let bits = u128::from(spread(index)) << 96 | u128::from(spread(index + 7)) << 64;
        Ipv6Net::new(Ipv6Addr::from_bits(bits), 32 + (index % 33) as u8).expect("at most 64")
    };
    let set = PrefixSet {
        v4: (0..PREFIXES / 2).map(v4).collect(),
        v6: (0..PREFIXES / 2).map(v6).collect(),
        ..PrefixSet::default()
    };
    Rule {
        name: format!("rule-{number}"),
        action: Action::Drop,
        mode: Mode::Enforce,
        later_fragments: LaterFragments::NoMatch,
        matches: Match { sources: Some(set.clone()), destinations: Some(set), ..Match::default() },
    }
}

fn filter() -> Filter {
    Filter {
        object: ObjectRef {
            kind: "XdpFilter".to_owned(),
            namespace: String::new(),
            name: "large".to_owned(),
            uid: "uid".to_owned(),
            generation: 1,
        },
        nodes: NodeSelector::default(),
        interfaces: Interfaces::default(),
        attach: AttachMode::Auto,
        hook: Hook::Xdp,
        mode: Mode::Enforce,
        priority: 0,
        default_action: Action::Next,
        malformed: Malformed::Pass,
        allow_established: false,
        expires: None,
        rollout: None,
        rules: (0..RULES).map(rule).collect(),
    }
}

/// The bound is far above what it takes (the median is printed), so that a busy machine does not fail it and a
/// quadratic step does.
#[test]
fn a_filter_at_its_bounds_compiles_fast() {
    let filter = filter();
    let input = ClassInput { filters: vec![&filter], ..ClassInput::default() };
    let mut times: Vec<Duration> = (0..5)
        .map(|_| {
            let start = Instant::now();
            compile(&input).expect("within bounds");
            start.elapsed()
        })
        .collect();
    times.sort();
    let plan = compile(&input).expect("within bounds");
    let rows = plan.filters.tables.rows.len() / size_of::<sluice_abi::Row>();
    println!("{RULES} rules with {PREFIXES} sources and destinations each: {:?}, {rows} rows", times[2]);
    assert!(times[0] < Duration::from_secs(2), "took {times:?}");
}

/// For a look by hand (`--nocapture`): what 10,000 rules of one kind cost, in time and memory.
#[test]
fn ten_thousand_rules_compile() {
    let filters: Vec<Filter> = (0..10).map(narrow_filter).collect();
    let input = ClassInput { filters: filters.iter().collect(), ..ClassInput::default() };
    let start = Instant::now();
    let plan = compile(&input).expect("within bounds");
    let large = &plan.filters.tables.large;
    println!(
        "10,000 rules: {:?}; {} nodes, {} children, {} + {} records, {} bytes in all",
        start.elapsed(),
        large.nodes.len() / size_of::<sluice_abi::Node>(),
        large.children.len() / 4,
        large.records_v4.len() / size_of::<sluice_abi::RecordV4>(),
        large.records_v6.len() / size_of::<sluice_abi::RecordV6>(),
        plan.encode().len(),
    );
    assert_eq!(plan.filters.tables.entries.len() / size_of::<sluice_abi::Entry>(), 10_000);
}

/// A thousand rules, each with a network, a protocol and a range of ports.
fn narrow_filter(number: u32) -> Filter {
    let rule = |index: u32| {
        let (number, spread) = (number * 1000 + index, (number * 1000 + index).wrapping_mul(0x9e37_79b1));
        let net =
            Ipv4Net::new(Ipv4Addr::from_bits(spread), 20 + (index % 13) as u8).expect("at most 32").trunc();
        let ports = PortRange { first: (number % 60_000) as u16, last: (number % 60_000 + index) as u16 };
        let sources = Some(PrefixSet { v4: vec![net], ..PrefixSet::default() });
        let matches =
            Match { sources, protocols: vec![6], destination_ports: vec![ports], ..Match::default() };
        Rule { name: format!("rule-{index}"), matches, ..rule(index) }
    };
    Filter { rules: (0..1000).map(rule).collect(), ..filter() }
}
