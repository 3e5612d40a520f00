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
    let recovered = answer(connect(connection).await?.recover(RecoverRequest { seen_incarnation }).await)?;
    let epoch = Epoch::from(recovered.epoch.unwrap_or_default());
    print_line(format_args!("recovered: epochs go on from {epoch}"))?;
    Ok(ExitCode::SUCCESS)
}
