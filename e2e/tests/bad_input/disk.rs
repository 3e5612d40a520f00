//! Disks that run full, small ones of their own.

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use sluice_e2e::process::{eventually, tail};

use crate::{PATIENCE, assert_documented, fleet, policy, wait_message};

/// A file system of 8 MiB at a directory.
struct Disk(PathBuf);

impl Disk {
    fn at(path: PathBuf) -> Disk {
        fs::create_dir_all(&path).unwrap();
        mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), Some("size=8m")).expect("needs root");
        Disk(path)
    }

    fn fill(&self) {
        let mut ballast = fs::File::create(self.ballast()).unwrap();
        while ballast.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        umount2(Path::new(&self.0), MntFlags::MNT_DETACH).unwrap();
    }
}

#[test]
fn an_operator_whose_disk_is_full_says_so_and_comes_back_when_there_is_room() {
    let (mut fleet, _directory) = fleet("slbo", 1);
    let disk = Disk::at(fleet.data());
    fleet.write_policy("edge.yaml", &policy("edge", "eth0", 1)).unwrap();
    fleet.start().unwrap();
    let ready = fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    disk.fill();
    fleet.write_policy("edge.yaml", &policy("edge", "eth0", 250)).unwrap();
    let operator = fleet.operator.as_mut().unwrap();
    let status = operator.wait(PATIENCE).unwrap();
    let said = tail(&operator.log(), 1);
    assert!(!status.success() && said.contains("No space left on device"), "{status}: {said}");
    assert_documented(&said);
    assert!(fleet.is_attached(0).unwrap(), "what was in force stays");

    disk.make_room();
    fleet.start_operator().unwrap();
    fleet.wait_ready("edge", 1, &ready.hash, PATIENCE).unwrap();
    fleet.operator.as_mut().unwrap().stop(PATIENCE).unwrap();
}

#[test]
fn an_agent_whose_disk_is_full_says_so_and_goes_on_when_there_is_room() {
    let (mut fleet, _directory) = fleet("slba", 1);
    let disk = Disk::at(fleet.state(0));
    fleet.write_policy("edge.yaml", &policy("edge", "eth0", 1)).unwrap();
    fleet.start().unwrap();
    let ready = fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    disk.fill();
    fleet.write_policy("edge.yaml", &policy("edge", "eth0", 250)).unwrap();
    let message = wait_message(&fleet, "edge", "StateNotKept");
    assert!(message.contains("agent.redb: free some on that file system"), "{message}");
    assert_documented(&message);
    assert!(fleet.is_attached(0).unwrap(), "what was in force stays");

    // Nobody edits anything.
    disk.make_room();
    fleet.wait_ready("edge", 1, &ready.hash, PATIENCE).unwrap();
    eventually(PATIENCE, || Ok((!fleet.edges[0].agent.as_ref().unwrap().log().is_empty()).then_some(())))
        .unwrap();
    fleet.edges[0].agent.as_mut().unwrap().stop(PATIENCE).unwrap();
}

/// As lists have them, and more than fits between what a full file holds.
const ADDRESSES: u32 = 200_000;

#[test]
fn an_agent_whose_disk_has_no_room_for_a_set_takes_it_when_there_is_some() {
    let (mut fleet, _directory) = fleet("slbs", 1);
    let disk = Disk::at(fleet.state(0));
    let list = |addresses: u32| -> String {
        (0..addresses).map(|address| format!("{}\n", Ipv4Addr::from(0x0a00_0000 + 5 * address))).collect()
    };
    fleet.write_policy("strangers.txt", &list(1)).unwrap();
    fleet.write_policy("edge.yaml", WITH_SET).unwrap();
    fleet.start().unwrap();
    let ready = fleet.wait_ready("strangers", 1, "", PATIENCE).unwrap();
    disk.fill();
    fleet.write_policy("strangers.txt", &list(ADDRESSES)).unwrap();
    let message = wait_message(&fleet, "strangers", "StateNotKept");
    assert!(message.contains("agent.redb: free some on that file system"), "{message}");
    assert_documented(&message);

    // Nobody edits anything.
    disk.make_room();
    let ready = fleet.wait_ready("strangers", 1, &ready.hash, PATIENCE).unwrap();
    assert_eq!(ready.set.map(|set| set.entries), Some(ADDRESSES.into()));
    fleet.edges[0].agent.as_mut().unwrap().stop(PATIENCE).unwrap();
}

const WITH_SET: &str = "apiVersion: sluice.dev/v1alpha1
kind: XdpAddressSet
metadata: {name: strangers}
spec: {files: [strangers.txt]}
---
apiVersion: sluice.dev/v1alpha1
kind: XdpFilter
metadata: {name: edge}
spec:
  interfaces: {names: [eth0]}
  rules:
  - {name: strangers, action: Drop, match: {sources: {sets: [strangers]}}}
";
