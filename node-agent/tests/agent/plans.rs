//! Compiled plans.

use sluice_compile::{ClassInput, compile};
use sluice_plan::NodePlan;
use sluice_policy::{
    Action, AttachMode, Filter, Interfaces, LaterFragments, Malformed, Match, Mode, NodeSelector, ObjectRef,
    Rule,
};

/// Drops ICMP on the interface.
pub fn drops_ping(generation: i64, interface: &str) -> NodePlan {
    drops(generation, interface, Match { protocols: vec![1], ..Match::default() })
}

/// Drops whatever failsafe does not keep.
pub fn drops_all(interface: &str) -> NodePlan {
    drops(1, interface, Match::default())
}

fn drops(generation: i64, interface: &str, matches: Match) -> NodePlan {
    let rule = Rule {
        name: "no-ping".into(),
        action: Action::Drop,
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
        mode: Mode::Enforce,
        priority: 0,
        default_action: Action::Next,
        malformed: Malformed::Pass,
        rules: vec![rule],
    };
    compile(&ClassInput { filters: vec![&filter], ..ClassInput::default() }).expect("a sound class")
}
