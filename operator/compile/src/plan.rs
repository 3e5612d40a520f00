use sluice_plan::{Balancers, NodePlan, Schema};
use sluice_policy::Filter;

use crate::error::CompileError;
use crate::input::ClassInput;
use crate::{balancers, filters, sets};

/// Compiles what one class of nodes has to enforce.
///
/// # Errors
/// A bound of the data plane is passed; the error names the object that passes it.
pub fn compile(input: &ClassInput) -> Result<NodePlan, CompileError> {
    let (filters, entries) = filters::filters(&input.filters)?;
    let (parts, tables) = balancers::balancers(&input.balancers, entries)?;
    let balancer_nodes = input.balancer_nodes.iter().copied().collect();
    let sets = sets::names(input.filters.iter().copied());
    Ok(NodePlan {
        schema: Schema::NEWEST,
        filters,
        balancers: Balancers { parts, tables, balancer_nodes },
        failsafe: input.failsafe.clone(),
        sets: sets.into_iter().map(str::to_owned).collect(),
        confirm_ms: confirm_ms(&input.filters),
    })
}

/// The least that any filter asks for: whatever changes on the node is tried as the most careful of them is.
fn confirm_ms(filters: &[&Filter]) -> u32 {
    let timeouts = filters.iter().filter_map(|filter| filter.rollout.as_ref()?.confirm_timeout);
    timeouts.min().map_or(0, |least| u32::try_from(least.as_millis()).unwrap_or(u32::MAX))
}
