//! `kubectl sluice join`.

use std::process::ExitCode;

use sluice_proto::v1::JoinRequest;

use crate::args::{Connection, Join};
use crate::connect::{answer, connect};
use crate::output::print_line;

/// The token alone goes to standard output, so that it can be written to a file.
pub async fn run(connection: &Connection, args: &Join) -> anyhow::Result<ExitCode> {
    let request = JoinRequest { node: args.node.clone(), valid_seconds: args.valid_minutes * 60 };
    let joined = answer(connect(connection).await?.join(request).await)?;
    print_line(joined.token)?;
    Ok(ExitCode::SUCCESS)
}
