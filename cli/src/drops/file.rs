//! Dropped packets as pcapng: an interface for each of each node, and with each packet what dropped it.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use sluice_proto::v1::{Drop, DropSample};

use super::line::policy;
use crate::capture::{Frame, Writer};
use crate::judge::Decision;

pub struct File {
    writer: Writer,
    /// By node and name.
    interfaces: HashMap<(String, String), u32>,
}

impl File {
    pub fn create(path: &Path) -> anyhow::Result<File> {
        Ok(File { writer: Writer::create(path)?, interfaces: HashMap::new() })
    }

    pub fn write(&mut self, node: &str, drop: &Drop, sample: &DropSample) -> anyhow::Result<()> {
        let key = (node.to_owned(), sample.interface.clone());
        let interface = match self.interfaces.get(&key) {
            Some(known) => *known,
            None => {
                let (name, interface) = (format!("{node}:{}", sample.interface), &sample.interface);
                let new = self.writer.interface(&name, &format!("{interface} of node {node}"))?;
                self.interfaces.insert(key, new);
                new
            }
        };
        let time = Duration::from_nanos(sample.at.try_into().unwrap_or_default());
        let frame = Frame::new(&sample.packet, sample.length, time);
        self.writer.write(interface, &frame, &decision(drop, sample))
    }

    /// What was written so far can be read.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        self.writer.flush()
    }

    pub fn finish(self) -> anyhow::Result<()> {
        self.writer.finish()
    }
}

fn decision(drop: &Drop, sample: &DropSample) -> Decision {
    let stage = match sample.stage.as_str() {
        "Default" => "Default",
        "Malformed" => "Malformed",
        "LoadBalancer" => "LoadBalancer",
        _ => "Filter",
    };
    Decision {
        verdict: "Drop",
        stage,
        policy: Some(policy(drop)),
        rule: (stage == "Filter").then(|| sample.name.clone()),
        mode: Some("Enforce"),
        backend: sample.name.split_once('>').map(|(_, backend)| backend.to_owned()),
        ..Decision::default()
    }
}
