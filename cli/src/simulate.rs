//! `kubectl sluice simulate`: a capture against policies, by the kernel's own program or by the interpreter.

mod capture;
mod decision;
mod interpreted;
mod kernel;

use std::io::{self, Write};

use anyhow::Context;
use sluice_policy::Interfaces;

use crate::args::{Simulate, SimulateOutput};
use crate::output::{print_table, table};
use crate::policies::{self, Policies};
use decision::Decision;

/// Stands for the one interface of the simulated node.
const INTERFACE: &str = "simulated";

pub fn run(args: &Simulate) -> anyhow::Result<()> {
    let policies = on_one_interface(policies::read(&args.policies)?, args.interface.as_deref());
    let mut frames = capture::open(&args.pcap)?;
    let interpreter = interpreted::Interpreter::new(&policies, &args.node_address);
    let mut kernel = match args.interpret {
        true => None,
        false => Some(kernel::Kernel::load(&policies, &args.node_address)?),
    };
    let mut printer = Printer::new(args.output);
    let mut number = 0u64;
    while let Some(frame) =
        frames.next_frame().with_context(|| format!("{}: packet {}", args.pcap.display(), number + 1))?
    {
        number += 1;
        let decision = match &mut kernel {
            // The kernel takes no test frame without a whole Ethernet header.
            Some(kernel) if frame.len() >= sluice_datapath::test_run::MIN_FRAME => kernel.decide(&frame)?,
            _ => interpreter.decide(&frame),
        };
        printer.print(number, &decision)?;
    }
    Ok(printer.finish()?)
}

/// Policies that do not select the asked interface are left out; the others select the simulated one.
fn on_one_interface(mut policies: Policies, interface: Option<&str>) -> Policies {
    let selects = |interfaces: &Interfaces| interface.is_none_or(|name| selected(interfaces, name));
    policies.filters.retain(|filter| selects(&filter.interfaces));
    policies.balancers.retain(|balancer| selects(&balancer.interfaces));
    let simulated = Interfaces { names: vec![INTERFACE.to_owned()], ..Interfaces::default() };
    policies.filters.iter_mut().for_each(|filter| filter.interfaces = simulated.clone());
    policies.balancers.iter_mut().for_each(|balancer| balancer.interfaces = simulated.clone());
    policies
}

fn selected(interfaces: &Interfaces, name: &str) -> bool {
    let world = |pattern: &String| glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(name));
    interfaces.names.iter().any(|known| known == name) || interfaces.patterns.iter().any(world)
}

/// One line a packet; the table says at the end what became of all.
struct Printer {
    output: SimulateOutput,
    rows: comfy_table::Table,
    counts: std::collections::BTreeMap<&'static str, u64>,
}

/// A table of more packets than this is printed in parts, so that a long capture shows progress.
const ROWS_AT_ONCE: usize = 500;

impl Printer {
    fn new(output: SimulateOutput) -> Printer {
        Printer { output, rows: heads(), counts: std::collections::BTreeMap::new() }
    }

    fn print(&mut self, packet: u64, decision: &Decision) -> io::Result<()> {
        *self.counts.entry(decision.verdict).or_default() += 1;
        if self.output == SimulateOutput::Json {
            return writeln!(io::stdout().lock(), "{}", decision.json(packet));
        }
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        self.rows.add_row([
            packet.to_string(),
            decision.verdict.to_owned(),
            decision.stage.to_owned(),
            text(&decision.policy),
            text(&decision.rule),
            decision.mode.unwrap_or("-").to_owned(),
        ]);
        if self.rows.row_count() == ROWS_AT_ONCE {
            print_table(&std::mem::replace(&mut self.rows, heads()))?;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        if self.output == SimulateOutput::Table {
            print_table(&self.rows)?;
            let counts: Vec<String> =
                self.counts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
            println!("\n{}", if counts.is_empty() { "no packets".to_owned() } else { counts.join(", ") });
        }
        Ok(())
    }
}

fn heads() -> comfy_table::Table {
    table(&["PACKET", "VERDICT", "STAGE", "POLICY", "RULE", "MODE"])
}
