//! Attaching to real interfaces, and what is said where that does not work.

use sluice_abi::MAX_STRAIGHT;
use sluice_datapath::{Drift, Error, LinkMode, LocalInterface, Refusal, attached};
use sluice_plan::AttachMode;

use crate::plans::{compile, drop_port, drop_ports, filter, with_attach};
use crate::traffic::{passes, udp};
use crate::world::{self, ip};

#[test]
fn a_rule_drops_real_packets_in_the_driver() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        let plan = drop_ports(&["eth0"], &[7]);
        let applied = datapath.apply(&plan, &eth).unwrap();
        println!("first apply: {:?}", applied.took);
        assert!(!passes("eth0", &udp(7, b"x")));
        assert!(passes("eth0", &udp(8, b"x")));

        let outcome = &applied.interfaces[0];
        assert_eq!(outcome.attachment.as_ref().map(|attachment| attachment.mode), Some(LinkMode::Native));
        assert_eq!(applied.read_back.map(|read| read.plan_hash), Some(plan.hash()));
        assert_eq!(applied.policies[0].interfaces, applied.interfaces);
        assert!(applied.policies[0].problems.is_empty());
    });
}

#[test]
fn each_interface_runs_the_filters_that_select_it() {
    world::run(|world| {
        let interfaces = ["eth0", "eth1", "eth2"].map(|name| world.veth(name));
        let plan = compile(&[
            filter("a", &["eth0"], vec![drop_port(7)]),
            filter("b", &["eth0", "eth1"], vec![drop_port(9)]),
        ]);
        let applied = world.open().apply(&plan, &interfaces).unwrap();
        assert_eq!(applied.loaded, 2);
        let dropped = |name| [7, 9].map(|port| !passes(name, &udp(port, b"x")));
        assert_eq!(["eth0", "eth1", "eth2"].map(dropped), [[true, true], [false, true], [false, false]]);
        assert_eq!(attached(interfaces[2].ifindex).unwrap(), None, "nothing selects eth2");
    });
}

#[test]
fn generic_mode_is_taken_where_it_is_asked_for_and_changed_back() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        for (attach, mode) in [
            (AttachMode::Generic, LinkMode::Generic),
            (AttachMode::Native, LinkMode::Native),
            (AttachMode::Generic, LinkMode::Generic),
        ] {
            let applied = datapath.apply(&with_attach(drop_ports(&["eth0"], &[7]), attach), &eth).unwrap();
            assert_eq!(applied.interfaces[0].attachment.as_ref().unwrap().mode, mode);
            assert!(!passes("eth0", &udp(7, b"x")));
        }
    });
}

/// A bridge has no native XDP.
#[test]
fn auto_falls_back_to_generic_and_says_why_and_native_refuses() {
    world::run(|world| {
        ip(&["link", "add", "br0", "type", "bridge"]);
        let bridge = [world.interface("br0")];
        let mut datapath = world.open();
        let plan = drop_ports(&["br0"], &[7]);

        let native = datapath.apply(&with_attach(plan.clone(), AttachMode::Native), &bridge).unwrap();
        assert_eq!(native.policies[0].problems[0].reason, "AttachRefused");
        assert_eq!(attached(bridge[0].ifindex).unwrap(), None);

        let auto = datapath.apply(&plan, &bridge).unwrap();
        assert!(auto.policies[0].problems.is_empty());
        let note = &auto.policies[0].notes[0];
        assert_eq!(note.reason, "GenericFallback");
        assert!(note.detail.contains("br0") && note.detail.contains("no native XDP"), "{}", note.detail);
    });
}

#[test]
fn a_missing_interface_is_named_and_the_others_are_served() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        let plan = drop_ports(&["eth0", "eth9"], &[7]);
        let applied = datapath.apply(&plan, &eth).unwrap();
        let policy = &applied.policies[0];
        assert_eq!(policy.problems[0].reason, "InterfaceMissing");
        assert!(policy.problems[0].detail.contains("eth9"));
        assert_eq!(policy.interfaces.len(), 1);
        assert_eq!(policy.interfaces[0].name, "eth0");

        let late = world.veth("eth9");
        assert!(passes("eth9", &udp(7, b"x")));
        let applied =
            datapath.interfaces_changed(&[eth[0].clone(), late]).unwrap().expect("a plan is in force");
        assert!(applied.policies[0].problems.is_empty());
        assert_eq!(applied.loaded, 0, "the program of eth0 serves eth9 too");
        assert!(!passes("eth9", &udp(7, b"x")));
    });
}

