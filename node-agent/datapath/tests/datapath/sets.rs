//! Address sets: they decide, change without a load, and stay what they are.

use std::sync::Arc;

use aya::maps::{Array, ArrayOfMaps, Map, MapData};
use sluice_address_set::AddressSet;
use sluice_datapath::{Datapath, Drift, Error, KernelSet, KernelSets, LocalInterface};
use sluice_plan::{Hash, NodePlan};
use sluice_policy::{Action, Filter, Match, PrefixSet, Rule};

use crate::plans::{compile, drop_port, filter, rule};
use crate::traffic::{passes, udp_from};
use crate::world::{self, World};

/// Drops what comes from the set `bad`, and UDP to port 7.
pub fn plan() -> NodePlan {
    let sources = PrefixSet { sets: vec!["bad".into()], ..PrefixSet::default() };
    let bad = rule("bad", Action::Drop, Match { sources: Some(sources), ..Match::default() });
    compile(&[filter("edge", &["eth0"], vec![bad, drop_port(7)])])
}

/// The set `bad` with these prefixes.
pub fn bad(prefixes: &[&str]) -> KernelSets {
    let contents: AddressSet =
        prefixes.iter().map(|prefix| prefix.parse::<ipnet::IpNet>().unwrap()).collect();
    let hash = Hash::of(&contents.shards().0.encode());
    [("bad".to_owned(), Arc::new(KernelSet::make(hash, contents).unwrap()))].into()
}

fn applied(world: &World, prefixes: &[&str]) -> (Datapath, [LocalInterface; 1]) {
    let eth = [world.veth("eth0")];
    let mut datapath = world.open();
    datapath.offer_sets(bad(prefixes));
    datapath.apply(&plan(), &eth).unwrap();
    (datapath, eth)
}

fn passes_from(source: [u8; 4]) -> bool {
    passes("eth0", &udp_from(source, [198, 51, 100, 1], 9, b"x"))
}

type Blocks = Array<MapData, [u8; 4096]>;

/// The map of all sets; the only one has the first two elements, one for each family.
fn places(world: &World) -> ArrayOfMaps<MapData, Blocks> {
    let map = MapData::from_pin(world.root().join("sets")).unwrap();
    ArrayOfMaps::try_from(Map::ArrayOfMaps(map)).unwrap()
}

#[test]
fn a_set_changes_without_a_load() {
    world::run(|world| {
        let (mut datapath, eth) = applied(world, &["203.0.113.0/24"]);
        assert!(!passes_from([203, 0, 113, 7]) && passes_from([198, 51, 100, 7]));
        datapath.offer_sets(bad(&["198.51.100.6/31", "2001:db8::/32"]));
        let outcome = datapath.apply(&plan(), &eth).unwrap();
        assert_eq!(outcome.loaded, 0);
        assert_eq!(outcome.sets["bad"].hash, datapath.sets()["bad"].hash());
        assert_eq!(outcome.sets["bad"].kernel_bytes, 4 * 4096, "two blocks for each family");
        assert!(passes_from([203, 0, 113, 7]) && !passes_from([198, 51, 100, 7]));
        datapath.offer_sets(bad(&[]));
        datapath.apply(&plan(), &eth).unwrap();
        assert!(passes_from([198, 51, 100, 7]));
    });
}

#[test]
fn a_plan_without_its_set_is_refused() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let error = world.open().apply(&plan(), &eth).expect_err("nobody offered the set");
        assert!(matches!(&error, Error::SetMissing { name } if name == "bad"), "{error}");
        assert_eq!(error.reason(), "SetMissing");
    });
}

#[test]
fn a_refused_plan_leaves_the_sets_as_they_were() {
    world::run(|world| {
        let (mut datapath, eth) = applied(world, &["203.0.113.0/24"]);
        let mut altered = plan();
        altered.filters.tables.words = 99;
        datapath.offer_sets(bad(&["192.0.2.0/24"]));
        datapath.apply(&altered, &eth).expect_err("a damaged plan");
        assert!(!passes_from([203, 0, 113, 7]) && passes_from([192, 0, 2, 1]));
        // Nor does the next plan get what came with the refused one.
        datapath.apply(&plan(), &eth).unwrap();
        assert!(!passes_from([203, 0, 113, 7]) && passes_from([192, 0, 2, 1]));
    });
}

