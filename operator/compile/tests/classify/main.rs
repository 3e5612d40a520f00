//! Compiled tables against the policy itself, without a kernel: a plain reading of the tables classifies packets as the
//! program does, and a direct evaluation of the rules says what should come out.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod judge;
mod limits;
mod many;
mod packet;
mod policies;
mod probes;
mod straight;
mod tables;
mod trees;

use proptest::prelude::*;
use sluice_abi::{dimension, features};
use sluice_compile::{ClassInput, compile};
use sluice_plan::NodePlan;
use sluice_policy::{Filter, Mode};

use crate::packet::{Outcome, Packet};
use crate::probes::probes;
use crate::tables::Tables;

fn plan(filters: &[Filter]) -> NodePlan {
    compile(&ClassInput { filters: filters.iter().collect(), ..ClassInput::default() })
        .expect("within bounds")
}

/// The first probe on which tables and policy disagree.
fn disagreement(filters: &[Filter], plan: &NodePlan) -> Option<String> {
    let tables = Tables::decode(plan);
    let ordered = judge::ordered(filters);
    probes(filters).into_iter().find_map(|packet| {
        let (expected, found) = (judge::judge(&ordered, &packet), tables.classify(&packet));
        (expected != found).then(|| format!("{packet:?}: policy says {expected:?}, tables say {found:?}"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn tables_decide_as_the_policies_say(filters in policies::filters()) {
        prop_assert_eq!(disagreement(&filters, &plan(&filters)), None);
    }

    #[test]
    fn equal_input_in_any_order_gives_equal_bytes(filters in policies::filters()) {
        let mut reversed = filters.clone();
        reversed.reverse();
        prop_assert_eq!(plan(&filters), plan(&reversed));
    }
}

#[test]
fn a_flipped_bit_is_found() {
    let filters = policies::sample();
    let sound = plan(&filters);
    assert_eq!(disagreement(&filters, &sound), None);
    let mut tried = 0;
    for flip in tables::flips(&sound) {
        let broken = flip.apply(&sound);
        assert!(disagreement(&filters, &broken).is_some(), "nobody notices {flip:?}");
        tried += 1;
    }
    assert!(tried > 20, "only {tried} flips");
}

#[test]
fn a_dimension_that_no_rule_uses_costs_nothing() {
    let filters = policies::everything_dropped();
    let tables = plan(&filters).filters.tables;
    assert_eq!(tables.features, sluice_abi::features::ENTRIES | sluice_abi::features::STRAIGHT);
    assert!(tables.bounds.iter().all(Vec::is_empty));
}

/// Entry and dimension are there where a filter asks, before its rules, and nothing is where none does.
#[test]
fn established_connections_are_asked_for_where_a_filter_lets_them_be() {
    let closed = policies::everything_dropped().remove(0);
    let open = Filter { allow_established: true, ..closed.clone() };
    let features = |filters: &[Filter]| plan(filters).filters.tables.features;
    assert_eq!(features(std::slice::from_ref(&closed)) & features::DETAILS, 0);
    let asked = features::dimension(dimension::ESTABLISHED);
    assert_eq!(features(std::slice::from_ref(&open)) & features::DETAILS, asked);

    let above = Filter { priority: 1, object: policies::empty("above").object, ..closed.clone() };
    let audited = Filter { mode: Mode::Audit, ..above.clone() };
    for (filters, established, other) in [
        (vec![open.clone()], "closed/_established", "closed/all"),
        (vec![audited, open.clone()], "closed/_established", "closed/all"),
        (vec![above, open.clone()], "above/all", "above/all"),
        (vec![Filter { mode: Mode::Audit, ..open }, closed], "closed/all", "closed/all"),
    ] {
        let tables = Tables::decode(&plan(&filters));
        for (taken, expected) in [(true, established), (false, other)] {
            let Outcome { dropped, decided, .. } =
                tables.classify(&Packet { established: taken, ..Packet::default() });
            let decided = decided.map(|(filter, rule)| format!("{filter}/{rule}"));
            assert_eq!(decided.as_deref(), Some(expected));
            assert_eq!(dropped, !expected.ends_with("_established"));
        }
    }
}
