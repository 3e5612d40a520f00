//! What a node cannot hold is refused with the name of the filter that goes over.

use sluice_compile::{ClassInput, CompileError, MAX_AUDIT_RULES, MAX_FILTERS, compile};
use sluice_policy::{Filter, Mode};

use crate::policies::everything_dropped;

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
fn a_node_holds_1024_entries() {
    let mut filters: Vec<Filter> =
        (0..4).map(|number| filter(&format!("full-{number}"), 1, 256, Mode::Enforce)).collect();
    assert!(compile(&ClassInput { filters: filters.iter().collect(), ..ClassInput::default() }).is_ok());
    filters.push(filter("over", 0, 3, Mode::Enforce));
    let error = refusal(&filters).to_string();
    assert!(error.starts_with("XdpFilter/over: ") && error.contains("remove at least 3 rules"), "{error}");
}

#[test]
fn a_node_holds_64_filters() {
    let filters: Vec<Filter> =
        (0..=MAX_FILTERS).map(|number| filter(&format!("filter-{number:02}"), 0, 1, Mode::Enforce)).collect();
    assert_eq!(refusal(&filters).object().name, "filter-64");
}

#[test]
fn a_node_holds_64_audited_rules() {
    let filters = [filter("first", 1, MAX_AUDIT_RULES, Mode::Audit), filter("over", 0, 1, Mode::Audit)];
    let error = refusal(&filters);
    assert!(
        matches!(&error, CompileError::TooManyAuditRules { object, .. } if object.name == "over"),
        "{error}"
    );
}
