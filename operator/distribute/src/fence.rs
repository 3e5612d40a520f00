//! No time travel: whether our epochs come after what a node enforces.

use sluice_plan::Epoch;
use sluice_proto::v1;

/// The epoch that we cannot follow.
#[derive(Debug, PartialEq, Eq)]
pub struct Ahead(pub Epoch);

/// Within one incarnation only epochs of one store can be compared; a new incarnation is above all earlier ones,
/// whichever store they come from.
pub fn check(
    enforced: Option<Epoch>,
    enforced_of: &str,
    ours: Epoch,
    our_cluster: &str,
) -> Result<(), Ahead> {
    let Some(epoch) = enforced else { return Ok(()) };
    let same_store = enforced_of.is_empty() || enforced_of == our_cluster;
    let follows = epoch.incarnation < ours.incarnation || (same_store && epoch <= ours);
    if follows { Ok(()) } else { Err(Ahead(epoch)) }
}

pub fn from_wire(epoch: v1::Epoch) -> Epoch {
    let v1::Epoch { incarnation, term, index } = epoch;
    Epoch { incarnation, term, index }
}

pub fn to_wire(epoch: Epoch) -> v1::Epoch {
    let Epoch { incarnation, term, index } = epoch;
    v1::Epoch { incarnation, term, index }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_follows_only_what_it_can_be_compared_with() {
        let ours = (1, 2, 10);
        let refused = |epoch| Err(Ahead(at(epoch)));
        for (enforced, cluster, ours, expected) in [
            (None, "", ours, Ok(())),
            (Some((1, 2, 9)), "a", ours, Ok(())),
            (Some((1, 2, 10)), "a", ours, Ok(())),
            (Some((1, 1, 99)), "a", ours, Ok(())),
            (Some((1, 2, 11)), "a", ours, refused((1, 2, 11))),
            (Some((1, 3, 1)), "a", ours, refused((1, 3, 1))),
            (Some((2, 0, 0)), "a", ours, refused((2, 0, 0))),
            // Another store's number that happens to be lower says nothing.
            (Some((1, 2, 3)), "b", ours, refused((1, 2, 3))),
            (Some((1, 9, 99)), "b", (2, 1, 4), Ok(())),
            (Some((2, 1, 4)), "b", (2, 1, 4), refused((2, 1, 4))),
            (Some((1, 2, 3)), "", ours, Ok(())),
        ] {
            let checked = check(enforced.map(at), cluster, at(ours), "a");
            assert_eq!(checked, expected, "{enforced:?} of {cluster:?} against {ours:?}");
        }
    }

    fn at((incarnation, term, index): (u64, u64, u64)) -> Epoch {
        Epoch { incarnation, term, index }
    }
}
