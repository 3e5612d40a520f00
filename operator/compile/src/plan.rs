use std::collections::BTreeSet;

use sluice_plan::{Balancers, NodePlan};
use sluice_policy::Filter;

use crate::error::CompileError;
use crate::input::ClassInput;
use crate::{balancers, filters};

/// Compiles what one class of nodes has to enforce.
///
/// # Errors
/// A bound of the data plane is passed; the error names the object that passes it.
pub fn compile(input: &ClassInput) -> Result<NodePlan, CompileError> {
    let (filters, entries) = filters::filters(&input.filters)?;
    let (parts, tables) = balancers::balancers(&input.balancers, entries)?;
    let balancer_nodes = input.balancer_nodes.iter().copied().collect();
    Ok(NodePlan {
        filters,
        balancers: Balancers { parts, tables, balancer_nodes },
        failsafe: input.failsafe.clone(),
        sets: sets(&input.filters),
    })
}

/// Names of the address sets that these filters use.
fn sets(filters: &[&Filter]) -> Vec<String> {
    let rules = filters.iter().flat_map(|filter| &filter.rules);
    let sides = rules.flat_map(|rule| [&rule.matches.sources, &rule.matches.destinations]);
    let names: BTreeSet<&String> = sides.flatten().flat_map(|side| &side.sets).collect();
    names.into_iter().cloned().collect()
}
