//! The operator's binary.

use std::process::ExitCode;

use clap::Parser;
use sluice_operator::args::{Cli, Command, Data};
use sluice_telemetry::{Telemetry, give};
use tokio_util::sync::CancellationToken;

/// openraft tells each heartbeat that fails.
const LOG_LEVEL: &str = "info,openraft=off";

#[tokio::main]
async fn main() -> ExitCode {
    match execute(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The words and their causes; a backtrace says nothing to who has to mend it.
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Some(Command::Token { node, data }) => println!("{}", sluice_operator::token(&node, &data)?),
        Some(Command::Recover { seen_incarnation, data }) => {
            sluice_operator::recover(&data, seen_incarnation).await?
        }
        Some(Command::LogLevel { level, at: Data { data } }) => println!("{}", give(&level, &data).await?),
        None => {
            let mut telemetry = Telemetry::begin(&cli.telemetry, LOG_LEVEL)?;
            telemetry.open_door(&cli.run.data);
            let stop = CancellationToken::new();
            stop_on_signal(stop.clone())?;
            sluice_operator::run(cli.run, stop).await?;
        }
    }
    Ok(())
}

fn stop_on_signal(stop: CancellationToken) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}
