//! Policies made by hand, each around one part of the semantics.

mod actions;
mod matching;
mod services;

use super::node::Node;

pub use services::balancer_alone;

/// A name and a node for each.
pub fn hand_made() -> anyhow::Result<Vec<(&'static str, Node)>> {
    let filters = matching::sets().into_iter().chain(actions::sets());
    let mut nodes: Vec<_> = filters
        .map(|(name, filters)| Ok((name, Node::new(filters, Vec::new())?)))
        .collect::<anyhow::Result<_>>()?;
    nodes.extend(services::nodes()?);
    Ok(nodes)
}

/// A filter with an entry for each kind of match, all of which the corpus meets.
pub fn one_of_each() -> anyhow::Result<Node> {
    Node::new(matching::one_of_each(), Vec::new())
}
