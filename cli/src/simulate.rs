//! `kubectl sluice simulate`: a capture against policies, by the kernel's own program or by the interpreter.

mod capture;
mod decision;
mod interpreted;
mod kernel;
mod printer;

use anyhow::Context;
use sluice_interpret::packet::Packet;
use sluice_policy::Interfaces;

use crate::args::Simulate;
use crate::policies::{self, Policies};
use capture::{Frame, Frames};
use decision::Decision;
use interpreted::Interpreter;
use kernel::Kernel;
use printer::Printer;

/// Stands for the one interface of the simulated node.
const INTERFACE: &str = "simulated";

pub fn run(args: &Simulate) -> anyhow::Result<()> {
    let policies = on_one_interface(policies::read(&args.policies)?, args.interface.as_deref());
    let mut frames = capture::open(&args.pcap)?;
    let judge = Judge::new(&policies, args)?;
    let mut printer = Printer::new(args.output, &policies);
    let outcome = run_packets(&mut frames, &judge, &mut printer);
    // Also after an error: what was judged so far holds.
    printer.finish()?;
    outcome.with_context(|| args.pcap.display().to_string())
}

fn run_packets(frames: &mut Frames, judge: &Judge, printer: &mut Printer) -> anyhow::Result<()> {
    for number in 1u64.. {
        let Some(frame) = frames.next_frame().with_context(|| format!("packet {number}"))? else { break };
        printer.print(number, &judge.decide(&frame)?)?;
    }
    Ok(())
}

struct Judge {
    interpreter: Interpreter,
    /// None: only the interpreter.
    kernel: Option<Kernel>,
}

impl Judge {
    fn new(policies: &Policies, args: &Simulate) -> anyhow::Result<Judge> {
        let kernel = match args.interpret {
            true => None,
            false => Some(Kernel::load(policies, &args.node_address)?),
        };
        Ok(Judge { interpreter: Interpreter::new(policies, &args.node_address), kernel })
    }

    fn decide(&self, frame: &Frame) -> anyhow::Result<Decision> {
        let bytes = &frame.bytes;
        let decision = match &self.kernel {
            // The kernel takes no test frame without a whole Ethernet header.
            Some(kernel) if bytes.len() >= sluice_datapath::test_run::MIN_FRAME => kernel.decide(bytes)?,
            _ => self.interpreter.decide(bytes),
        };
        let guess = frame.captured < bytes.len().min(Packet::parse(bytes).headers);
        Ok(Decision { guess, ..decision })
    }
}

/// Policies that do not select the asked interface are left out; the others select the simulated one.
fn on_one_interface(mut policies: Policies, interface: Option<&str>) -> Policies {
    let selects = |interfaces: &Interfaces| interface.is_none_or(|name| selected(interfaces, name));
    policies.filters.retain(|filter| selects(&filter.interfaces));
    policies.balancers.retain(|balancer| selects(&balancer.interfaces));
    if let Some(name) = interface.filter(|_| policies.filters.is_empty() && policies.balancers.is_empty()) {
        eprintln!("note: no policy selects {name} by name or pattern: every packet meets the failsafe alone");
    }
    let simulated = Interfaces { names: vec![INTERFACE.to_owned()], ..Interfaces::default() };
    policies.filters.iter_mut().for_each(|filter| filter.interfaces = simulated.clone());
    policies.balancers.iter_mut().for_each(|balancer| balancer.interfaces = simulated.clone());
    policies
}

fn selected(interfaces: &Interfaces, name: &str) -> bool {
    let world = |pattern: &String| glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(name));
    interfaces.names.iter().any(|known| known == name) || interfaces.patterns.iter().any(world)
}
