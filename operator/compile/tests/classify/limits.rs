//! What a node cannot hold is refused with the name of the filter that goes over.

use sluice_abi::{Entry, Limit};
use sluice_compile::{ClassInput, CompileError, MAX_CONTINUING_RULES, MAX_FILTERS, MAX_MAC_RANGES, compile};
use sluice_policy::{
    Action, Filter, IcmpFamily, IcmpMatch, Layer, LimitKey, MacMatch, Match, Mode, PayloadMatch, PortRange,
    PrefixSet, Rate, RateLimit,
};

use crate::policies::everything_dropped;
use crate::tables::elements;

/// `rules` rules named after their number.
fn filter(name: &str, priority: i32, rules: usize, mode: Mode) -> Filter {
    let mut filter = everything_dropped().remove(0);
    filter.object.name = name.to_owned();
    filter.priority = priority;
    let model = filter.rules.remove(0);
    filter.rules = (0..rules)
        .map(|number| {
            let mut rule = model.clone();
            rule.name = format!("rule-{number}");
            rule.mode = mode;
            rule
        })
        .collect();
    filter
}

fn refusal(filters: &[Filter]) -> CompileError {
    compile(&ClassInput { filters: filters.iter().collect(), ..ClassInput::default() })
        .expect_err("over a bound")
}

#[test]
fn a_node_holds_10240_entries() {
    let narrow = |name: &str, priority, rules| {
        let mut filter = filter(name, priority, rules, Mode::Enforce);
        for (number, rule) in (0..).zip(&mut filter.rules) {
            let port = PortRange { first: number, last: number };
            rule.matches = Match { destination_ports: vec![port], ..Match::default() };
        }
        filter
    };
    let mut filters: Vec<Filter> = (0..10).map(|number| narrow(&format!("full-{number}"), 1, 1024)).collect();
    assert!(compile(&ClassInput { filters: filters.iter().collect(), ..ClassInput::default() }).is_ok());
    filters.push(narrow("over", 0, 3));
    let error = refusal(&filters).to_string();
    assert!(error.starts_with("XdpFilter/over: ") && error.contains("remove at least 3 rules"), "{error}");
}

/// Bits are for what the trees cannot take.
#[test]
fn of_more_than_1024_entries_few_may_be_wide() {
    let filters = [filter("first", 1, 1000, Mode::Enforce), filter("over", 0, 25, Mode::Enforce)];
    let error = refusal(&filters);
    assert!(matches!(&error, CompileError::TooManyWide { object, .. } if object.name == "over"), "{error}");
}

#[test]
fn combinations_of_long_lists_are_bounded() {
    let mut filter = filter("lists", 0, 1100, Mode::Enforce);
    for (number, rule) in (0..).zip(&mut filter.rules) {
        let ports = |from: u16| {
            (0..64).map(|port| PortRange { first: from + 4 * port, last: from + 4 * port }).collect()
        };
        rule.matches =
            Match { source_ports: ports(number), destination_ports: ports(number), ..Match::default() };
    }
    let error = refusal(&[filter]);
    assert!(
        matches!(&error, CompileError::TooManyCombinations { object, limit: 65_536, .. } if object.name == "lists"),
        "{error}"
    );
}

#[test]
fn rules_that_only_differ_otherwise_are_refused_with_the_number() {
    let mut filter = filter("alike", 0, 3000, Mode::Enforce);
    for (number, rule) in (0..).zip(&mut filter.rules) {
        let icmp = IcmpMatch {
            family: IcmpFamily::V4,
            icmp_type: Some((number / 256) as u8),
            code: Some((number % 256) as u8),
        };
        rule.matches = Match { protocols: vec![1], icmp: vec![icmp], ..Match::default() };
    }
    let error = refusal(&[filter]).to_string();
    assert!(error.starts_with("XdpFilter/alike: ") && error.contains("holds 1024 of these"), "{error}");
}

#[test]
fn a_node_holds_64_filters() {
    let filters: Vec<Filter> =
        (0..=MAX_FILTERS).map(|number| filter(&format!("filter-{number:02}"), 0, 1, Mode::Enforce)).collect();
    assert_eq!(refusal(&filters).object().name, "filter-64");
}

