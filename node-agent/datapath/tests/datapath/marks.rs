//! Marks, as they are seen behind XDP: by tc's classifiers, and by filters at another hook; and where there is no room for
//! them.

use std::collections::BTreeSet;

use sluice_abi::Stat;
use sluice_datapath::load::{LoadSpec, load};
use sluice_datapath::test_run::XdpAction;
use sluice_datapath::{Applied, Problem};
use sluice_plan::{AttachMode, NodePlan};
use sluice_policy::{Action, Filter, Hook, Mark, Match, PortRange, Rule};

use crate::plans::{compile, drop_port, filter, rule, with_attach};
use crate::traffic::{Wire, udp};
use crate::world::{self, World, command, eventually};

fn mark(port: u16, value: u32, mask: u32) -> Rule {
    let port = PortRange { first: port, last: port };
    let matches = Match { destination_ports: vec![port], ..Match::default() };
    rule(&format!("mark-{value}"), Action::Mark(Mark { value, mask }), matches)
}

/// Sends what comes in on eth0 with this mark out of eth1. A classic program of tc reads the mark where `fw` does.
fn redirect(value: u32, mask: u32) {
    const MARK: u32 = 0xffff_f000 + 20;
    let program = format!("5,32 0 0 {MARK},84 0 0 {mask},21 0 1 {value},6 0 0 4294967295,6 0 0 0");
    let to = ["action", "mirred", "egress", "redirect", "dev", "eth1"];
    let filter = ["filter", "add", "dev", "eth0", "ingress", "protocol", "all", "bpf", "bytecode", &program];
    command("tc", &["qdisc", "add", "dev", "eth0", "clsact"]);
    command("tc", &[&filter[..], &to].concat());
}

/// Ports of those frames, sent into eth0, that tc has found marked.
fn found_marked(ports: &[u16]) -> BTreeSet<u16> {
    let (sender, behind) = (Wire::on("xeth0"), Wire::on("xeth1"));
    let mut seen = Vec::new();
    for port in ports {
        sender.send(&udp(*port, b"x"));
    }
    // The last one is marked, and comes last.
    let is_last = |frame: &Vec<u8>| *frame == udp(LAST, b"x");
    sender.send(&udp(LAST, b"x"));
    eventually("the last frame's way through tc", || {
        seen.extend(behind.arrived());
        seen.iter().any(is_last)
    });
    let port = |frame: &Vec<u8>| u16::from_be_bytes([frame[36], frame[37]]);
    seen.iter().map(port).filter(|port| *port != LAST).collect()
}

const LAST: u16 = 65_000;

fn interfaces(world: &World) -> [sluice_datapath::LocalInterface; 1] {
    world.veth("eth1");
    [world.veth("eth0")]
}

#[test]
fn tc_sees_the_mark_of_a_rule() {
    for attach in [AttachMode::Native, AttachMode::Generic] {
        world::run(move |world| {
            let eth = interfaces(world);
            redirect(0x10, 0xff);
            let rules =
                vec![mark(7, 0x10, 0xff), mark(8, 0x20, 0xff), mark(9, 0x110, 0xfff), mark(LAST, 0x10, 0xff)];
            let plan = with_attach(compile(&[filter("edge", &["eth0"], rules)]), attach);
            world.open().apply(&plan, &eth).unwrap();
            assert_eq!(found_marked(&[6, 7, 8, 9]), [7, 9].into(), "{attach:?}");
        });
    }
}

/// Whatever was there first: XDP comes before the network stack.
#[test]
fn a_filter_at_tcx_ingress_has_the_last_word_on_a_mark() {
    world::run(|world| {
        let eth = interfaces(world);
        redirect(0x2, 0x3);
        let at = |hook, name: &str, rules| Filter { hook, ..filter(name, &["eth0"], rules) };
        let behind = at(Hook::TcIngress, "behind", vec![mark(7, 0x2, 0x3), mark(LAST, 0x2, 0x3)]);
        let before = at(Hook::Xdp, "before", vec![mark(7, 0x1, 0x3), mark(8, 0x2, 0x3)]);
        let mut datapath = world.open();
        datapath.apply(&compile(std::slice::from_ref(&behind)), &eth).unwrap();
        assert_eq!(found_marked(&[6, 7, 8]), [7].into());
        datapath.apply(&compile(&[before, behind]), &eth).unwrap();
        assert_eq!(found_marked(&[6, 7, 8]), [7, 8].into());
    });
}

