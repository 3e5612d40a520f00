//! `kubectl sluice version`.

use std::process::ExitCode;

use sluice_proto::v1::ListRequest;

use crate::args::Connection;
use crate::connect::connect;

pub async fn run(connection: &Connection) -> anyhow::Result<ExitCode> {
    println!("client    {}", env!("CARGO_PKG_VERSION"));
    // A client without an operator still has a version.
    let operator =
        async { anyhow::Ok(connect(connection).await?.version(ListRequest::default()).await?.into_inner()) };
    match operator.await {
        Ok(operator) => println!("operator  {} (cluster {})", operator.version, operator.cluster_id),
        Err(error) => println!("operator  not reached: {error:#}"),
    }
    Ok(ExitCode::SUCCESS)
}