#[test]
fn sets_are_adopted_with_the_plan() {
    world::run(|world| {
        let (datapath, eth) = applied(world, &["203.0.113.0/24"]);
        let state = datapath.state().clone();
        drop(datapath);
        assert!(!passes_from([203, 0, 113, 7]), "without an agent");
        let mut datapath = world.open_with(state);
        datapath.offer_sets(bad(&["203.0.113.0/24"]));
        assert_eq!(datapath.adopt(&plan(), &eth).unwrap().loaded, 0);
        assert!(!passes_from([203, 0, 113, 7]) && passes_from([192, 0, 2, 1]));
    });
}

#[test]
fn places_of_sets_that_nobody_uses_are_emptied() {
    world::run(|world| {
        let (mut datapath, eth) = applied(world, &["203.0.113.0/24"]);
        assert!(places(world).get(&0, 0).is_ok());
        datapath.apply(&NodePlan::default(), &eth).unwrap();
        assert!(places(world).get(&0, 0).is_err());
        assert!(datapath.sets().is_empty() && datapath.state().set_places.is_empty());
    });
}

#[test]
fn a_set_in_the_kernel_cannot_be_altered() {
    world::run(|world| {
        let (_datapath, _) = applied(world, &["203.0.113.0/24"]);
        let mut blocks = places(world).get(&0, 0).unwrap();
        blocks.set(0, [0xff; 4096], 0).expect_err("it is frozen");
    });
}

/// The look-ups that others' filters need are no part of an interface's program, and the plan is the same.
#[test]
fn an_interface_whose_filters_name_no_set_is_programmed_beside_one_whose_do() {
    world::run(|world| {
        let interfaces = ["eth0", "eth1"].map(|name| world.veth(name));
        let sources = PrefixSet { sets: vec!["bad".into()], ..PrefixSet::default() };
        let from_bad = |name: &str, more: Match| {
            rule(name, Action::Count, Match { sources: Some(sources.clone()), ..more })
        };
        let asks = filter("asks", &["eth0"], vec![from_bad("bad", Match::default()), drop_port(7)]);
        let asks = Filter { allow_established: true, ..asks };
        let others = filter("others", &["eth1"], vec![drop_port(7), drop_port(9)]);
        let mut datapath = world.open();
        datapath.offer_sets(bad(&["203.0.113.0/24"]));
        let applied = datapath.apply(&compile(&[asks.clone(), others.clone()]), &interfaces).unwrap();
        assert_eq!(applied.loaded, 2);
        // So it is with entries that are constants.
        let asks = Filter { rules: vec![drop_port(7)], ..asks };
        let named = Rule { action: Action::Drop, ..from_bad("bad", Match::default()) };
        for rules in [vec![drop_port(7)], vec![named]] {
            let asks = Filter { rules, ..asks.clone() };
            let plan = compile(&[asks, others.clone()]);
            datapath.offer_sets(bad(&["203.0.113.0/24"]));
            datapath.apply(&plan, &interfaces).unwrap();
        }
    });
}

/// As somebody with the same rights could do it.
#[test]
fn another_map_at_the_place_of_a_set_is_found_and_replaced() {
    world::run(|world| {
        let (mut datapath, eth) = applied(world, &["203.0.113.0/24", "2001:db8::/32"]);
        assert_eq!(datapath.drift(&eth), []);
        let other = places(world).get(&1, 0).unwrap();
        places(world).set(0, &other, 0).unwrap();
        assert_eq!(datapath.drift(&eth), [Drift::OtherSet { set: "bad".into() }]);
        assert!(passes_from([203, 0, 113, 7]));
        datapath.interfaces_changed(&eth).unwrap();
        assert_eq!(datapath.drift(&eth), []);
        assert!(!passes_from([203, 0, 113, 7]));
    });
}
