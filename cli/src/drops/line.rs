//! One drop on one line.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use sluice_proto::v1::{Drop, DropSample};

use super::packet::summary;

/// As tcpdump has it, with the local time, and behind it what dropped the packet.
pub fn text(node: &str, drop: &Drop, sample: &DropSample) -> String {
    let time = time(sample).to_zoned(TimeZone::system()).strftime("%H:%M:%S.%6f");
    let DropSample { name, stage, interface, length, packet, .. } = sample;
    let packet = summary(packet, *length);
    format!("{time} {node} {interface} {packet}, length {length} -- {}: {name} ({stage})", policy(drop))
}

pub fn structured(node: &str, drop: &Drop, sample: &DropSample) -> Value {
    let Drop { kind, namespace, policy, sample: _ } = drop;
    let DropSample { policy_uid: _, name, stage, interface, at: _, length, packet } = sample;
    json!({
        "time": time(sample).to_string(), "node": node, "interface": interface,
        "verdict": "Drop", "kind": kind, "namespace": namespace, "policy": policy, "rule": name, "stage": stage,
        "summary": summary(packet, *length), "length": length, "packet": hex::encode(packet),
    })
}

/// With its namespace, where it has one.
pub fn policy(drop: &Drop) -> String {
    match drop.namespace.as_str() {
        "" => drop.policy.clone(),
        namespace => format!("{namespace}/{}", drop.policy),
    }
}

fn time(sample: &DropSample) -> Timestamp {
    Timestamp::from_nanosecond(sample.at.into()).unwrap_or_default()
}
