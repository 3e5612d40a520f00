//! The tables as they grow: what is there already is not stored again.

use std::collections::HashMap;

use sluice_abi::{Node, family, leaf};

#[derive(Default)]
pub struct Store {
    pub nodes: Vec<Node>,
    pub children: Vec<u32>,
    /// By family: the regions of all leaves, leaf by leaf.
    pub leaves: [Vec<u32>; family::COUNT],
    known: Known,
}

/// For look-up only: its order never reaches the output.
#[derive(Default)]
struct Known {
    nodes: HashMap<Node, u32>,
    children: HashMap<Vec<u32>, u32>,
    leaves: [HashMap<Vec<u32>, u32>; family::COUNT],
}

impl Store {
    /// The child that holds these regions.
    pub fn leaf(&mut self, of: usize, regions: &[u32]) -> u32 {
        if regions.is_empty() {
            return leaf::EMPTY;
        }
        if let Some(child) = self.known.leaves[of].get(regions) {
            return *child;
        }
        let child = leaf::of(self.leaves[of].len() as u32, regions.len() as u32);
        self.leaves[of].extend(regions);
        self.known.leaves[of].insert(regions.to_vec(), child);
        child
    }

    /// The child that is this node; where all its children are the same, that child.
    pub fn node(&mut self, node: Node, children: Vec<u32>) -> u32 {
        if children.iter().all(|child| *child == children[0]) {
            return children[0];
        }
        let first = match self.known.children.get(&children) {
            Some(first) => *first,
            None => {
                let first = self.children.len() as u32;
                self.children.extend(&children);
                self.known.children.insert(children, first);
                first
            }
        };
        let node = Node { children: first, ..node };
        *self.known.nodes.entry(node).or_insert_with(|| {
            self.nodes.push(node);
            self.nodes.len() as u32 - 1
        })
    }
}
