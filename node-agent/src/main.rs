//! The agent's binary.

use std::process::ExitCode;

use clap::Parser;
use sluice_agent::args::{Cli, Command, Place};
use sluice_telemetry::{Service, Telemetry, give};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    match execute(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(cli: Cli) -> anyhow::Result<()> {
    if let Some(Command::LogLevel { level, place: Place { state, .. } }) = &cli.command {
        println!("{}", give(level, state).await?);
        return Ok(());
    }
    let service = Service { name: "sluice-agent", instance: &cli.run.node, log_level: "info" };
    let telemetry = Telemetry::begin(&cli.telemetry, &service)?;
    run(cli, telemetry).await
}

async fn run(cli: Cli, mut telemetry: Telemetry) -> anyhow::Result<()> {
    match cli.command {
        Some(Command::Detach(args)) => {
            let stop = args.stay.then(CancellationToken::new);
            sluice_agent::detach(args).await?;
            if let Some(stop) = stop {
                stop_on_signal(stop.clone())?;
                stop.cancelled().await;
            }
            Ok(())
        }
        Some(Command::LogLevel { .. }) => unreachable!("seen to before logs were begun"),
        None => {
            telemetry.open_door(&cli.run.place.state);
            let stop = CancellationToken::new();
            stop_on_signal(stop.clone())?;
            let ended = sluice_agent::run(cli.run.try_into()?, stop).await;
            telemetry.end();
            ended
        }
    }
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
