//! What becomes of a packet, by the interpreter or by the kernel's own program.

mod decision;
mod interpreted;
mod kernel;

use sluice_policy::Interfaces;

use crate::args::{Hook, Place, PolicyFiles};
use crate::policies::{self, Policies};

pub use decision::{Decision, Line as DecisionLine};
pub use interpreted::{Explanation, Interpreter};
pub use kernel::Kernel;

/// Stands for the one interface of the simulated node.
const INTERFACE: &str = "simulated";

/// The policies that are in force at the place.
pub fn read_for(files: &PolicyFiles, place: &Place) -> anyhow::Result<Policies> {
    let mut policies = policies::read(files)?;
    narrow(&mut policies, place);
    if policies.filters.is_empty() && policies.balancers.is_empty() {
        eprintln!("note: no policy selects {}: every packet meets the failsafe alone", words(place));
    }
    note_connections(&policies);
    Ok(policies)
}

/// Which connections a node has is not known here.
pub fn note_connections(policies: &Policies) {
    if policies.filters.iter().any(|filter| filter.allow_established) {
        eprintln!(
            "note: no packet here is of a connection that the node has: allowEstablished lets none pass"
        );
    }
}

/// Leaves out what does not select the place; the rest then selects the simulated interface.
pub fn narrow(policies: &mut Policies, place: &Place) {
    let labels = place.node_labels.as_ref().map(|labels| labels.iter().cloned().collect());
    let is_node =
        |nodes: &sluice_policy::NodeSelector| labels.as_ref().is_none_or(|labels| nodes.matches(labels));
    let is_here =
        |interfaces: &Interfaces| place.interface.as_ref().is_none_or(|name| selects(interfaces, name));
    policies.filters.retain(|filter| {
        filter.hook == place.hook.into() && is_node(&filter.nodes) && is_here(&filter.interfaces)
    });
    policies.balancers.retain(|balancer| {
        place.hook == Hook::Xdp && is_node(&balancer.nodes) && is_here(&balancer.interfaces)
    });
    let simulated = Interfaces { names: vec![INTERFACE.to_owned()], ..Interfaces::default() };
    policies.filters.iter_mut().for_each(|filter| filter.interfaces = simulated.clone());
    policies.balancers.iter_mut().for_each(|balancer| balancer.interfaces = simulated.clone());
}

fn selects(interfaces: &Interfaces, name: &str) -> bool {
    let fits = |pattern: &String| glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(name));
    interfaces.names.iter().any(|known| known == name) || interfaces.patterns.iter().any(fits)
}

fn words(place: &Place) -> String {
    let labels = place.node_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let node = labels.collect::<Vec<_>>().join(",");
    match (&place.interface, place.node_labels.is_some()) {
        (Some(name), true) => format!("{name} by name or pattern on a node with the labels {node}"),
        (Some(name), false) => format!("{name} by name or pattern"),
        (None, _) => format!("a node with the labels {node}"),
    }
}
