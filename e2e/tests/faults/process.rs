//! The agent's process and its file: out of memory, and damaged.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use nix::libc::SIGKILL;
use sluice_e2e::process::{Process, tail};

use crate::probes;
use crate::{PATIENCE, enforcing, finish, flow, watch};

/// A memory cgroup of version 1 below our own, or of version 2.
struct Memory {
    dir: PathBuf,
    usage: &'static str,
    limit: &'static str,
}

impl Memory {
    fn new(name: &str) -> Memory {
        let (root, usage, limit) = match Path::new("/sys/fs/cgroup/memory").exists() {
            true => {
                let own = fs::read_to_string("/proc/self/cgroup").unwrap();
                let own = own
                    .lines()
                    .find_map(|line| line.split_once(":memory:/"))
                    .expect("every process has one")
                    .1;
                let root = Path::new("/sys/fs/cgroup/memory").join(own);
                (root, "memory.usage_in_bytes", "memory.limit_in_bytes")
            }
            false => (PathBuf::from("/sys/fs/cgroup"), "memory.current", "memory.max"),
        };
        let dir = root.join(name);
        fs::create_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}; root is needed", dir.display()));
        Memory { dir, usage, limit }
    }

    /// Whoever is in it gets so many bytes more, and no other.
    fn leave(&self, room: u64) {
        let used: u64 = fs::read_to_string(self.dir.join(self.usage)).unwrap().trim().parse().unwrap();
        fs::write(self.dir.join(self.limit), (used + room).to_string()).unwrap();
    }

    /// Kills by the kernel for want of memory.
    fn kills(&self) -> u64 {
        let events = ["memory.oom_control", "memory.events"].map(|file| self.dir.join(file));
        let text = events.iter().find_map(|file| fs::read_to_string(file).ok()).unwrap();
        let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.and_then(|kills| kills.parse().ok()).expect("the kernel counts them")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        _ = fs::remove_dir(&self.dir);
    }
}

/// More than an agent of one filter has room for.
const ADDRESSES: u32 = 400_000;
/// What is left of the memory when the set comes.
const ROOM: u64 = 2 << 20;

#[test]
fn an_agent_that_runs_out_of_memory_leaves_what_it_enforced_and_comes_back() {
    let (mut fleet, _directory) = crate::fleet("slfm", 1);
    probes::write_objects(&fleet);
    fleet.write_policy("newest.txt", &probes::list(0)).unwrap();
    fleet.start_operator().unwrap();
    let memory = Memory::new(&fleet.options.prefix);
    let join = format!("echo $$ > {}; exec \"$@\"", memory.dir.join("cgroup.procs").display());
    let command = fleet.agent_command(0, &["sh", "-c", &join, "sh"]).unwrap();
    let agent = Process::start("edge-1", &fleet.options.directory, command).unwrap();
    fleet.edges[0].agent = Some(agent);
    let (first, probes, traffic) = watch(&fleet, "newest");

    memory.leave(ROOM);
    let crowd: String =
        (0..ADDRESSES).map(|n| format!("{}\n", Ipv4Addr::from(0x0a00_0000 + 5 * n))).collect();
    fleet.write_policy("newest.txt", &(probes::list(1) + &crowd)).unwrap();
    let status = fleet.edges[0].agent.as_mut().unwrap().wait(PATIENCE).unwrap();
    assert_eq!((status.signal(), memory.kills()), (Some(SIGKILL), 1), "{}", fleet.last_words());
    flow(&traffic);
    probes.assert_newest(0);

    fleet.start_agent(0).unwrap();
    fleet.wait_ready("newest", 1, &first, PATIENCE).unwrap();
    probes.assert_newest(1);
    flow(&traffic);
    finish(traffic);
}

#[test]
fn an_agent_whose_file_is_damaged_says_so_and_asks_for_its_plan_without_it() {
    let (mut fleet, directory, first, probes, traffic) = enforcing("slfd");
    fleet.edges[0].agent.as_mut().unwrap().kill().unwrap();
    let file = fleet.state(0).join("agent.redb");
    let mut bytes = fs::read(&file).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].iter_mut().for_each(|byte| *byte ^= 0x5a);
    fs::write(&file, bytes).unwrap();
    fleet.write_policy("edge.yaml", &probes::policy(1)).unwrap();

    fleet.start_agent(0).unwrap();
    let agent = fleet.edges[0].agent.as_mut().unwrap();
    let status = agent.wait(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(1), "{}", agent.log());
    let said = tail(&agent.log(), 1);
    assert!(said.contains("is damaged") && said.contains("kubectl sluice join"), "{said}");
    flow(&traffic);
    probes.assert_newest(0);

    fs::rename(&file, file.with_extension("bad")).unwrap();
    // The certificate was in it; the next start makes a new token.
    fs::remove_file(directory.path().join("edge-1.token")).unwrap();
    fleet.start_agent(0).unwrap();
    fleet.wait_ready("edge", 1, &first, PATIENCE).unwrap();
    probes.assert_newest(1);
    flow(&traffic);
    finish(traffic);
}
