//! Node and interface selection.

use sluice_crds::{InterfaceSelector, LabelSelector, MAX_ENTRIES};
use sluice_policy::{Interfaces, NodeSelector, Requirement};

use crate::refusal::Checks;

const MAX_EXPRESSIONS: usize = 16;

pub(crate) fn nodes(found: Option<&LabelSelector>, path: &str, checks: &mut Checks) -> NodeSelector {
    let Some(found) = found else { return NodeSelector::default() };
    let path = format!("{path}.matchExpressions");
    let expressions = found.match_expressions.as_deref().unwrap_or_default();
    checks.at_most(expressions.len(), MAX_EXPRESSIONS, &path);
    let requirements = expressions.iter().enumerate().filter_map(|(index, expression)| {
        let values = expression.values.clone().unwrap_or_default();
        let (key, path) = (expression.key.clone(), format!("{path}[{index}]"));
        let takes_values = matches!(expression.operator.as_str(), "In" | "NotIn");
        let message = "In and NotIn need values, Exists and DoesNotExist take none: add or remove values";
        checks.require(takes_values != values.is_empty(), &path, message);
        match expression.operator.as_str() {
            "In" => Some(Requirement::In { key, values }),
            "NotIn" => Some(Requirement::NotIn { key, values }),
            "Exists" => Some(Requirement::Exists { key }),
            "DoesNotExist" => Some(Requirement::DoesNotExist { key }),
            other => {
                let message = format!("\"{other}\" is no operator: write In, NotIn, Exists or DoesNotExist");
                checks.refuse(format!("{path}.operator"), message);
                None
            }
        }
    });
    let requirements = requirements.collect();
    NodeSelector { match_labels: found.match_labels.clone().unwrap_or_default(), requirements }
}

pub(crate) fn interfaces(found: &InterfaceSelector, checks: &mut Checks) -> Interfaces {
    let path = "spec.interfaces";
    let selects = !found.names.is_empty() || !found.patterns.is_empty() || found.default_route;
    checks.require(selects, path, "nothing is selected: write names, patterns or defaultRoute: true");
    checks.at_most(found.names.len(), MAX_ENTRIES, "spec.interfaces.names");
    checks.at_most(found.patterns.len(), MAX_ENTRIES, "spec.interfaces.patterns");
    let has_strange =
        |text: &str| text.chars().any(|char| char == '/' || char == ':' || char.is_whitespace());
    for (index, name) in found.names.iter().enumerate() {
        let name = name.as_str();
        // IFNAMSIZ counts the terminating zero.
        if name.is_empty() || name.len() > 15 || name == "." || name == ".." || has_strange(name) {
            let way_out = "write a name as ip link shows it, at most 15 characters, without blanks, / and :";
            checks.refuse(
                format!("{path}.names[{index}]"),
                format!("\"{name}\" cannot be an interface: {way_out}"),
            );
        }
    }
    for (index, pattern) in found.patterns.iter().enumerate() {
        let pattern = pattern.as_str();
        if pattern.is_empty() || pattern.len() > 63 || has_strange(pattern) {
            let way_out = "write a shell pattern as eth* or ens[0-9], without blanks, / and :";
            checks.refuse(
                format!("{path}.patterns[{index}]"),
                format!("\"{pattern}\" can match no interface: {way_out}"),
            );
        }
    }
    Interfaces {
        names: found.names.iter().map(|name| name.as_str().to_owned()).collect(),
        patterns: found.patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        default_route: found.default_route,
    }
}
