//! Alerts and dashboard, held against the table of metrics, which another test holds against the programs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{find, render};

const PAGE: &str = include_str!("../../../docs/metrics.md");

/// What the table says: labels by name. Prometheus adds where it found a series.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let mut table: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut above = BTreeSet::new();
    for line in PAGE.lines().filter(|line| line.starts_with("| `sluice_")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let labels = if cells[3] == "the same" { above } else { words(cells[3]) };
        table.insert(cells[1].trim_matches('`').to_owned(), labels.clone());
        above = labels;
    }
    table
}

fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

const OF_THE_SCRAPE: [&str; 3] = ["instance", "pod", "namespace"];

fn alerts(objects: &[Value]) -> Vec<&Value> {
    let groups = find(objects, "PrometheusRule", "sluice")["spec"]["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect()
}

/// Every series that an expression names, with the labels that it asks for.
fn series(expression: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(at) = rest.find("sluice_") {
        let end = rest[at..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(|end| at + end);
        let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let matchers =
            behind.strip_prefix('{').and_then(|behind| behind.split_once('}')).map(|(within, _)| within);
        let labels =
            matchers.unwrap_or_default().split(',').filter_map(|matcher| matcher.split_once(['=', '!']));
        found.push((name[at..].to_owned(), labels.map(|(label, _)| label.trim().to_owned()).collect()));
        rest = behind;
    }
    found
}

/// The labels that an expression groups by.
fn groups(expression: &str) -> BTreeSet<String> {
    let clauses = expression.split(" by (").skip(1).filter_map(|rest| rest.split_once(')'));
    clauses.flat_map(|(labels, _)| words(labels)).collect()
}

/// No alert that never fires, and no panel that stays empty, for a name that is written wrong.
fn uses_what_is_there(place: &str, expression: &str) {
    let table = documented();
    let used = series(expression);
    assert!(!used.is_empty(), "{place}: {expression}");
    for (name, labels) in used {
        let known =
            table.get(&name).unwrap_or_else(|| panic!("{place}: {name} is no metric of docs/metrics.md"));
        let asked = labels.union(&groups(expression)).cloned().collect::<BTreeSet<_>>();
        let odd: Vec<_> =
            asked.difference(known).filter(|label| !OF_THE_SCRAPE.contains(&label.as_str())).collect();
        assert!(odd.is_empty(), "{place}: {name} has no {odd:?}");
    }
    for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
        assert_eq!(
            expression.matches(open).count(),
            expression.matches(close).count(),
            "{place}: {expression}"
        );
    }
}

#[test]
fn alerts_ask_for_series_that_are_there() {
    let objects = render(&["prometheusRule.enabled=true"]).unwrap();
    let alerts = alerts(&objects);
    assert!(alerts.len() > 10, "{alerts:?}");
    let mut names = BTreeSet::new();
    for alert in alerts {
        let name = alert["alert"].as_str().unwrap();
        assert!(name.starts_with("Sluice") && names.insert(name), "{name}");
        uses_what_is_there(name, alert["expr"].as_str().unwrap());
        assert!(["critical", "warning"].contains(&alert["labels"]["severity"].as_str().unwrap()), "{name}");
        for annotation in ["summary", "description"] {
            assert!(alert["annotations"][annotation].is_string(), "{name}: what it means, and the way out");
        }
    }
}

#[test]
fn the_dashboard_shows_series_that_are_there() {
    let objects = render(&["dashboard.enabled=true"]).unwrap();
    let json = find(&objects, "ConfigMap", "sluice-dashboard")["data"]["sluice.json"].as_str().unwrap();
    let dashboard: Value = serde_json::from_str(json).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let shown: Vec<_> = panels.iter().filter(|panel| panel["type"] != "row").collect();
    assert!(shown.len() > 15);
    for panel in shown {
        for target in panel["targets"].as_array().unwrap() {
            uses_what_is_there(panel["title"].as_str().unwrap(), target["expr"].as_str().unwrap());
        }
    }
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "two panels with one id are one to Grafana");
}

#[test]
fn a_series_is_scraped_once() {
    let error =
        format!("{:#}", render(&["podMonitor.enabled=true", "serviceMonitor.enabled=true"]).unwrap_err());
    assert!(error.contains("podMonitor.enabled and serviceMonitor.enabled"), "{error}");
}
