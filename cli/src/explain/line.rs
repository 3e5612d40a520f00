//! An explanation as one JSON object.

use serde::Serialize;
use sluice_interpret::Considered;
use sluice_interpret::packet::Packet;

use super::words;
use crate::judge::{DecisionLine, Explanation};

/// What `simulate -o json` says of the packet, and why.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line<'a> {
    #[serde(flatten)]
    decision: DecisionLine<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failsafe: Option<&'static str>,
    considered: Vec<Rule<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    policy: &'a str,
    rule: &'a str,
    matches: bool,
    /// What the rule does, whether it matches or not.
    action: &'static str,
    mode: &'static str,
    fields: Vec<Field>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Field {
    field: &'static str,
    fits: bool,
    packet: String,
    wanted: Vec<String>,
}

impl<'a> Line<'a> {
    pub fn new(number: u64, packet: &Packet, explanation: &'a Explanation) -> Line<'a> {
        Line {
            decision: explanation.decision.line(number),
            failsafe: explanation.kept.map(words::kept),
            considered: explanation.considered.iter().map(|considered| rule(considered, packet)).collect(),
        }
    }
}

fn rule<'a>(considered: &'a Considered, packet: &Packet) -> Rule<'a> {
    let fields = considered.checked.iter().map(|checked| Field {
        field: words::field(checked.field),
        fits: checked.fits,
        packet: words::found(checked.field, considered.rule, packet),
        wanted: words::wanted(checked.field, considered.rule, packet),
    });
    Rule {
        policy: &considered.filter.object.name,
        rule: &considered.rule.name,
        matches: considered.matches(),
        action: words::action(considered.rule),
        mode: words::mode(considered),
        fields: fields.collect(),
    }
}
