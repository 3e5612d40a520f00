//! Whatever is wrong, it is said where, what was found and what to do; what was in force stays. Needs root.
//!
//! Each message is looked up in docs/troubleshooting.md, so that the page cannot say something else.
#![allow(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod disk;
mod files;
mod host;
mod volume;

use std::time::Duration;

use sluice_e2e::fleet::{Fleet, Options};
use sluice_e2e::process::eventually;

const PATIENCE: Duration = Duration::from_secs(30);

fn fleet(prefix: &str, edges: usize) -> (Fleet, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (Fleet::build(Options::unique(prefix, edges, directory.path())).unwrap(), directory)
}

/// A row with fewer letters would fit anything.
const LETTERS: usize = 16;

/// With `rules` rules of 16 prefixes each.
fn policy(name: &str, interface: &str, rules: u32) -> String {
    let rule = |rule: u32| {
        let prefixes: Vec<_> =
            (0..16).map(|host| format!("10.{}.{rule}.{}/32", 200 + host, rule % 7)).collect();
        let cidrs = prefixes.join(", ");
        format!("  - {{name: rule-{rule}, action: Drop, match: {{sources: {{cidrs: [{cidrs}]}}}}}}\n")
    };
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: {name}}}\nspec:\n  \
         interfaces: {{names: [{interface}]}}\n  rules:\n{}",
        (0..rules).map(rule).collect::<String>()
    )
}

/// Waits until the policy's message says all of it; the whole message.
fn wait_message(fleet: &Fleet, policy: &str, wanted: &str) -> String {
    let mut last = None;
    let found = eventually(PATIENCE, || {
        last = fleet.statuses()?.into_iter().find(|status| status.name == policy);
        Ok(last.as_ref().map(|status| status.message.clone()).filter(|message| message.contains(wanted)))
    });
    found.unwrap_or_else(|error| panic!("{error:#}: {last:?}{}", fleet.last_words()))
}

/// The page has a row for the message; `…` in it stands for anything.
fn assert_documented(message: &str) {
    let page = include_str!("../../../docs/troubleshooting.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    for (pattern, _) in rows {
        let mut rest = message;
        let fits = pattern.split('…').all(|part| match rest.split_once(part) {
            Some((_, behind)) => {
                rest = behind;
                true
            }
            None => false,
        });
        if fits && pattern.chars().filter(|letter| letter.is_alphabetic()).count() >= LETTERS {
            return;
        }
    }
    panic!("not in docs/troubleshooting.md: {message}");
}
