//! `kubectl sluice revoke`.

use std::process::ExitCode;

use sluice_proto::v1::RevokeRequest;

use crate::args::{Connection, Revoke};
use crate::connect::{answer, connect};
use crate::output::print_line;

pub async fn run(connection: &Connection, args: &Revoke) -> anyhow::Result<ExitCode> {
    let node = &args.node;
    let revoked = answer(connect(connection).await?.revoke(RevokeRequest { node: node.clone() }).await)?;
    print_line(format_args!(
        "{node}: every certificate that it has is refused from now on; what it enforces stays in force"
    ))?;
    match revoked.joins_by_token {
        true => print_line(format_args!("to let it in again: kubectl sluice join {node}"))?,
        false => print_line(format_args!(
            "its agent's pod may get a new one by its own token; to keep the node out, delete it: kubectl delete node {node}"
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}
