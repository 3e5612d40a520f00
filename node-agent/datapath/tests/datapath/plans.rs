//! Policies as an operator would compile them.

use sluice_plan::{AttachMode, NodePlan};
use sluice_policy::{
    Action, AttachMode as PolicyAttach, Filter, Hook, Interfaces, LaterFragments, Malformed, Match, Mode,
    NodeSelector, ObjectRef, PortRange, Rule,
};

/// Drops UDP to each of these ports, a rule for each (`port-N`), on the named interfaces.
pub fn drop_ports(interfaces: &[&str], ports: &[u16]) -> NodePlan {
    compile(&[filter("edge", interfaces, ports.iter().map(|port| drop_port(*port)).collect())])
}

pub fn compile(filters: &[Filter]) -> NodePlan {
    let input = sluice_compile::ClassInput { filters: filters.iter().collect(), ..Default::default() };
    sluice_compile::compile(&input).unwrap()
}

pub fn with_attach(mut plan: NodePlan, attach: AttachMode) -> NodePlan {
    plan.filters.parts.iter_mut().for_each(|part| part.attach = attach);
    plan
}

pub fn filter(name: &str, interfaces: &[&str], rules: Vec<Rule>) -> Filter {
    Filter {
        object: ObjectRef {
            kind: "XdpFilter".into(),
            namespace: String::new(),
            name: name.into(),
            uid: format!("uid-of-{name}"),
            generation: 1,
        },
        nodes: NodeSelector::default(),
        interfaces: Interfaces {
            names: interfaces.iter().map(ToString::to_string).collect(),
            ..Interfaces::default()
        },
        attach: PolicyAttach::Auto,
        hook: Hook::Xdp,
        mode: Mode::Enforce,
        priority: 100,
        default_action: Action::Next,
        malformed: Malformed::Pass,
        allow_established: false,
        expires: None,
        rollout: None,
        rules,
    }
}

pub fn drop_port(port: u16) -> Rule {
    let range = PortRange { first: port, last: port };
    let matches = Match { protocols: vec![17], destination_ports: vec![range], ..Match::default() };
    rule(&format!("port-{port}"), Action::Drop, matches)
}

/// Looks at another dimension than [`drop_port`], so that a plan with it needs another program.
pub fn drop_source(prefix: &str) -> Rule {
    let sources = sluice_policy::PrefixSet { v4: vec![prefix.parse().unwrap()], ..Default::default() };
    let matches = Match { sources: Some(sources), ..Match::default() };
    rule("bad-net", Action::Drop, matches)
}

pub fn rule(name: &str, action: Action, matches: Match) -> Rule {
    Rule { name: name.into(), action, mode: Mode::Enforce, later_fragments: LaterFragments::NoMatch, matches }
}