#[test]
fn a_node_holds_64_rules_that_packets_go_on_from() {
    let audited = filter("first", 1, MAX_CONTINUING_RULES, Mode::Audit);
    let counting = |name, priority, rules| {
        let mut filter = filter(name, priority, rules, Mode::Enforce);
        filter.rules.iter_mut().for_each(|rule| rule.action = Action::Count);
        filter
    };
    let half = MAX_CONTINUING_RULES / 2;
    for filters in [
        vec![audited.clone(), filter("over", 0, 1, Mode::Audit)],
        vec![audited, counting("over", 0, 1)],
        vec![counting("a", 2, half), filter("b", 1, half, Mode::Audit), counting("over", 0, 1)],
    ] {
        let error = refusal(&filters);
        assert!(
            matches!(&error, CompileError::TooManyContinuingRules { object, total: 65, .. } if object.name == "over"),
            "{error}"
        );
    }
}

#[test]
fn a_node_holds_16384_ranges_of_ethernet_addresses() {
    let widest = MacMatch { address: [0, 0, 0, 0, 0, 1], mask: [0xff, 0xff, 0xff, 0xff, 0xfc, 1] };
    let each = widest.ranges() as usize;
    let mut full = filter("full", 1, MAX_MAC_RANGES / each, Mode::Enforce);
    full.rules.iter_mut().for_each(|rule| rule.matches.source_macs = vec![widest]);
    let mut over = filter("over", 0, 1, Mode::Enforce);
    over.rules[0].matches.destination_macs = vec![widest];
    assert!(compile(&ClassInput { filters: vec![&full], ..ClassInput::default() }).is_ok());
    let error = refusal(&[full, over]).to_string();
    assert!(error.starts_with("XdpFilter/over: ") && error.contains("it holds 16384"), "{error}");
}

#[test]
fn a_node_holds_32_different_patterns() {
    let pattern =
        |offset: u16| PayloadMatch { from: Layer::L4, offset, value: vec![1, 2], mask: vec![0xff, 0x0f] };
    let mut full = filter("full", 1, 40, Mode::Enforce);
    for (number, rule) in (0..).zip(&mut full.rules) {
        rule.matches.payload = vec![pattern(number % 32), pattern(0)];
    }
    let mut over = filter("over", 0, 1, Mode::Enforce);
    over.rules[0].matches.payload = vec![pattern(32)];
    assert!(compile(&ClassInput { filters: vec![&full], ..ClassInput::default() }).is_ok());
    let error = refusal(&[full, over]).to_string();
    assert!(error.starts_with("XdpFilter/over: ") && error.contains("33 different patterns"), "{error}");
}

#[test]
fn a_node_holds_32_address_sets() {
    let named = |number: usize| {
        Some(PrefixSet { sets: vec![format!("set-{number}"), "set-0".to_owned()], ..PrefixSet::default() })
    };
    let mut full = filter("full", 1, 40, Mode::Enforce);
    for (number, rule) in full.rules.iter_mut().enumerate() {
        rule.matches.destinations = named(number % 32);
    }
    let mut over = filter("over", 0, 1, Mode::Enforce);
    over.rules[0].matches.sources = named(32);
    assert!(compile(&ClassInput { filters: vec![&full], ..ClassInput::default() }).is_ok());
    let error = refusal(&[full, over]).to_string();
    assert!(error.starts_with("XdpFilter/over: ") && error.contains("33 address sets"), "{error}");
}

/// It is two entries, which must not take twice the rate.
#[test]
fn a_rule_with_prefixes_and_sets_has_one_rate() {
    let mut filter = filter("rates", 0, 2, Mode::Enforce);
    for rule in &mut filter.rules {
        rule.action = Action::RateLimit(RateLimit {
            rate: Rate::PacketsPerSecond(1000),
            burst: 1000,
            per: LimitKey::Rule,
        });
        rule.matches.sources = Some(PrefixSet {
            v4: vec!["192.0.2.0/24".parse().expect("a prefix")],
            sets: vec!["ten".to_owned()],
            ..PrefixSet::default()
        });
    }
    let plan =
        compile(&ClassInput { filters: vec![&filter], ..ClassInput::default() }).expect("within bounds");
    let entries: Vec<Entry> = elements(&plan.filters.tables.entries);
    let limits = plan.filters.tables.limits.len() / size_of::<Limit>();
    let found: Vec<(u16, u16)> = entries.iter().map(|entry| (entry.rule, entry.setting)).collect();
    assert_eq!((limits, found), (2, vec![(0, 0), (0, 0), (1, 1), (1, 1)]));
}
