//! More rules than a row has bits, so that trees decide: the same policies as ever before a thousand others.

use sluice_policy::{Action, Filter, Match, PortRange};

use crate::oracle::build::{destination_ports, filter, from, rule};

/// Rules behind all others. Few packets come from these networks.
pub fn others() -> Filter {
    let rules = (0..1100u16).map(|number| {
        let source = format!("198.18.{}.{}/29", number / 32, number % 32 * 8);
        let port = 1000 + number;
        let matches = Match {
            sources: from(&[&source], &[]).sources,
            destination_ports: vec![PortRange { first: port, last: port + 9 }],
            ..Match::default()
        };
        rule(&format!("other-{number}"), Action::Drop, matches)
    });
    Filter { priority: i32::MIN, ..filter("zz-others", Action::Next, rules.collect()) }
}

/// A policy before the others: where each rule goes depends on what it asks for.
pub fn before_others(mut filters: Vec<Filter>) -> Vec<Filter> {
    filters.push(others());
    filters
}

/// Every port has a rule of its own, and every second one a later fragment too.
pub fn ports_alone() -> Vec<Filter> {
    let rules = (0..1500u16).map(|number| {
        let action = if number % 2 == 0 { Action::Drop } else { Action::Pass };
        let matches =
            Match { protocols: vec![6, 17], ..destination_ports(&[(number * 40, number * 40 + 39)]) };
        rule(&format!("ports-{number}"), action, matches)
    });
    vec![filter("ports", Action::Drop, rules.collect())]
}
