//! The bytes of a state, as snapshots carry them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use sluice_plan::{Epoch, Hash};

use super::tables::{self, Error};
use crate::state::{Plan, State};
use crate::{ClassKey, ReadBlobs, Step};

/// The first version had no number and begins with an incarnation, which is never 0.
const VERSION: [u8; 2] = [0, 2];

pub fn encode(state: &State) -> Vec<u8> {
    [VERSION.as_slice(), &tables::encode(state)].concat()
}

pub fn decode(bytes: &[u8]) -> Result<State, Error> {
    match bytes.strip_prefix(&VERSION) {
        Some(state) => tables::decode("snapshot", state),
        None => tables::decode::<First>("snapshot", bytes).map(State::from),
    }
}

/// Before there were address sets.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct First {
    epoch: Epoch,
    classes: BTreeMap<ClassKey, (Hash, Bytes)>,
    node_class: BTreeMap<String, ClassKey>,
    rings: Bytes,
    blobs: BTreeMap<String, Bytes>,
}

impl From<First> for State {
    fn from(first: First) -> State {
        let First { epoch, classes, node_class, rings, blobs } = first;
        let plan = |(hash, bytes)| Plan { hash, bytes, sets: Vec::new() };
        State {
            epoch,
            classes: Arc::new(classes.into_iter().map(|(key, stored)| (key, plan(stored))).collect()),
            node_class: Arc::new(node_class),
            rings,
            blobs: Arc::new(blobs),
            sets: Arc::default(),
            step: Step::default(),
            read: ReadBlobs::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::SetManifest;

    fn state() -> State {
        let plan = Plan { sets: vec!["bad".into()], ..Plan::new(Bytes::from_static(b"plan")) };
        State {
            classes: Arc::new([("edge".into(), plan)].into()),
            node_class: Arc::new([("node-1".to_owned(), "edge".into())].into()),
            blobs: Arc::new([("index".to_owned(), Bytes::from_static(b"{}"))].into()),
            sets: Arc::new([("bad".to_owned(), SetManifest::new(Bytes::from_static(b"manifest")))].into()),
            ..State::default()
        }
    }

    #[test]
    fn a_snapshot_comes_back() {
        assert_eq!(decode(&encode(&state())).unwrap(), state());
        assert!(decode(&[0, 3]).is_err(), "of a later version");
    }

    #[test]
    fn one_without_sets_is_still_read() {
        let State { epoch, classes, node_class, rings, blobs, sets: _, .. } = state();
        let first = First {
            epoch,
            classes: classes
                .iter()
                .map(|(key, plan)| (key.clone(), (plan.hash, plan.bytes.clone())))
                .collect(),
            node_class: (*node_class).clone(),
            rings,
            blobs: (*blobs).clone(),
        };
        let read = decode(&tables::encode(&first)).unwrap();
        let plan = Plan::new(Bytes::from_static(b"plan"));
        assert_eq!((*read.classes).clone(), [("edge".into(), plan)].into());
        assert_eq!((read.node_class, read.blobs, read.sets.len()), (node_class, blobs, 0));
    }
}
