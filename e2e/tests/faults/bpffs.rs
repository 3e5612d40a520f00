//! The bpf file system goes away under the agent, in a mount namespace where nobody else needs it.

use std::path::PathBuf;
use std::process::Command;

use sluice_e2e::fleet::Fleet;
use sluice_e2e::process::{Process, eventually, run};

use crate::probes;
use crate::{PATIENCE, finish, flow, watch};

/// As a pod has them: mounts of its own, with a bpf file system of its own.
struct Mounts(Process);

impl Mounts {
    fn new(fleet: &Fleet) -> Mounts {
        let mut command = Command::new("unshare");
        let script = "umount -l /sys/fs/bpf; mount -t bpf bpf /sys/fs/bpf; echo mounted; exec sleep infinity";
        command.args(["--mount", "sh", "-c", script]);
        let holder = Process::start("mounts", &fleet.options.directory, command).unwrap();
        eventually(PATIENCE, || Ok(holder.log().contains("mounted").then_some(()))).unwrap();
        Mounts(holder)
    }

    fn flag(&self) -> String {
        format!("--mount=/proc/{}/ns/mnt", self.0.pid())
    }

    fn start_agent(&self, fleet: &mut Fleet) {
        let command = fleet.agent_command(0, &["nsenter", &self.flag()]).unwrap();
        let agent = Process::start(&fleet.edges[0].name, &fleet.options.directory, command).unwrap();
        fleet.edges[0].agent = Some(agent);
    }

    fn inside(&self, command: &[&str]) {
        run("nsenter", &[&[self.flag().as_str()], command].concat()).unwrap();
    }

    /// Pins as this namespace sees them.
    fn links(&self, fleet: &Fleet) -> PathBuf {
        let path = fleet.bpffs(0).join("links");
        PathBuf::from(format!("/proc/{}/root{}", self.0.pid(), path.display()))
    }
}

#[test]
fn an_agent_whose_bpf_file_system_is_unmounted_says_so_and_pins_again_when_it_is_back() {
    let (mut fleet, _directory) = crate::fleet("slfb", 1);
    probes::write_objects(&fleet);
    fleet.write_policy("edge.yaml", &probes::policy(0)).unwrap();
    fleet.start_operator().unwrap();
    let mounts = Mounts::new(&fleet);
    mounts.start_agent(&mut fleet);
    let (first, probes, traffic) = watch(&fleet, "edge");

    mounts.inside(&["umount", "-l", "/sys/fs/bpf"]);
    let told = |fleet: &Fleet| {
        let status = fleet.statuses()?.into_iter().find(|status| status.name == "edge");
        Ok(status.filter(|status| status.message.contains("run `mount -t bpf bpf /sys/fs/bpf`")))
    };
    let status = eventually(PATIENCE, || told(&fleet)).unwrap_or_else(|error| {
        panic!("{error:#}: {:?}{}", fleet.statuses(), fleet.last_words());
    });
    assert!(status.message.contains("BpffsMissing") && status.ready != "True", "{status:?}");
    flow(&traffic);
    probes.assert_newest(0);

    // What cannot be pinned would not outlive the agent, so it waits.
    fleet.write_policy("edge.yaml", &probes::policy(1)).unwrap();
    let refused = || Ok(fleet.edges[0].agent.as_ref().unwrap().log().contains("plan rejected").then_some(()));
    eventually(PATIENCE, refused).unwrap_or_else(|error| panic!("{error:#}{}", fleet.last_words()));
    probes.assert_newest(0);

    // Nobody edits anything.
    mounts.inside(&["mount", "-t", "bpf", "bpf", "/sys/fs/bpf"]);
    fleet.wait_ready("edge", 1, &first, PATIENCE).unwrap();
    probes.assert_newest(1);
    assert_eq!(std::fs::read_dir(mounts.links(&fleet)).unwrap().count(), 1, "the link is pinned again");

    // Pinned again, what is in force outlives the agent.
    fleet.edges[0].agent.as_mut().unwrap().kill().unwrap();
    flow(&traffic);
    probes.assert_newest(1);
    mounts.start_agent(&mut fleet);
    fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    flow(&traffic);
    finish(traffic);
}
