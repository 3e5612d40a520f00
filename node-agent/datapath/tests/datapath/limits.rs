//! What a rate limit keeps, and what it costs.

use std::os::fd::{AsFd, AsRawFd};

use sluice_datapath::load::{LoadSpec, Loaded, load};
use sluice_datapath::measure::{Flows, Repeatable};
use sluice_datapath::test_run::XdpAction;
use sluice_plan::NodePlan;
use sluice_policy::{Action, LimitKey, Match, PortRange, Rate, RateLimit, Rule};

use crate::plans::{compile, drop_port, filter, rule};
use crate::traffic::{passes, udp};
use crate::world;

/// Holds one large frame, and takes minutes for the next.
fn slow(name: &str, per: LimitKey) -> Rule {
    let limit = RateLimit { rate: Rate::BytesPerSecond(1), burst: 1518, per };
    let port = PortRange { first: 9, last: 9 };
    let matches = Match { destination_ports: vec![port], ..Match::default() };
    rule(name, Action::RateLimit(limit), matches)
}

fn plan(rules: Vec<Rule>) -> NodePlan {
    compile(&[filter("edge", &["eth0"], rules)])
}

#[test]
fn a_rule_keeps_what_it_took_and_a_new_one_begins_with_a_full_bucket() {
    world::run(|world| {
        let eth = [world.veth("eth0")];
        let mut datapath = world.open();
        datapath.apply(&plan(vec![slow("limit", LimitKey::Source)]), &eth).unwrap();
        let large = |number: u8| udp(9, &[number; 1300]);
        assert!(passes("eth0", &large(1)) && !passes("eth0", &large(2)));

        // Another program, another order, and what it took is still taken.
        let edited = vec![drop_port(7), slow("limit", LimitKey::Source)];
        datapath.apply(&plan(edited.clone()), &eth).unwrap();
        assert!(!passes("eth0", &large(3)));

        // So it is for another agent.
        let state = datapath.state().clone();
        drop(datapath);
        let mut datapath = world.open_with(state);
        let adopted = datapath.adopt(&plan(edited), &eth).unwrap();
        assert_eq!(adopted.loaded, 0, "the program is the plan's");
        assert!(!passes("eth0", &large(4)));

        // A rule that was not there before, in the room of one that is gone.
        datapath.apply(&plan(vec![slow("other", LimitKey::Source)]), &eth).unwrap();
        assert!(passes("eth0", &large(5)) && !passes("eth0", &large(6)));
        datapath.apply(&plan(vec![slow("limit", LimitKey::Source)]), &eth).unwrap();
        assert!(passes("eth0", &large(7)));
    });
}

#[test]
fn a_rate_is_that_of_all_interfaces() {
    world::run(|world| {
        let eth = [world.veth("eth0"), world.veth("eth1")];
        let mut datapath = world.open();
        let everywhere = filter("edge", &["eth0", "eth1"], vec![slow("limit", LimitKey::Rule)]);
        datapath.apply(&compile(&[everywhere]), &eth).unwrap();
        assert!(passes("eth0", &udp(9, &[1; 1300])) && !passes("eth1", &udp(9, &[2; 1300])));
    });
}

#[test]
fn a_flood_of_a_million_sources_costs_no_memory() {
    world::run(|world| {
        let eth = world.veth("eth0");
        let plan = plan(vec![slow("limit", LimitKey::Source)]);
        let loaded = load(&plan, &LoadSpec::everything(&plan)).unwrap();
        let frame = udp(9, &[0; 600]);
        let flood = Repeatable::wrapped(loaded.program_fd(), &frame, &Flows::Many).unwrap();
        let before = memory(&loaded);
        assert_eq!(loaded.repeat(&frame, 1, eth.ifindex).unwrap(), XdpAction::Pass);
        assert_eq!(flood.run(&frame, 1_000_000, eth.ifindex).unwrap(), XdpAction::Drop);
        assert_eq!(memory(&loaded), before);
        // What it costs instead: every bucket is shared with some of the million.
        assert_eq!(loaded.repeat(&frame, 1, eth.ifindex).unwrap(), XdpAction::Drop);
    });
}

/// Bytes of kernel memory of all maps.
fn memory(loaded: &Loaded) -> u64 {
    let of = |map: &aya::maps::MapData| -> u64 {
        let info =
            std::fs::read_to_string(format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd())).unwrap();
        let bytes = info.lines().find_map(|line| line.strip_prefix("memlock:")).expect("a map's info");
        bytes.trim().parse().unwrap()
    };
    loaded.maps().values().map(of).sum()
}
