//! A file of tests.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_crds::{UnknownField, unknown_fields_of};

use crate::args::{Hook, Place};
use crate::judge::Decision;

/// What a file of tests holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Tests {
    tests: Vec<Case>,
}

/// One packet and what is expected to become of it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Case {
    pub name: String,
    /// The packet in words; either this or `pcap`.
    #[serde(default)]
    pub packet: Option<String>,
    #[serde(default)]
    pub pcap: Option<Pcap>,
    /// Only policies that select this interface; all without it.
    #[serde(default)]
    pub interface: Option<String>,
    /// Only filters of this hook; Xdp without it.
    #[serde(default)]
    #[schemars(with = "String")]
    pub hook: Hook,
    /// Only policies that select a node with these labels; all without it.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    pub node_labels: Option<BTreeMap<String, String>>,
    /// Addresses of the node, whose failsafe ports stay open.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub node_addresses: Vec<IpAddr>,
    pub expect: Expect,
}

/// A packet of a capture.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Pcap {
    pub file: PathBuf,
    /// Its number, counted from 1.
    pub packet: NonZeroU64,
}

/// What must hold; what is not named may be anything.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Expect {
    #[serde(default)]
    pub verdict: Option<String>,
    #[serde(default)]
    pub policy: Option<String>,
    #[serde(default)]
    pub rule: Option<String>,
    #[serde(default)]
    pub stage: Option<String>,
    #[serde(default)]
    pub mode: Option<String>,
}

/// What became of the packet.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    verdict: &'static str,
    policy: Option<String>,
    rule: Option<String>,
    stage: &'static str,
    mode: Option<&'static str>,
    #[serde(skip)]
    pub words: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub field: &'static str,
    pub expected: String,
    pub found: Option<String>,
}

/// # Errors
/// Everything that is wrong with the file.
pub fn read(path: &Path) -> anyhow::Result<Vec<Case>> {
    let text = text(path)?;
    let name = || path.display().to_string();
    let value: serde_json::Value = serde_saphyr::from_str(&text).with_context(name)?;
    let schema = schemars::schema_for!(Tests);
    let unknown = unknown_fields_of(&value, schema.as_value());
    if !unknown.is_empty() {
        let lines: Vec<String> =
            unknown.iter().map(|field| format!("{}: {}", path.display(), words(field))).collect();
        bail!("{}", lines.join("\n"));
    }
    // Again from the text, as its errors carry line and column.
    let tests: Tests = serde_saphyr::from_str(&text).with_context(name)?;
    let problems: Vec<String> =
        tests.tests.iter().enumerate().flat_map(|(index, case)| case.problems(index)).collect();
    if !problems.is_empty() {
        let lines: Vec<String> =
            problems.iter().map(|problem| format!("{}: {problem}", path.display())).collect();
        bail!("{}", lines.join("\n"));
    }
    if tests.tests.is_empty() {
        bail!("{}: no tests in it", path.display());
    }
    Ok(tests.tests)
}

fn words(UnknownField { path, nearest }: &UnknownField) -> String {
    match nearest {
        Some(near) => format!("{path}: no such field: did you mean {near}?"),
        None => format!("{path}: no such field: remove it"),
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    if path != Path::new("-") {
        return std::fs::read_to_string(path).with_context(|| path.display().to_string());
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input")?;
    Ok(text)
}

const VERDICTS: [&str; 3] = ["Pass", "Drop", "Tx"];
const STAGES: [&str; 5] = ["Failsafe", "Filter", "LoadBalancer", "Default", "Malformed"];
const MODES: [&str; 2] = ["Enforce", "Audit"];

impl Case {
    pub fn place(&self) -> Place {
        Place {
            interface: self.interface.clone(),
            node_labels: self.node_labels.clone().map(|labels| labels.into_iter().collect()),
            node_address: self.node_addresses.clone(),
            hook: self.hook,
        }
    }

    fn problems(&self, index: usize) -> Vec<String> {
        let Expect { verdict, policy, rule, stage, mode } = &self.expect;
        let mut problems = Vec::new();
        let mut refuse =
            |path: &str, message: String| problems.push(format!("tests[{index}]{path}: {message}"));
        if self.packet.is_some() == self.pcap.is_some() {
            refuse("", "has to have one packet: write either packet or pcap".to_owned());
        }
        if [verdict, policy, rule, stage, mode].iter().all(|field| field.is_none()) {
            refuse(".expect", "expects nothing: write verdict, policy, rule, stage or mode".to_owned());
        }
        for (name, value, known) in
            [("verdict", verdict, &VERDICTS[..]), ("stage", stage, &STAGES), ("mode", mode, &MODES)]
        {
            if let Some(value) = value.as_deref().filter(|value| !known.contains(value)) {
                let path = format!(".expect.{name}");
                refuse(&path, format!("\"{value}\" is none: write {}", known.join(", ")));
            }
        }
        problems
    }
}

impl Expect {
    pub fn differences(&self, found: &Found) -> Vec<Difference> {
        let Expect { verdict, policy, rule, stage, mode } = self;
        let fields = [
            ("verdict", verdict, Some(found.verdict)),
            ("policy", policy, found.policy.as_deref()),
            ("rule", rule, found.rule.as_deref()),
            ("stage", stage, Some(found.stage)),
            ("mode", mode, found.mode),
        ];
        let differs = fields.into_iter().filter_map(|(field, expected, found)| {
            let expected = expected.as_deref().filter(|expected| Some(*expected) != found)?;
            Some(Difference { field, expected: expected.to_owned(), found: found.map(str::to_owned) })
        });
        differs.collect()
    }
}

impl Found {
    pub fn of(decision: &Decision) -> Found {
        let Decision { verdict, stage, policy, rule, mode, .. } = decision.clone();
        Found { verdict, policy, rule, stage, mode, words: decision.words() }
    }
}
