//! Three replicas, of which the one that decides is killed.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::fleet::Fleet;
use super::operator::{Operator, policies};
use super::policies::{ALL, Policies};
use super::run::Options;
use crate::process::eventually;

const PATIENCE: Duration = Duration::from_secs(30);

/// Until the first agent has what was decided after the leader was killed, and until all have it; in seconds.
pub async fn killed(options: &Options) -> anyhow::Result<(f64, f64)> {
    let place = tempfile::tempdir()?;
    let mut saved = Policies::new(&policies(place.path()), options.classes)?;
    let mut replicas = Operator::trio(place.path())?;
    let all: Vec<String> = replicas.iter().map(|one| one.address.to_string()).collect();
    let mut fleet = Fleet::new(place.path(), options.replicated, options.classes, all.join(","))?;
    replicas.iter_mut().try_for_each(Operator::start)?;
    replicas.iter().try_for_each(Operator::wait_ready)?;
    fleet.start();
    fleet.until(Instant::now(), |_, seen| seen.generation(ALL) == 1).await?;
    let leader = eventually(PATIENCE, || Ok(replicas.iter().position(Operator::decides)));
    let leader = leader.context("nobody decides")?;
    let killed = Instant::now();
    replicas[leader].kill()?;
    saved.edit()?;
    let decided = fleet.until(killed, |_, seen| seen.generation(ALL) == 2).await?;
    Ok((decided.until(0.0), decided.last()))
}
