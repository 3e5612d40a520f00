//! `/healthz` and `/readyz` of processes as they come and go.

use sluice_e2e::netns::Netns;
use sluice_e2e::process::eventually;

use crate::{PATIENCE, fleet, page};

const OPERATOR: u16 = 9090;
const AGENT: u16 = 9500;

/// Waits until the probe answers so.
#[track_caller]
fn answers(netns: &Netns, port: u16, path: &'static str, status: u16, part: &str) {
    let mut last = None;
    let answered = eventually(PATIENCE, || {
        last = page(netns, port, path);
        let head = format!("HTTP/1.1 {status} ");
        let is_it = last.as_ref().is_some_and(|page| page.starts_with(&head) && page.contains(part));
        Ok(is_it.then_some(()))
    });
    answered.unwrap_or_else(|error| panic!("{path}: {error}: not {status} {part}: {last:?}"));
}

#[test]
fn probes_say_what_is_in_force_and_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let mut fleet = fleet("slpr", directory.path());
    // Makes the authority that the agent must know.
    fleet.start_operator().unwrap();
    answers(&fleet.hub, OPERATOR, "/readyz", 200, "ok");
    answers(&fleet.hub, OPERATOR, "/healthz", 200, "ok");
    fleet.operator.as_mut().unwrap().stop(PATIENCE).unwrap();
    fleet.start_agent(0).unwrap();
    answers(&fleet.edges[0].netns, AGENT, "/healthz", 200, "ok");
    answers(&fleet.edges[0].netns, AGENT, "/readyz", 503, "no plan, and no operator: ");

    fleet.start_operator().unwrap();
    fleet.wait_ready("edge", 1, "", PATIENCE).unwrap();
    answers(&fleet.edges[0].netns, AGENT, "/readyz", 200, "ok");
    fleet.operator.as_mut().unwrap().stop(PATIENCE).unwrap();
    answers(&fleet.edges[0].netns, AGENT, "/readyz", 200, "enforcing the last plan; no operator connected");
    answers(&fleet.edges[0].netns, AGENT, "/healthz", 200, "ok");
}
