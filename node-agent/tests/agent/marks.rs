//! Marks that do not reach their packets.

use std::path::Path;

use sluice_abi::Stat;
use sluice_distribute::AgentEventKind;
use sluice_proto::v1::{Note, VerdictStage};

use crate::network::{Network, run};
use crate::operator::Operator;
use crate::plans::{drops_ping, marks_ping};
use crate::{Node, hello};

#[test]
fn a_driver_without_room_for_marks_is_told_with_its_interface_until_none_is_asked_for() {
    let Some(network) = Network::new("marks") else { return };
    let node = Node::new(&network);
    network.in_hub(async {
        let mut operator = Operator::start(node.dir.path()).await;
        let _agent = node.start();
        let nics = operator.hears(hello).await.facts.expect("facts").nics;
        let wan = nics.iter().find(|nic| nic.name == "wan").expect("the interface");
        operator.plan(1, &marks_ping("wan"));
        let verdict = operator.verdict(1).await;
        assert_eq!((verdict.stage(), &verdict.policies[0].notes[..]), (VerdictStage::Programmed, &[][..]));

        // What the program does where the driver refuses.
        write(&node.bpffs.join("stats"), Stat::UnmarkedAt, wan.ifindex.into());
        write(&node.bpffs.join("stats"), Stat::Unmarked, 1);
        let note = operator.hears(noted).await;
        assert_eq!(note.reason, "MarkNotPossible");
        assert!(note.detail.starts_with("interface wan: packets pass without their mark"), "{}", note.detail);

        operator.plan(2, &drops_ping(2, "wan"));
        assert_eq!(operator.verdict(2).await.policies[0].notes, []);
        operator.stop().await;
    });
}

/// The same for each CPU.
fn write(map: &Path, stat: Stat, value: u64) {
    let decimal = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>();
    let (key, value) = (decimal(&(stat as u32).to_ne_bytes()), decimal(&value.to_ne_bytes()));
    let map = map.display().to_string();
    let words = ["map", "update", "pinned", &map, "key"].map(str::to_owned).into_iter();
    let words: Vec<String> = words.chain(key).chain(["value".to_owned()]).chain(value).collect();
    run("bpftool", &words.iter().map(String::as_str).collect::<Vec<_>>());
}

fn noted(kind: AgentEventKind) -> Option<Note> {
    let AgentEventKind::Verdicts(verdicts) = kind else { return None };
    let policies = verdicts.resources.into_iter().flat_map(|resource| resource.policies);
    policies.flat_map(|policy| policy.notes).next()
}
