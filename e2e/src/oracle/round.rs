//! Random packets through random policies, reproducible by a seed and the number of the round.

use anyhow::Context;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::packets::{Generator, Named};

use super::generate::random_node;
use super::judge::{Tally, compare};
use super::mismatch::Mismatch;
use super::node::Node;
use super::shrink::shrink;

/// One node and its packets.
pub struct Round {
    pub node: Node,
    pub packets: Vec<Named>,
}

impl Round {
    pub fn new(seed: u64, number: u64, packets: usize) -> anyhow::Result<Round> {
        // Each round has its own stream, so that one can be run again without those before it.
        let mut rng = StdRng::seed_from_u64(seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let node = random_node(&mut rng)?;
        let mut generator = Generator::new(rng);
        let packets = (0..packets)
            .map(|index| Named {
                name: format!("packet {index} of round {number} with seed {seed}"),
                frame: generator.frame(),
            })
            .collect();
        Ok(Round { node, packets })
    }
}

/// Runs rounds from `first` on until `total` packets are judged.
///
/// # Errors
/// The first disagreement, with as few policies as still show it.
pub fn fuzz(seed: u64, first: u64, total: u64, per_round: usize) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut number = first;
    while tally.verdicts < total {
        let again = || format!("again with: fuzz --seed {seed} --first {number} --packets {per_round}");
        let round = Round::new(seed, number, per_round).with_context(again)?;
        let result = compare(&round.node, &round.node.plan, &round.packets);
        let judged = result.map_err(|error| match error.downcast::<Mismatch>() {
            Ok(mismatch) => shrink(&round.node, mismatch).into(),
            Err(error) => error,
        });
        tally.add(&judged.with_context(again)?);
        number += 1;
    }
    Ok(tally)
}
