//! The hand-made frames.

use std::collections::BTreeSet;

use super::{failsafe, fragments, ipv4, ipv6, layer4, link, malformed, network, services};

#[derive(Clone, Debug)]
pub struct Named {
    pub name: String,
    pub frame: Vec<u8>,
}

/// Collects frames; names are unique.
#[derive(Default)]
pub(super) struct Corpus {
    frames: Vec<Named>,
    names: BTreeSet<String>,
}

impl Corpus {
    pub fn add(&mut self, name: impl Into<String>, frame: Vec<u8>) {
        let name = name.into();
        assert!(self.names.insert(name.clone()), "two frames are named {name:?}");
        self.frames.push(Named { name, frame });
    }
}

pub fn corpus() -> Vec<Named> {
    let mut corpus = Corpus::default();
    link::add(&mut corpus);
    ipv4::add(&mut corpus);
    ipv6::add(&mut corpus);
    fragments::add(&mut corpus);
    network::add(&mut corpus);
    layer4::add(&mut corpus);
    malformed::add(&mut corpus);
    failsafe::add(&mut corpus);
    services::add(&mut corpus);
    corpus.frames
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn there_are_two_hundred_frames_without_the_cut_ones() {
        let frames = corpus();
        let cut = frames.iter().filter(|named| named.name.contains(" cut to ")).count();
        assert!(frames.len() - cut >= 200, "{} of which {cut} are cut", frames.len());
    }

    #[test]
    fn no_two_frames_are_equal() {
        let frames = corpus();
        let mut seen = BTreeMap::new();
        let again: Vec<_> = frames
            .iter()
            .filter_map(|Named { name, frame }| Some((name, seen.insert(frame, name)?)))
            .collect();
        assert!(again.is_empty(), "{again:#?}");
    }
}
