//! The operator's volume is lost.

use std::fs;

use anyhow::Context;
use sluice_e2e::process::{eventually, program};

use crate::{PATIENCE, assert_documented, fleet, policy};

#[test]
fn a_lost_volume_is_recovered_from_while_agents_enforce() {
    let (mut fleet, _directory) = fleet("slbv", 1);
    fleet.write_policy("edge.yaml", &policy("edge", "eth0", 1)).unwrap();
    fleet.start().unwrap();
    let ready = fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    let before = fleet.epoch().unwrap();

    fleet.operator.as_mut().unwrap().kill().unwrap();
    fs::remove_dir_all(fleet.data().join("raft")).unwrap();
    fs::remove_dir_all(fleet.data().join("status")).unwrap();
    fleet.start_operator().unwrap();
    let file = fleet.data().join("status/problems.txt");
    let said = eventually(PATIENCE, || {
        Ok(fs::read_to_string(&file).ok().filter(|text| text.contains("node edge-1: enforces epoch")))
    });
    let said = said.unwrap_or_else(|error| panic!("{error:#}{}", fleet.last_words()));
    assert!(said.contains("run `kubectl sluice recover`"), "{said}");
    assert_documented(said.trim());
    // The operator says so before the agent has heard of it.
    let told = eventually(PATIENCE, || {
        let log = fleet.edges[0].agent.as_ref().context("no agent")?.log();
        Ok(log.lines().find(|line| line.contains("is an old copy")).map(str::to_owned))
    });
    assert_documented(&told.expect("the agent is told"));
    assert!(fleet.is_attached(0).unwrap(), "what was in force stays");
    let status = fleet.statuses().unwrap().remove(0);
    assert_eq!(status.ready, "False", "nobody confirmed anything to this store: {status:?}");

    let recover = || {
        let mut command = fleet.hub.command(program("kubectl-sluice").unwrap());
        command.arg("recover").arg("--data").arg(fleet.data()).output().unwrap()
    };
    let output = recover();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let again = fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    assert_eq!(again.hash, ready.hash);
    let after = fleet.epoch().unwrap();
    assert_eq!(after.incarnation, before.incarnation + 1);
    eventually(PATIENCE, || Ok((!file.exists()).then_some(()))).unwrap();

    let output = recover();
    assert!(!output.status.success(), "there is nothing to recover any more");
    assert_documented(&String::from_utf8_lossy(&output.stderr));
}
