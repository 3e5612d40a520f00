use sluice_interpret::{Field, Kept, Stage, explain};
use sluice_policy::{Action, LaterFragments, Match};

use crate::build::*;

#[test]
fn rules_are_considered_in_order_up_to_the_one_that_decides() {
    let ssh = Match { protocols: vec![6], destination_ports: ports(22, 22), ..Match::default() };
    let net = Match { sources: prefixes(&["192.0.2.0/24"], &[]), ..Match::default() };
    let world = world(vec![filter(
        "f",
        vec![
            rule("ssh", Action::Drop, ssh),
            rule("net", Action::Pass, net),
            rule("never-asked", Action::Drop, Match::default()),
        ],
    )]);
    let (outcome, considered) = explain(&world, "eth0", &V4::default().frame(6, &tcp(1, 80, 2)));
    assert_eq!((outcome.stage, outcome.rule), (Stage::Filter, Some("net")));
    let said: Vec<_> = considered.iter().map(|one| (one.rule.name.as_str(), one.matches())).collect();
    assert_eq!(said, [("ssh", false), ("net", true)]);
    let fields: Vec<_> = considered[0].checked.iter().map(|one| (one.field, one.fits)).collect();
    assert_eq!(
        fields,
        [(Field::Protocols, true), (Field::DestinationPorts, false)],
        "sources are not restricted"
    );
}

#[test]
fn a_later_fragment_fits_where_its_first_could() {
    let web = Match { destination_ports: ports(80, 80), ..Match::default() };
    let frame = V4 { fragment: 5, ..V4::default() }.frame(17, &[0; 8]);
    for (setting, fits) in [(LaterFragments::MatchL3, true), (LaterFragments::NoMatch, false)] {
        let mut rule = rule("web", Action::Drop, web.clone());
        rule.later_fragments = setting;
        let world = world(vec![filter("f", vec![rule])]);
        let (_, considered) = explain(&world, "eth0", &frame);
        assert_eq!(considered[0].checked[0].fits, fits, "{setting:?}");
    }
}

#[test]
fn the_failsafe_says_what_it_keeps_and_asks_no_rule() {
    let mut world = world(vec![filter("f", vec![rule("all", Action::Drop, Match::default())])]);
    world.failsafe = Some(Default::default());
    let (outcome, considered) = explain(&world, "eth0", &ethernet(0x0806, &[0; 28]));
    assert_eq!((outcome.stage, outcome.kept), (Stage::Failsafe, Some(Kept::Arp)));
    assert!(considered.is_empty());
}
