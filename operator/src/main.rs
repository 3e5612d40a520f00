//! The operator's binary.

use std::process::ExitCode;

use clap::Parser;
use sluice_operator::args::{Cli, Command};
use tokio_util::sync::CancellationToken;

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
        None => {
            sluice_operator::start_telemetry();
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
