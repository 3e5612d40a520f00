//! Policies made by hand, each around one part of the semantics.

mod actions;
mod link;
mod many;
mod matching;
mod network;
mod payload;
mod services;
mod sets;

use super::node::Node;

pub use many::before_others;
pub use services::balancer_alone;
pub use sets::one_of_each as one_of_each_set;

/// A name and a node for each.
pub fn hand_made() -> anyhow::Result<Vec<(&'static str, Node)>> {
    let filters = [matching::sets(), link::sets(), network::sets(), payload::sets(), actions::sets()];
    let filters = filters.into_iter().flatten();
    let mut nodes: Vec<_> = filters
        .map(|(name, filters)| Ok((name, Node::new(filters, Vec::new())?)))
        .collect::<anyhow::Result<_>>()?;
    nodes.extend(services::nodes()?);
    nodes.extend(sets::nodes()?);
    nodes.push(("ports alone", ports_alone()?));
    Ok(nodes)
}

/// Those of [`hand_made`] with filters, before a thousand other rules.
pub fn hand_made_among_many() -> anyhow::Result<Vec<(&'static str, Node)>> {
    let filters = matching::sets().into_iter().chain(payload::sets()).chain(actions::sets());
    let nodes =
        filters.map(|(name, filters)| Ok((name, Node::new(many::before_others(filters), Vec::new())?)));
    nodes.chain([Ok(("address sets", sets::among_many()?))]).collect()
}

/// More rules than bits, of which ports say which it is.
pub fn ports_alone() -> anyhow::Result<Node> {
    Node::new(many::ports_alone(), Vec::new())
}

/// [`one_of_each`] before a thousand other rules.
pub fn one_of_each_among_many() -> anyhow::Result<Node> {
    Node::new(many::before_others(matching::one_of_each()), Vec::new())
}

/// A filter with an entry for each kind of match, all of which the corpus meets.
pub fn one_of_each() -> anyhow::Result<Node> {
    Node::new(matching::one_of_each(), Vec::new())
}
