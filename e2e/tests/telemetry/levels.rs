//! The log level of running processes, and what a line of the log has.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sluice_e2e::fleet::Fleet;
use sluice_e2e::process::{eventually, program};

use crate::{PATIENCE, filter, fleet};

/// Exit code and what was said.
fn level(program_name: &str, flag: &str, directory: &Path, line: &str, uid: u32) -> (i32, String) {
    let mut command = Command::new(program(program_name).unwrap());
    command.arg("log-level").args(line.split_whitespace()).arg(flag).arg(directory).uid(uid);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap().trim().to_owned())
}

/// Lines of a log that are so detailed.
fn lines(log: &str, level: &str) -> Vec<Value> {
    let all = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    all.filter(|line| line["level"] == level).collect()
}

fn edit(fleet: &Fleet, port: u16) {
    let before = fleet.statuses().unwrap().remove(0).hash;
    fleet.write_policy("edge.yaml", &filter(port)).unwrap();
    fleet.wait_ready("edge", 1, &before, PATIENCE).unwrap();
}

#[test]
fn the_level_of_running_processes_is_changed_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    let mut fleet = fleet("slll", directory.path());
    fleet.start().unwrap();
    fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    let places = [("sluice-operator", "--data", fleet.data()), ("sluice-agent", "--state", fleet.state(0))];
    let logs = || [&fleet.operator, &fleet.edges[0].agent].map(|one| one.as_ref().unwrap().log());
    for ((name, flag, at), log) in places.iter().zip(logs()) {
        let tell = |line: &str| level(name, flag, at, line, 0);
        assert!(lines(&log, "TRACE").is_empty());
        let usual = tell("").1;
        assert!(usual.starts_with("info") && usual.ends_with(", as usual"), "{usual}");
        let (code, said) = tell("sluice=loud");
        assert!(code == 1 && said.contains("write debug"), "{said}");
        // Who runs neither the process nor the machine.
        let (code, said) = level(name, flag, at, "trace", 65_534);
        assert!(code == 1 && said.contains("Permission denied"), "{said}");
        let (code, said) = tell("trace --for 10m");
        assert!(code == 0 && said.starts_with("trace until 20"), "{said}");
    }
    edit(&fleet, 5354);
    for log in logs() {
        assert!(!lines(&log, "TRACE").is_empty(), "{log}");
    }
    for (name, flag, at) in &places {
        assert_eq!(level(name, flag, at, "trace --for 1s", 0).0, 0);
        let ended = || Ok(level(name, flag, at, "", 0).1.ends_with(", as usual").then_some(()));
        eventually(PATIENCE, ended).unwrap();
    }
    let before = logs().map(|log| lines(&log, "TRACE").len());
    edit(&fleet, 5355);
    assert_eq!(logs().map(|log| lines(&log, "TRACE").len()), before, "it is as usual again");
    let (name, flag, at) = &places[1];
    assert!(level(name, flag, at, "debug --keep", 0).1.starts_with("debug until it ends"));
    assert_eq!(level(name, flag, at, "--reset", 0).1, "info, as usual");

    fleet.edges[0].agent.as_mut().unwrap().stop(PATIENCE).unwrap();
    let (code, said) = level(name, flag, at, "", 0);
    assert!(code == 1 && said.contains("nothing that runs here listens"), "{said}");
}
