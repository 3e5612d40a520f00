//! Which traces an update continues: agreed on beside the plans, so that every replica hands them on.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sluice_plan::{Hash, encode};

use crate::{ClassKey, State};

/// Blob with them. None where nothing is traced.
pub const TRACES: &str = "traces";

/// Edits that are on their way to the nodes of each class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    /// As W3C writes trace contexts.
    classes: BTreeMap<ClassKey, Vec<String>>,
    /// The highest place of a node that is traced.
    up_to: u64,
}

impl Traces {
    /// Of the nodes of a fleet so many are traced, the same ones each time.
    pub fn new(classes: BTreeMap<ClassKey, Vec<String>>, traced: usize, nodes: usize) -> Traces {
        let share = u64::MAX / nodes.max(1) as u64;
        let up_to = if traced >= nodes { u64::MAX } else { share.saturating_mul(traced as u64) };
        Traces { classes, up_to }
    }

    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    pub fn encoded(&self) -> Bytes {
        encode(self).into()
    }

    fn of(&self, class: &ClassKey, node: &str) -> Vec<String> {
        if place(node) > self.up_to {
            return Vec::new();
        }
        self.classes.get(class).cloned().unwrap_or_default()
    }
}

impl State {
    /// Traces that an update of this node continues.
    pub fn traces(&self, node: &str) -> Vec<String> {
        let Some(bytes) = self.blobs.get(TRACES).filter(|bytes| !bytes.is_empty()) else { return Vec::new() };
        // Of a later version: its agents are traced by replicas of that version.
        let Ok(traces) = sluice_plan::decode::<Traces>(bytes) else { return Vec::new() };
        self.node_class.get(node).map(|class| traces.of(class, node)).unwrap_or_default()
    }
}

fn place(node: &str) -> u64 {
    let Hash(bytes) = Hash::of(node.as_bytes());
    bytes.iter().take(8).fold(0, |place, byte| place << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_as_many_nodes_are_traced_as_are_wanted_and_all_of_a_small_fleet() {
        let class = ClassKey("c".to_owned());
        let traced = |wanted: usize, nodes: usize| {
            let classes = BTreeMap::from([(class.clone(), vec!["trace".to_owned()])]);
            let traces = Traces::new(classes, wanted, nodes);
            (0..nodes).filter(|index| !traces.of(&class, &format!("node-{index}")).is_empty()).count()
        };
        assert_eq!([traced(100, 1), traced(100, 100), traced(0, 50)], [1, 100, 0]);
        let of_many = traced(100, 5_000);
        assert!((60..=140).contains(&of_many), "{of_many}");
    }
}
