//! Random packets through random policies, in the kernel and in the interpreter, until they disagree.

use clap::Parser;
use sluice_e2e::oracle::fuzz;

#[derive(Parser)]
struct Arguments {
    /// How many packets to judge.
    #[arg(long, short, default_value_t = 1_000_000)]
    number: u64,
    /// Where the random numbers start; the same seed gives the same packets.
    #[arg(long, short, default_value_t = 1)]
    seed: u64,
    /// First round: what a failure prints, to see it again.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Packets for each set of policies.
    #[arg(long, default_value_t = 2000)]
    packets: usize,
}

fn main() -> anyhow::Result<()> {
    let Arguments { number, seed, first, packets } = Arguments::parse();
    let started = std::time::Instant::now();
    let tally = fuzz(seed, first, number, packets)?;
    println!("kernel and interpreter agree: {tally:?} in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