/// More entries than a row has bits.
#[test]
fn one_of_many_rules_marks() {
    world::run(|world| {
        let eth = interfaces(world);
        redirect(0x10, 0xff);
        let drops = (10_000..11_200).map(drop_port);
        let rules = drops.chain([mark(7, 0x10, 0xff), mark(LAST, 0x10, 0xff)]).collect();
        let mut datapath = world.open();
        datapath.apply(&compile(&[filter("edge", &["eth0"], rules)]), &eth).unwrap();
        assert_eq!(found_marked(&[6, 7, 10_001]), [7].into());
    });
}

/// A program of the plan that counts where those of the node do meets a frame without room in front.
fn without_room(world: &World, plan: &NodePlan, ingress: u32) {
    let spec = LoadSpec { pins: Some(world.root()), ..LoadSpec::everything(plan) };
    let loaded = load(plan, &spec).unwrap();
    // Of the 256 bytes in front of a frame the kernel needs 40 for itself: the rest is less than a mark takes.
    const METADATA: u32 = 256 - 40 - 8;
    let bytes = [&[0; METADATA as usize][..], &udp(7, b"x")].concat();
    let verdict = loaded.run_behind_metadata(METADATA, &bytes, ingress);
    assert_eq!(verdict.unwrap(), XdpAction::Pass, "as if a driver gave no room");
}

/// Of each policy.
fn notes(applied: &Applied) -> Vec<&[Problem]> {
    applied.policies.iter().map(|policy| policy.notes.as_slice()).collect()
}

#[test]
fn a_filter_whose_marks_find_no_room_says_where_until_another_program_runs_there() {
    world::run(|world| {
        let eth = ["eth0", "eth1"].map(|name| world.veth(name));
        let marking = |rules| filter("marking", &["eth0", "eth1"], rules);
        let plan = compile(&[marking(vec![mark(7, 1, 1)]), filter("other", &["eth0"], vec![drop_port(9)])]);
        let mut datapath = world.open();
        assert_eq!(notes(&datapath.apply(&plan, &eth).unwrap()), [&[][..]; 2]);
        assert!(!datapath.find_unmarked().unwrap());

        without_room(world, &plan, eth[0].ifindex);
        assert_eq!(datapath.stats().unwrap().get(Stat::Unmarked), 1);
        assert!(datapath.find_unmarked().unwrap());
        assert!(!datapath.find_unmarked().unwrap(), "it is known by then");
        let applied = datapath.interfaces_changed(&eth).unwrap().expect("a plan is in force");
        let [[note], []] = notes(&applied)[..] else { panic!("one of one policy: {:?}", applied.policies) };
        assert_eq!(note.reason, "MarkNotPossible");
        assert!(
            note.detail.starts_with("interface eth0: packets pass without their mark"),
            "{}",
            note.detail
        );
        assert!(applied.policies.iter().all(|policy| policy.problems.is_empty()), "it filters as it should");

        let edited = compile(&[marking(vec![mark(7, 2, 3)])]);
        assert_eq!(notes(&datapath.apply(&edited, &eth).unwrap()), [&[][..]], "another program");
        without_room(world, &edited, eth[1].ifindex);
        // Whoever applies a plan next says so, whether somebody looked before or not.
        let applied = datapath.interfaces_changed(&eth).unwrap().expect("a plan is in force");
        assert!(notes(&applied)[0][0].detail.starts_with("interface eth1: "));
        let without = compile(&[marking(vec![drop_port(7)])]);
        assert_eq!(notes(&datapath.apply(&without, &eth).unwrap()), [&[][..]], "no marks");
    });
}
