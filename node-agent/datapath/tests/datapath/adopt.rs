//! What stays when the agent goes, and what the next one makes of it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use sluice_datapath::{Datapath, LocalInterface, SlotKey, State, attached};

use crate::plans::drop_ports;
use crate::traffic::{passes, udp};
use crate::world::{self, World};

#[test]
fn a_killed_agent_leaves_the_program_attached() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut agent = start_agent(world);
        agent.kill().unwrap();
        agent.wait().unwrap();
        assert!(attached(eth[0].ifindex).unwrap().is_some());
        assert!(!passes("eth0", &udp(7, b"x")));
    });
}

/// The agent of the test above: applies a plan, says so, and waits to be killed.
#[test]
#[ignore = "started by another test, as a process of its own"]
fn agent_process() {
    let root = std::env::var_os("SLUICE_TEST_ROOT").expect("another test starts this one");
    let ifindex = nix::net::if_::if_nametoindex("eth0").unwrap();
    let eth = [LocalInterface { name: "eth0".into(), ifindex, mtu: 1500, ..LocalInterface::default() }];
    let mut datapath = Datapath::open(root.into(), State::default()).unwrap();
    datapath.apply(&drop_ports(&["eth0"], &[7]), &eth).unwrap();
    println!("applied");
    std::io::stdin().lines().next();
}

fn start_agent(world: &World) -> Child {
    let mut agent = Command::new(std::env::current_exe().unwrap())
        .args(["adopt::agent_process", "--exact", "--ignored", "--nocapture"])
        .env("SLUICE_TEST_ROOT", world.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(agent.stdout.take().expect("it is piped"));
    assert!(
        output.lines().map_while(Result::ok).any(|line| line.contains("applied")),
        "the agent applied nothing"
    );
    agent
}

#[test]
fn the_same_plan_is_adopted_without_a_load() {
    world::run(|world| {
        let interfaces = ["eth0", "eth1"].map(|name| world.veth(name));
        let plan = drop_ports(&["eth0", "eth1"], &[7]);
        let mut first = world.open();
        let applied = first.apply(&plan, &interfaces).unwrap();
        assert!(!passes("eth0", &udp(7, b"x")));
        let state = first.state().clone();
        drop(first);
        assert!(!passes("eth0", &udp(7, b"x")), "dropping it detaches nothing");

        let mut second = world.open_with(state);
        let adopted = second.adopt(&plan, &interfaces).unwrap();
        println!("adopt: {:?}", adopted.took);
        assert_eq!(adopted.loaded, 0);
        assert_eq!(adopted.interfaces, applied.interfaces);
        assert_eq!(adopted.read_back, applied.read_back);
        let key = SlotKey { policy: "uid-of-edge".into(), name: "port-7".into() };
        assert_eq!(second.counters().unwrap()[&key].drop.packets, 2, "counters survive");

        let next = second.apply(&drop_ports(&["eth0"], &[9]), &interfaces).unwrap();
        assert_eq!(next.loaded, 1);
        assert!(!passes("eth0", &udp(9, b"x")) && passes("eth1", &udp(7, b"x")));
    });
}

#[test]
fn what_differs_is_repaired() {
    world::run(|world| {
        let interfaces = ["eth0", "eth1"].map(|name| world.veth(name));
        let old = drop_ports(&["eth0"], &[7]);
        let new = drop_ports(&["eth0", "eth1"], &[9]);
        let mut first = world.open();
        first.apply(&old, &interfaces).unwrap();
        let state = first.state().clone();
        drop(first);

        let mut second = world.open_with(state);
        assert_eq!(second.adopt(&new, &interfaces).unwrap().loaded, 1);
        assert!(!passes("eth0", &udp(9, b"x")) && passes("eth0", &udp(7, b"x")));
        assert!(!passes("eth1", &udp(9, b"x")));
        assert_eq!(std::fs::read_dir(world.root().join("programs")).unwrap().count(), 1);
    });
}

#[test]
fn a_program_whose_tag_nobody_recorded_is_not_believed() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let plan = drop_ports(&["eth0"], &[7]);
        let mut first = world.open();
        first.apply(&plan, &eth).unwrap();
        let mut state = first.state().clone();
        drop(first);
        state.programs.first_mut().expect("recorded").tag[0] ^= 1;
        let adopted = world.open_with(state).adopt(&plan, &eth).unwrap();
        assert_eq!(adopted.loaded, 1);
        assert!(!passes("eth0", &udp(7, b"x")));
    });
}

#[test]
fn removed_pins_are_noticed_and_made_again() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let plan = drop_ports(&["eth0"], &[7]);
        let mut datapath = world.open();
        datapath.apply(&plan, &eth).unwrap();
        std::fs::remove_dir_all(world.root().join("links")).unwrap();
        std::fs::remove_dir_all(world.root().join("programs")).unwrap();
        assert_eq!(datapath.drift(&eth).len(), 2, "{:?}", datapath.drift(&eth));

        datapath.interfaces_changed(&eth).unwrap();
        assert!(datapath.drift(&eth).is_empty());
        let state = datapath.state().clone();
        drop(datapath);
        assert_eq!(world.open_with(state).adopt(&plan, &eth).unwrap().loaded, 0);
    });
}

/// A link that is detached behind our back is repaired, with the same program.
#[test]
fn a_lost_link_is_repaired() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let plan = drop_ports(&["eth0"], &[7]);
        let mut first = world.open();
        first.apply(&plan, &eth).unwrap();
        let state = first.state().clone();
        drop(first);
        // The only reference to the link.
        std::fs::remove_dir_all(world.root().join("links")).unwrap();
        world::eventually("the end of the link", || attached(eth[0].ifindex).unwrap().is_none());

        assert_eq!(world.open_with(state).adopt(&plan, &eth).unwrap().loaded, 0);
        assert!(!passes("eth0", &udp(7, b"x")));
    });
}
