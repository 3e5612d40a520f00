//! Fewer policies that still show a disagreement.

use sluice_policy::Filter;

use crate::packets::Named;

use super::judge::compare;
use super::mismatch::Mismatch;
use super::node::Node;

/// Leaves out filters and rules one by one, as long as the packet is still judged differently.
pub fn shrink(node: &Node, mut found: Mismatch) -> Mismatch {
    let packet = [Named { name: found.packet.clone(), frame: found.frame.clone() }];
    let mut filters = node.world.filters.clone();
    let mut still_differs = |filters: &[Filter]| -> bool {
        let Ok(smaller) = node.with_filters(filters.to_vec()) else { return false };
        let result = compare(&smaller, &smaller.plan, &packet);
        match result.map_err(|error| error.downcast::<Mismatch>()) {
            Err(Ok(mismatch)) => {
                found = mismatch;
                true
            }
            _ => false,
        }
    };
    for index in (0..filters.len()).rev() {
        let mut fewer = filters.clone();
        fewer.remove(index);
        if still_differs(&fewer) {
            filters = fewer;
        }
    }
    for filter in 0..filters.len() {
        for rule in (0..filters[filter].rules.len()).rev() {
            let mut fewer = filters.clone();
            fewer[filter].rules.remove(rule);
            if still_differs(&fewer) {
                filters = fewer;
            }
        }
    }
    found
}
