//! Nodes that say what a test has them say.

use std::time::Duration;

use sluice_policy::{Gates, Rollout, Share, Step};
use sluice_rollout::{Going, Order, Packets, Phase, Progress, Seen, Standing, Word};

pub struct Fleet {
    pub policy: String,
    pub order: Option<Order>,
    pub is_new: bool,
    settings: Rollout,
    progress: Progress,
    nodes: Vec<Node>,
}

struct Node {
    name: String,
    canary: bool,
    word: Word,
    packets: Option<Packets>,
    ns_per_packet: Option<u32>,
}

/// Steps, each with its hold in seconds.
pub fn rollout(steps: &[(&str, u64)]) -> Rollout {
    let share = |text: &str| match text.strip_suffix('%') {
        Some(percent) => Share::Percent(percent.parse().expect("a number")),
        None => Share::Count(text.parse().expect("a number")),
    };
    let step = |(nodes, hold): &(&str, u64)| Step { nodes: share(nodes), hold: Duration::from_secs(*hold) };
    Rollout {
        canary: None,
        steps: steps.iter().map(step).collect(),
        gates: Gates::default(),
        max_unreachable: Share::Percent(1),
        auto_rollback: true,
        confirm_timeout: None,
    }
}

impl Fleet {
    pub fn new(nodes: usize, settings: Rollout) -> Fleet {
        let mut fleet = Fleet {
            policy: "uid".to_owned(),
            order: None,
            is_new: false,
            settings,
            progress: Progress::done(),
            nodes: Vec::new(),
        };
        (0..nodes).for_each(|index| fleet.join(&format!("node-{index}")));
        fleet.begin();
        fleet
    }

    pub fn join(&mut self, name: &str) {
        self.nodes.push(Node {
            name: name.to_owned(),
            canary: false,
            word: Word::Pending,
            packets: None,
            ns_per_packet: None,
        });
    }

    pub fn canaries(&mut self, names: &[&str]) {
        self.settings.canary = Some(Default::default());
        self.nodes.iter_mut().for_each(|node| node.canary = names.contains(&node.name.as_str()));
    }

    pub fn begin(&mut self) {
        self.progress = self.going().begin(&self.seen(), 0);
    }

    pub fn step(&mut self, now: i64) {
        let next = self.going().step(&self.progress, &self.seen(), now);
        if next.reach != self.progress.reach {
            self.nodes.iter_mut().for_each(|node| node.word = Word::Pending);
        }
        self.progress = next;
    }

    pub fn all_have_it(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.word = Word::Has);
    }

    pub fn says(&mut self, name: &str, word: Word) {
        let node = self.nodes.iter_mut().find(|node| node.name == name);
        node.expect("a node").word = word;
    }

    /// What each node with the version counts, and each of the others.
    pub fn count(&mut self, version: Option<Packets>, before: Option<Packets>) {
        let reached = self.reached();
        for node in &mut self.nodes {
            node.packets = if reached.contains(&node.name) { version } else { before };
        }
    }

    pub fn takes(&mut self, name: &str, ns_per_packet: u32) {
        let node = self.nodes.iter_mut().find(|node| node.name == name);
        node.expect("a node").ns_per_packet = Some(ns_per_packet);
    }

    pub fn phase(&self) -> Phase {
        self.progress.phase.clone()
    }

    pub fn updated(&self) -> usize {
        self.reached().len()
    }

    pub fn reached(&self) -> Vec<String> {
        let reaches = |node: &&Node| self.going().reaches(&self.progress, &node.name, node.canary);
        self.nodes.iter().filter(reaches).map(|node| node.name.clone()).collect()
    }

    pub fn wave_of(&self, node: &str) -> Option<(usize, usize)> {
        self.going().wave_of(&self.progress, &self.seen(), node)
    }

    pub fn standing(&self) -> Standing {
        self.going().standing(&self.progress, &self.seen())
    }

    fn going(&self) -> Going<'_> {
        let Fleet { policy, order, is_new, settings, .. } = self;
        Going { rollout: settings, policy, is_new: *is_new, order: *order }
    }

    fn seen(&self) -> Vec<Seen<'_>> {
        self.nodes
            .iter()
            .map(|Node { name, canary, word, packets, ns_per_packet }| Seen {
                name,
                canary: *canary,
                word: word.clone(),
                packets: *packets,
                ns_per_packet: *ns_per_packet,
            })
            .collect()
    }
}
