//! The operator's binary.

use std::process::ExitCode;

use clap::Parser;
use sluice_operator::args::{Cli, Command, Data};
use sluice_telemetry::{Service, Telemetry, give};
use tokio_util::sync::CancellationToken;

const SERVICE: Service = Service { name: "sluice-operator", instance: "", log_level: "info,openraft=off" };

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
            let instance = cli.run.replica.clone().unwrap_or_default();
            let mut telemetry =
                Telemetry::begin(&cli.telemetry, &Service { instance: &instance, ..SERVICE })?;
            telemetry.open_door(&cli.run.data);
            let stop = CancellationToken::new();
            stop_on_signal(stop.clone())?;
            let ended = sluice_operator::run(cli.run, stop).await;
            telemetry.end();
            ended?;
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
