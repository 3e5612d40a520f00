use serde_json::json;

use super::*;

fn key(kind: Kind) -> ObjectKey {
    ObjectKey::new(kind, "", "edge")
}

fn status(conditions: &[(&str, &str, &str)]) -> Value {
    let condition = |(kind, status, reason): &(&str, &str, &str)| json!({"type": kind, "status": status, "reason": reason, "message": format!("{reason} it is")});
    json!({"conditions": conditions.iter().map(condition).collect::<Vec<_>>()})
}

fn reasons(kind: Kind, before: Option<&Value>, now: &Value) -> Vec<(bool, String)> {
    let key = key(kind);
    let made = Notices::new(&key, "uid").of_change(before, now);
    made.into_iter().map(|notice| (notice.warning, notice.reason)).collect()
}

#[test]
fn what_was_said_is_not_told_again() {
    let states = [
        status(&[("Ready", "True", "Programmed")]),
        status(&[("Ready", "False", "Rejected"), ("Stalled", "True", "Rejected")]),
        status(&[("Ready", "False", "Unreachable")]),
    ];
    let told = [(false, "Programmed"), (true, "Rejected"), (true, "Unreachable")];
    for (state, (warning, reason)) in states.iter().zip(told) {
        let expected = vec![(warning, reason.to_owned())];
        assert_eq!(reasons(Kind::XdpFilter, None, state), expected);
        assert_eq!(reasons(Kind::XdpFilter, Some(state), state), []);
        let pending = status(&[("Ready", "False", "Pending"), ("Reconciling", "True", "Pending")]);
        assert_eq!(reasons(Kind::XdpFilter, Some(state), &pending), [], "it is on its way");
        assert_eq!(reasons(Kind::XdpFilter, Some(&pending), state), expected);
    }
}

#[test]
fn another_refusal_is_told() {
    let refused = |why: &str| {
        let mut status = status(&[("Ready", "False", "Rejected"), ("Stalled", "True", "Rejected")]);
        status["nodes"] = json!({"failing": [{"node": "edge-1", "reason": why}]});
        status
    };
    let before = refused("ForeignProgram");
    assert_eq!(reasons(Kind::XdpFilter, Some(&before), &before), []);
    let key = key(Kind::XdpFilter);
    let told = Notices::new(&key, "uid").of_change(Some(&before), &refused("InterfaceMissing"));
    assert_eq!((told.len(), told[0].action.as_str()), (1, "InterfaceMissing"));
}

#[test]
fn waves_are_told_as_they_begin_and_the_end() {
    let at = |phase: &str, wave: &str| json!({"rollout": {"phase": phase, "wave": wave, "total": 9, "message": "m"}});
    let way = [
        at("Advancing", "1/2"),
        at("Holding", "1/2"),
        at("Advancing", "2/2"),
        at("Holding", "2/2"),
        at("Done", "2/2"),
    ];
    let key = key(Kind::XdpFilter);
    let mut told = Vec::new();
    for (position, now) in way.iter().enumerate() {
        let before = position.checked_sub(1).map(|before| &way[before]);
        told.extend(Notices::new(&key, "uid").of_change(before, now));
    }
    let told: Vec<_> = told.iter().map(|one| (one.reason.as_str(), one.action.as_str())).collect();
    assert_eq!(told, [("RollingOut", "wave 1/2"), ("RollingOut", "wave 2/2"), ("RolledOut", "Done")]);
    assert_eq!(reasons(Kind::XdpFilter, None, &way[4]), [], "it rolled out long ago");
}

#[test]
fn a_silent_node_and_a_foreign_program_are_told_once() {
    let node = |ready: (&str, &str), foreign: Option<u64>| {
        let mut status = status(&[("Ready", ready.0, ready.1)]);
        status["nics"] = json!([{"name": "eth0"}]);
        if let Some(id) = foreign {
            status["nics"][0]["foreignProgram"] = json!({"id": id, "mode": "Native", "name": "other"});
        }
        status
    };
    let there = node(("True", "Connected"), None);
    let foreign = node(("True", "Connected"), Some(7));
    let told = Notices::new(&key(Kind::XdpNode), "uid").of_change(Some(&there), &foreign);
    assert!(
        told[0].note.contains("interface eth0 runs another's XDP program (id 7, mode Native, other)"),
        "{told:?}"
    );
    assert_eq!(reasons(Kind::XdpNode, Some(&foreign), &foreign), []);
    let silent = node(("Unknown", "Unreachable"), Some(7));
    assert_eq!(reasons(Kind::XdpNode, Some(&foreign), &silent), [(true, "Unreachable".to_owned())]);
    assert_eq!(reasons(Kind::XdpNode, Some(&silent), &foreign), [(false, "Connected".to_owned())]);
}

#[test]
fn drift_is_told_with_place_and_outcome() {
    let drift = DriftOnNode { times: 3, place: "eth0".into(), repaired: true, ..DriftOnNode::default() };
    let node = NodeState { drift: [("program_detached".to_owned(), drift)].into(), ..NodeState::default() };
    let key = key(Kind::XdpNode);
    let told = Notices::new(&key, "uid").of_drift(&node, |_| 2);
    assert_eq!(
        (told[0].reason.as_str(), told[0].action.as_str()),
        ("DriftRepaired", "program_detached eth0")
    );
    assert_eq!(
        told[0].note,
        "somebody took Sluice's program off interface eth0; what policies ask for is in force"
    );
    assert_eq!(Notices::new(&key, "uid").of_drift(&node, |_| 3), []);
}
