//! `kubectl sluice`: what the fleet does, what a policy becomes, what it would do to a capture.

mod args;
mod capture;
mod compile;
mod connect;
mod counters;
mod detach;
mod drops;
mod explain;
mod join;
mod judge;
mod lint;
mod log_level;
mod nodes;
mod output;
mod packet;
mod policies;
mod recover;
mod replicas;
mod revoke;
mod rollout;
mod simulate;
mod standalone;
mod status;
mod test;
mod version;
mod why;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command, Get};
use crate::output::is_closed_pipe;

fn main() -> ExitCode {
    match run(Cli::parse().check().unwrap_or_else(|error| error.exit())) {
        Ok(code) => code,
        // A closed pipe (`| head`) is no failure of ours.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Compile(args) => return compile::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Lint(args) => return lint::run(&args),
        Command::Explain(args) => return explain::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Test(args) => return test::run(&args),
        Command::Simulate(args) => return simulate::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Standalone(args) => return standalone::run(&args).map(|()| ExitCode::SUCCESS),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Status(args) => status::run(&cli.connection, &args).await,
            Command::Why(args) => why::run(&cli.connection, &args).await,
            Command::Nodes(args) => nodes::run(&cli.connection, args.output).await,
            Command::Replicas(args) => replicas::run(&cli.connection, args.output).await,
            Command::Get { what: Get::Counters(args) } => counters::run(&cli.connection, &args).await,
            Command::Rollout { what } => rollout::run(&cli.connection, &what).await,
            Command::Drops(args) => drops::run(&cli.connection, &args).await,
            Command::Detach(args) => detach::run(&cli.connection, &args).await,
            Command::ConfirmDeletion => status::confirm_deletion(&cli.connection).await,
            Command::Recover(args) => recover::run(&cli.connection, &args).await,
            Command::Join(args) => join::run(&cli.connection, &args).await,
            Command::Revoke(args) => revoke::run(&cli.connection, &args).await,
            Command::LogLevel(args) => log_level::run(&cli.connection, &args).await,
            Command::Version => version::run(&cli.connection).await,
            Command::Compile(_)
            | Command::Lint(_)
            | Command::Explain(_)
            | Command::Test(_)
            | Command::Simulate(_)
            | Command::Standalone(_) => unreachable!("handled before the runtime was made"),
        }
    })
}
