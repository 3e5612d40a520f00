//! With exactly the capabilities that the chart gives the agent.

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use sluice_datapath::{Datapath, LocalInterface, State, check_host, tcx};

use crate::plans::drop_ports;
use crate::traffic::{passes, udp};
use crate::world::{self, World};

const NOBODY: u32 = 65_534;

/// Runs one of the tests below as nobody.
fn as_nobody(world: &World, test: &str, capabilities: &str) -> std::process::Output {
    // Where the build ran may be closed to others.
    let exe = world.bpffs().with_extension("exe");
    std::fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set"])
        .args([format!("-all,{capabilities}"), "--inh-caps".into(), format!("-all,{capabilities}")])
        .args(["--ambient-caps", &format!("-all,{capabilities}")])
        .arg(&exe)
        .args([&format!("unprivileged::{test}"), "--exact", "--ignored", "--nocapture"])
        .env("SLUICE_TEST_ROOT", world.root())
        .output()
        .expect("setpriv (util-linux) is installed");
    std::fs::remove_file(&exe).unwrap();
    output
}

fn text(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn three_capabilities_are_enough() {
    world::run(|world| {
        world.veth("eth0");
        chown(world.bpffs(), Some(NOBODY), Some(NOBODY)).unwrap();
        let output = as_nobody(world, "apply_and_adopt", "+bpf,+net_admin,+perfmon");
        assert!(output.status.success(), "{}", text(&output));
        assert!(!passes("eth0", &udp(9, b"x")));
    });
}

#[test]
#[ignore = "started by another test, as a process with few capabilities"]
fn apply_and_adopt() {
    let root = std::env::var_os("SLUICE_TEST_ROOT").expect("another test starts this one");
    let ifindex = nix::net::if_::if_nametoindex("eth0").unwrap();
    let eth = [LocalInterface { name: "eth0".into(), ifindex, mtu: 1500, ..LocalInterface::default() }];
    let plan = drop_ports(&["eth0"], &[7]);
    let mut first = Datapath::open(root.clone().into(), State::default()).unwrap();
    first.apply(&plan, &eth).unwrap();
    assert!(first.exceptions().unwrap().is_some(), "trace points take no more than that");
    assert!(tcx(), "nor does asking for tcx");
    let state = first.state().clone();
    drop(first);
    let mut second = Datapath::open(root.into(), state).unwrap();
    assert_eq!(second.adopt(&plan, &eth).unwrap().loaded, 0);
    assert_eq!(second.apply(&drop_ports(&["eth0"], &[9]), &eth).unwrap().loaded, 1);
}

#[test]
fn what_is_missing_is_named() {
    world::run(|world| {
        let output = as_nobody(world, "says_what_is_missing", "+net_admin");
        assert!(output.status.success(), "{}", text(&output));
    });
}

#[test]
#[ignore = "started by another test, as a process with few capabilities"]
fn says_what_is_missing() {
    let root = std::env::var_os("SLUICE_TEST_ROOT").expect("another test starts this one");
    let error = check_host(Path::new(&root)).expect_err("two capabilities are missing");
    assert_eq!(error.reason(), "NoPrivilege");
    let text = error.to_string();
    assert!(text.contains("lacks CAP_BPF, CAP_PERFMON:") && text.contains("securityContext"), "{text}");
}
