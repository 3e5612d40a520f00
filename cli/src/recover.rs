//! `kubectl sluice recover`.

use std::num::NonZeroU64;
use std::process::ExitCode;

use sluice_plan::Epoch;
use sluice_proto::v1::RecoverRequest;

use crate::args::{Connection, Recover};
use crate::connect::connect;

pub async fn run(connection: &Connection, args: &Recover) -> anyhow::Result<ExitCode> {
    let seen_incarnation = args.seen_incarnation.map_or(0, NonZeroU64::get);
    let answer = connect(connection).await?.recover(RecoverRequest { seen_incarnation }).await?.into_inner();
    println!("recovered: epochs go on from {}", Epoch::from(answer.epoch.unwrap_or_default()));
    Ok(ExitCode::SUCCESS)
}
