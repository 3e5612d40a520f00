//! What is left of a class at each moment at which something of it ends.

use std::collections::BTreeSet;

use sluice_index::Class;
use sluice_proto::MAX_SUCCESSORS;

/// The next moments, in Unix milliseconds, each with the class without what has ended by then. What ends later is found by
/// whoever plans after the first of them.
pub fn ends(class: &Class, now: i64) -> impl Iterator<Item = (i64, Class)> {
    let moments: BTreeSet<i64> = class.filters.iter().filter_map(|filter| filter.expires).collect();
    moments.into_iter().filter(move |at| *at > now).take(MAX_SUCCESSORS).map(|at| {
        let mut rest = class.clone();
        rest.filters.retain(|filter| !filter.has_ended(at));
        (at, rest)
    })
}
