//! Shards on their way to one agent: a few at a time, out of the state that its update was made of.

use std::collections::VecDeque;
use std::sync::Arc;

use sluice_plan::Hash;
use sluice_proto::v1::{Shard, Shards};
use sluice_raft::State;

/// Of the shards in one message, so that heartbeats get through between two of them.
const MESSAGE_BYTES: usize = 1 << 20;
/// What a shard takes up besides its bytes.
const FRAME: usize = 48;

pub struct Errand {
    state: Arc<State>,
    wanted: VecDeque<Hash>,
}

impl Errand {
    pub fn new(state: Arc<State>) -> Errand {
        Errand { state, wanted: VecDeque::new() }
    }

    /// Hashes that the state does not know are nobody's shards.
    pub fn ask(&mut self, hashes: &[Vec<u8>]) {
        let known = |hash: &Hash| self.state.shard(*hash).is_some();
        self.wanted = hashes.iter().filter_map(|hash| Hash::from_slice(hash)).filter(known).collect();
    }

    pub fn is_open(&self) -> bool {
        !self.wanted.is_empty()
    }

    pub fn next(&mut self) -> Option<Shards> {
        let mut shards = Vec::new();
        let mut room = MESSAGE_BYTES;
        while let Some(&hash) = self.wanted.front() {
            let bytes = self.state.shard(hash).expect("only known shards are noted");
            let size = bytes.len() + FRAME;
            if size > room && !shards.is_empty() {
                break;
            }
            shards.push(Shard { hash: hash.0.to_vec(), bytes: bytes.clone() });
            self.wanted.pop_front();
            room = room.saturating_sub(size);
        }
        (!shards.is_empty()).then_some(Shards { shards })
    }
}