#[test]
fn an_interface_that_went_and_came_back_is_protected_again() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        datapath.apply(&drop_ports(&["eth0"], &[7]), &eth).unwrap();
        ip(&["link", "del", "eth0"]);
        let gone = Drift::InterfaceGone { interface: "eth0".into() };
        assert_eq!(datapath.drift(&eth), [gone]);
        assert!(datapath.interfaces_changed(&[]).unwrap().expect("a plan").interfaces.is_empty());

        let again = [world.veth("eth0")];
        assert_eq!(datapath.drift(&again), [Drift::OtherInterfaces]);
        let applied = datapath.interfaces_changed(&again).unwrap().expect("a plan is in force");
        assert_eq!(applied.loaded, 0, "the program waited for it");
        assert!(!passes("eth0", &udp(7, b"x")));
        assert_eq!(std::fs::read_dir(world.root().join("links")).unwrap().count(), 1);
        assert!(datapath.drift(&again).is_empty());
    });
}

#[test]
fn a_renamed_interface_is_judged_by_its_new_name() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        datapath.apply(&drop_ports(&["eth0"], &[7]), &eth).unwrap();
        ip(&["link", "set", "eth0", "down"]);
        ip(&["link", "set", "eth0", "name", "wan.1"]);
        ip(&["link", "set", "wan.1", "up"]);
        let renamed = world.interface("wan.1");
        let found = datapath.drift(std::slice::from_ref(&renamed));
        let expected = Drift::InterfaceRenamed { interface: "wan.1".into(), from: "eth0".into() };
        assert_eq!(found, [expected, Drift::OtherInterfaces]);
        datapath.interfaces_changed(std::slice::from_ref(&renamed)).unwrap();
        assert_eq!(attached(renamed.ifindex).unwrap(), None, "no policy selects wan.1");
        datapath.apply(&drop_ports(&["wan.1"], &[7]), std::slice::from_ref(&renamed)).unwrap();
        assert!(attached(renamed.ifindex).unwrap().is_some());
    });
}

#[test]
fn a_card_that_alters_packets_is_refused_with_the_check_s_own_words() {
    world::run(|world| {
        let refusal =
            Refusal { reason: "LroOn".into(), detail: "turn it off: ethtool -K eth0 lro off".into() };
        let eth = [LocalInterface { refusal: Some(refusal), ..world.veth("eth0") }];
        let applied = world.open().apply(&drop_ports(&["eth0"], &[7]), &eth).unwrap();
        let problem = &applied.policies[0].problems[0];
        assert_eq!(problem.reason, "LroOn");
        assert!(problem.detail.contains("ethtool -K eth0 lro off"));
        assert_eq!(attached(eth[0].ifindex).unwrap(), None);
    });
}

#[test]
fn policies_that_are_gone_are_detached_and_uninstalling_leaves_nothing() {
    world::run(|world| {
        let interfaces = ["eth0", "eth1"].map(|name| world.veth(name));
        let mut datapath = world.open();
        datapath.apply(&drop_ports(&["eth0", "eth1"], &[7]), &interfaces).unwrap();
        datapath.apply(&drop_ports(&["eth1"], &[7]), &interfaces).unwrap();
        assert!(passes("eth0", &udp(7, b"x")) && !passes("eth1", &udp(7, b"x")));

        assert_eq!(datapath.detach_all().unwrap(), [interfaces[1].ifindex]);
        assert!(passes("eth1", &udp(7, b"x")));
        assert!(!world.root().exists());
    });
}

#[test]
fn a_damaged_plan_is_refused_and_the_former_goes_on() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        let plan = drop_ports(&["eth0"], &[7]);
        datapath.apply(&plan, &eth).unwrap();
        // Enough of them that the plan has rows.
        let mut damaged = drop_ports(&["eth0"], &Vec::from_iter(100..=100 + MAX_STRAIGHT as u16));
        damaged.filters.tables.direct.fill(0xff);
        let error = datapath.apply(&damaged, &eth).expect_err("a row that is not there");
        assert!(matches!(error, Error::InvalidPlan { .. }), "{error}");
        assert_eq!(datapath.plan_hash(), Some(plan.hash()));
        assert!(!passes("eth0", &udp(7, b"x")));
    });
}
