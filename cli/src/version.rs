//! `kubectl sluice version`.

use std::process::ExitCode;

use sluice_proto::v1::ListRequest;

use crate::args::Connection;
use crate::connect::{answer, connect};
use crate::output::print_line;

/// A client without an operator still has a version: that is no failure.
pub async fn run(connection: &Connection) -> anyhow::Result<ExitCode> {
    print_line(format_args!("client    {}", env!("CARGO_PKG_VERSION")))?;
    let operator = async { answer(connect(connection).await?.version(ListRequest::default()).await) };
    match operator.await {
        Ok(operator) => {
            print_line(format_args!("operator  {} (cluster {})", operator.version, operator.cluster_id))?;
        }
        Err(error) => print_line(format_args!("operator  not reached: {error:#}"))?,
    }
    Ok(ExitCode::SUCCESS)
}
