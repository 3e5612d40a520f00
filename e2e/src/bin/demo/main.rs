//! `make demo`: three edge nodes under attack, then in front of their web servers; at the end all of it is gone.

mod balance;
mod flood;
mod reader;
mod stage;
mod standing;
mod stop;

use std::sync::Arc;

use clap::{Parser, Subcommand};
use sluice_e2e::http;

use stage::{Stage, step};
use stop::Stop;

#[derive(Parser)]
#[command(about = "Three edge nodes under attack, in network namespaces of this machine (root)")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the nodes and leaves them running to play with
    Up,
    /// Takes away what `up` left
    Down,
    /// A web server for the demo's nodes
    #[command(hide = true)]
    Serve { port: u16, name: String },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Some(Command::Serve { port, name }) => http::serve(port, &name),
        Some(Command::Up) => standing::up(),
        Some(Command::Down) => standing::down(),
        None => demo(),
    }
}

fn demo() -> anyhow::Result<()> {
    let stop = Arc::new(Stop::on_ctrl_c()?);
    let mut stage = Stage::build()?;
    let played = flood::act(&stage, &stop).and_then(|()| balance::act(&mut stage, &stop));
    step("everything is taken away");
    drop(stage);
    played
}
