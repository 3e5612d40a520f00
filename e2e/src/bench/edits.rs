//! From saving a policy to the last node having programmed it.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use sluice_proto::v1::ListRequest;

use super::median;
use crate::fleet::{Fleet, Options};

const NODES: u32 = 3;
const FILE: &str = "edge.yaml";
const PATIENCE: Duration = Duration::from_secs(20);
/// Seldom enough to leave the CPU to those who are measured.
const POLL: Duration = Duration::from_millis(5);
/// Each so many edits, the policy begins or ceases to use a field, for which another program is loaded.
const FEATURE_EACH: usize = 5;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Edits {
    pub edits: usize,
    pub nodes: u32,
    pub median_ms: f64,
    /// Of those that change what the program looks at.
    pub new_features_ms: f64,
    pub fastest_ms: f64,
    pub slowest_ms: f64,
}

/// Directory mode, an operator and three agents. A status that says so is the agents' confirmation after reading back.
pub fn measure(edits: usize) -> anyhow::Result<Edits> {
    let directory = tempfile::tempdir()?;
    let mut fleet = Fleet::build(Options::unique("slb", NODES as usize, directory.path()))?;
    fleet.write_policy(FILE, &policy(0))?;
    fleet.start()?;
    fleet.wait_ready("edge", NODES, "", PATIENCE)?;
    let took = (1..=edits)
        .map(|number| edit(&fleet, number).with_context(|| format!("edit {number}{}", fleet.last_words())))
        .collect::<anyhow::Result<Vec<f64>>>()?;
    let changes_features = |(index, _): &(usize, &f64)| (index + 1).is_multiple_of(FEATURE_EACH);
    Ok(Edits {
        edits,
        nodes: NODES,
        median_ms: median(took.iter().copied()),
        new_features_ms: median(took.iter().enumerate().filter(changes_features).map(|(_, took)| *took)),
        fastest_ms: took.iter().copied().fold(f64::INFINITY, f64::min),
        slowest_ms: took.iter().copied().fold(0.0, f64::max),
    })
}

/// Milliseconds. Asks on one connection, so that no handshake is measured.
fn edit(fleet: &Fleet, number: usize) -> anyhow::Result<f64> {
    let path = fleet.policies().join(FILE);
    let temporary = fleet.policies().join(format!(".{FILE}.tmp"));
    fleet.ask(async move |mut operator| {
        let before = status(&mut operator).await?;
        std::fs::write(&temporary, policy(number))?;
        let start = Instant::now();
        std::fs::rename(&temporary, &path)?;
        loop {
            let (hash, programmed) = status(&mut operator).await?;
            if hash != before.0 && programmed == NODES {
                return Ok(start.elapsed().as_secs_f64() * 1e3);
            }
            if start.elapsed() > PATIENCE {
                bail!("{programmed} of {NODES} nodes within {PATIENCE:?}");
            }
            tokio::time::sleep(POLL).await;
        }
    })
}

type Admin = sluice_proto::v1::admin_client::AdminClient<tonic::transport::Channel>;

/// The policy's hash, and on how many nodes that is in force.
async fn status(operator: &mut Admin) -> anyhow::Result<(String, u32)> {
    let policies = operator.list_policies(ListRequest::default()).await?.into_inner().policies;
    let found = policies.into_iter().find(|policy| policy.name == "edge");
    let found = found.context("the operator does not know the policy")?;
    Ok((found.hash, if found.ready == "True" { found.programmed } else { 0 }))
}

fn policy(number: usize) -> String {
    let flags = if (number / FEATURE_EACH).is_multiple_of(2) { "" } else { FLAGS };
    let port = 5000 + number;
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: edge}}\nspec:\n  \
         interfaces: {{names: [eth0]}}\n  rules:\n  - name: flood\n    action: Drop\n    \
         match: {{protocols: [UDP], destinationPorts: [\"{port}\"]}}\n{flags}"
    )
}

const FLAGS: &str =
    "  - name: syn-fin\n    action: Drop\n    match: {protocols: [TCP], tcpFlags: {set: [SYN, FIN]}}\n";
