//! Compiled plans.

use std::collections::BTreeSet;
use std::time::Duration;

use sluice_balance::{Rings, repair_all};
use sluice_compile::{BalancerInput, ClassInput, compile};
use sluice_plan::NodePlan;
use sluice_policy::{
    Action, AttachMode, Backend, Balancer, Filter, HealthCheck, Hook, Interfaces, LaterFragments, Malformed,
    Mark, Match, Mode, NodeSelector, ObjectRef, PrefixSet, Rule, VipPort,
};

pub const VIP: &str = "203.0.113.10";

/// Drops ICMP on the interface.
pub fn drops_ping(generation: i64, interface: &str) -> NodePlan {
    drops(generation, interface, Match { protocols: vec![1], ..Match::default() })
}

/// Drops whatever failsafe does not keep.
pub fn drops_all(interface: &str) -> NodePlan {
    drops(1, interface, Match::default())
}

/// Drops what comes from a set.
pub fn drops_set(interface: &str, set: &str) -> NodePlan {
    let sources = PrefixSet { sets: vec![set.into()], ..PrefixSet::default() };
    drops(1, interface, Match { sources: Some(sources), ..Match::default() })
}

fn drops(generation: i64, interface: &str, matches: Match) -> NodePlan {
    filter(generation, interface, "no-ping", Action::Drop, matches)
}

/// Marks ICMP on the interface.
pub fn marks_ping(interface: &str) -> NodePlan {
    let mark = Action::Mark(Mark { value: 1, mask: 1 });
    filter(1, interface, "mark-ping", mark, Match { protocols: vec![1], ..Match::default() })
}

fn filter(generation: i64, interface: &str, rule: &str, action: Action, matches: Match) -> NodePlan {
    let rule = Rule {
        name: rule.into(),
        action,
        mode: Mode::Enforce,
        later_fragments: LaterFragments::NoMatch,
        matches,
    };
    let filter = Filter {
        object: ObjectRef {
            kind: "XdpFilter".into(),
            namespace: String::new(),
            name: "edge".into(),
            uid: "uid-edge".into(),
            generation,
        },
        nodes: NodeSelector::default(),
        interfaces: Interfaces { names: vec![interface.into()], ..Interfaces::default() },
        attach: AttachMode::Auto,
        hook: Hook::Xdp,
        mode: Mode::Enforce,
        priority: 0,
        default_action: Action::Next,
        malformed: Malformed::Pass,
        allow_established: false,
        expires: None,
        rollout: None,
        rules: vec![rule],
    };
    compile(&ClassInput { filters: vec![&filter], ..ClassInput::default() }).expect("a sound class")
}

/// Port 80 of [`VIP`] with one backend, checked at port 8080; the class balances for it, or only has the backend.
pub fn balances(interface: &str, backend: &str, balances: bool) -> NodePlan {
    let balancer = Balancer {
        object: ObjectRef {
            kind: "XdpLoadBalancer".into(),
            namespace: "default".into(),
            name: "web".into(),
            uid: "uid-web".into(),
            generation: 1,
        },
        created: 0,
        nodes: NodeSelector::default(),
        interfaces: Interfaces { names: vec![interface.into()], ..Interfaces::default() },
        addresses: vec![VIP.parse().expect("an address")],
        ports: vec![VipPort { name: "http".into(), protocol: 6, port: 80 }],
        backends: vec![Backend { address: backend.parse().expect("an address"), weight: 1 }],
        slots: 256,
        health_check: Some(HealthCheck {
            port: 8080,
            interval: Duration::from_millis(100),
            timeout: Duration::from_millis(500),
            rise: 2,
            fall: 3,
        }),
    };
    let rings = repair_all(&Rings::default(), &balancer, &BTreeSet::new());
    let input = BalancerInput { balancer: &balancer, balances, rings: &rings, unhealthy: BTreeSet::new() };
    compile(&ClassInput { balancers: vec![input], ..ClassInput::default() }).expect("a sound class")
}
