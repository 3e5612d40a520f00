//! `kubectl sluice recover`.

use std::num::NonZeroU64;
use std::process::ExitCode;

use sluice_plan::Epoch;
use sluice_proto::v1::RecoverRequest;

use crate::args::{Connection, Recover};
use crate::connect::{answer, connect};
use crate::output::print_line;

pub async fn run(connection: &Connection, args: &Recover) -> anyhow::Result<ExitCode> {
    let seen_incarnation = args.seen_incarnation.map_or(0, NonZeroU64::get);
    let request = RecoverRequest { seen_incarnation, lost: args.lost.clone() };
    let recovered = answer(connect(connection).await?.recover(request).await)?;
    match recovered.epoch {
        Some(epoch) => print_line(format_args!("recovered: epochs go on from {}", Epoch::from(epoch)))?,
        None => print_line(format_args!(
            "the replica starts anew and goes on alone; start {} with empty data directories to join it",
            args.lost.join(" and ")
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}
