//! What a machine lacks.

use std::fs;
use std::process::Command;

use sluice_e2e::process::{eventually, program, run};

use crate::{PATIENCE, assert_documented, fleet, policy};

#[test]
fn an_agent_names_what_its_machine_lacks() {
    let (mut fleet, _directory) = fleet("slbh", 1);
    fleet.start_operator().unwrap();
    let no_bpffs = "umount -l /sys/fs/bpf; exec \"$@\"";
    for (through, wanted) in [
        (
            &["setpriv", "--bounding-set=-all", "--inh-caps=-all"][..],
            "the process lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON: ",
        ),
        (&["setarch", "--uname-2.6"], "is too old: Sluice needs 6.1 or later"),
        (
            &["unshare", "--mount", "sh", "-c", no_bpffs, "sh"],
            "run `mount -t bpf bpf /sys/fs/bpf`; in a pod, ",
        ),
    ] {
        let said = last_words(fleet.agent_command(0, through).unwrap());
        assert!(said.contains(wanted), "{wanted:?} is not in: {said}");
        assert_documented(&said);
    }
}

#[test]
fn a_port_in_use_is_named_with_its_flag() {
    let (mut fleet, directory) = fleet("slbp", 1);
    fleet.start().unwrap();
    let mut second = fleet.hub.command(program("sluice-operator").unwrap());
    second.arg("--source").arg(format!("dir:{}", fleet.policies().display()));
    second.arg("--data").arg(directory.path().join("second")).args(["--listen", "0.0.0.0:9443"]);
    let said = last_words(second);
    assert!(said.contains("--listen 0.0.0.0:9443: another process has this port"), "{said}");
    assert_documented(&said);

    let metrics = || Ok(run("ss", &["-HltN", fleet.edges[0].netns.name()])?.contains(":9500").then_some(()));
    eventually(PATIENCE, metrics).unwrap();
    let said = last_words(fleet.agent_command(0, &[]).unwrap());
    assert!(said.contains("listening on 127.0.0.1:9500"), "{said}");
    assert!(said.contains("give another address with --metrics"), "{said}");
    assert_documented(&said);
}

#[test]
fn a_wrong_certificate_is_named_and_the_agent_goes_on() {
    let (mut fleet, directory) = fleet("slbc", 1);
    fleet.write_policy("edge.yaml", &policy("edge", "eth0", 1)).unwrap();
    fleet.start().unwrap();
    fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    fleet.edges[0].agent.as_mut().unwrap().stop(PATIENCE).unwrap();

    let other = directory.path().join("other");
    let operator = program("sluice-operator").unwrap().display().to_string();
    run(&operator, &["token", "edge-1", "--data", &other.display().to_string()]).unwrap();
    let mut command = fleet.agent_command(0, &[]).unwrap();
    command.env("SLUICE_CA", other.join("pki/ca.crt"));
    let agent = sluice_e2e::process::Process::start("stranger", directory.path(), command).unwrap();
    let said = eventually(PATIENCE, || {
        Ok(agent.log().lines().find(|line| line.contains("invalid peer certificate")).map(str::to_owned))
    });
    let said = said.unwrap_or_else(|error| panic!("{error:#}: {}", agent.log()));
    assert!(said.contains("10.80.1.1:9443"), "{said}");
    assert!(said.contains("copy ca.crt from this operator"), "{said}");
    assert_documented(&said);
    let kept =
        agent.log().lines().find(|line| line.contains("plan on disk is not loaded")).map(str::to_owned);
    assert_documented(&kept.unwrap_or_else(|| panic!("it believes the other's plan: {}", agent.log())));
    assert!(fleet.is_attached(0).unwrap(), "what was in force stays");
    drop(agent);

    // A token of another operator, from a node that has no certificate yet.
    fs::remove_dir_all(fleet.state(0)).unwrap();
    let token = run(&operator, &["token", "edge-1", "--data", &other.display().to_string()]).unwrap();
    fs::write(directory.path().join("edge-1.token"), token).unwrap();
    fleet.start_agent(0).unwrap();
    let agent = fleet.edges[0].agent.as_ref().unwrap();
    let said = eventually(PATIENCE, || {
        Ok(agent.log().lines().find(|line| line.contains("join token is not")).map(str::to_owned))
    });
    assert_documented(&said.unwrap_or_else(|error| panic!("{error:#}: {}", agent.log())));
}

/// What a program says that must end with an error.
fn last_words(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|out| String::from_utf8_lossy(&out).into_owned()).concat();
    assert!(!output.status.success(), "it ended well: {said}");
    said
}
